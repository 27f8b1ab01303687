#!/usr/bin/env python3
"""Writes seeds for the fuzzer: one well-formed conversation per protocol. Checksums are left
zero, the harness puts them right."""
import os
import socket
import struct
import sys

FRAME, FIXED, OFFLOAD, TIME, ENDPOINT, BARE, GATEWAY = range(7)
US, PEER = b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x77"
A4, B4 = socket.inet_aton("192.0.2.1"), socket.inet_aton("192.0.2.2")
six = lambda t: socket.inet_pton(socket.AF_INET6, t)
A6, B6, L6 = six("2001:db8::1"), six("2001:db8::2"), six("fe80::77")


def rec(kind, data, length=None):
    return struct.pack("<BH", kind, len(data) if length is None else length) + data


def ether(kind, payload, dst=US, src=PEER):
    return dst + src + struct.pack(">H", kind) + payload


def ip4(proto, body, src=B4, dst=A4, frag=0, ident=1, options=b"", ttl=64):
    ihl = 5 + len(options) // 4
    return struct.pack(">BBHHHBBH", 0x40 | ihl, 0, ihl * 4 + len(body), ident, frag, ttl, proto, 0) \
        + src + dst + options + body


def ip6(nxt, body, src=B6, dst=A6, hops=64):
    return struct.pack(">IHBB", 6 << 28, len(body), nxt, hops) + src + dst + body


def udp(sport, dport, data):
    return struct.pack(">HHHH", sport, dport, 8 + len(data), 0) + data


def tcp(sport, dport, seq, ack, flags, data=b"", options=b""):
    return struct.pack(">HHIIBBHHH", sport, dport, seq, ack, (5 + len(options) // 4) << 4, flags, 65535, 0, 0) \
        + options + data


def icmp(t, c, rest):
    return struct.pack(">BBH", t, c, 0) + rest


def f4(*a, **k):
    return rec(FIXED, ether(0x800, ip4(*a, **k)))


def f6(*a, **k):
    return rec(FIXED, ether(0x86dd, ip6(*a, **k)))


def arp(op, smac, sip, tmac, tip, dst=US):
    return rec(FRAME, ether(0x806, struct.pack(">HHBBH", 1, 0x800, 6, 4, op) + smac + sip + tmac + tip, dst))


def second(ms=1000):
    return rec(TIME, b"", ms)


quote4 = ip4(17, udp(40000, 60, b"lost")[:12], src=A4, dst=B4)
quote6 = ip6(17, udp(40000, 68, b"lost"), src=A6, dst=B6)
syn = b"\x02\x04\x05\xb4\x04\x02\x08\x0a\0\0\0\x01\0\0\0\0\x01\x03\x03\x07"
mac = lambda t: bytes([t, 1]) + PEER
prefix = struct.pack(">BBBBIII", 3, 4, 64, 0xc0, 7200, 3600, 0) + six("2001:db8:1::")
seeds = {
    "arp": arp(1, PEER, B4, bytes(6), A4) + arp(2, PEER, B4, US, A4) + arp(1, PEER, B4, bytes(6), B4, b"\xff" * 6) + second(),
    "udp4": f4(17, udp(60, 7, b"hello")) + f4(17, udp(1, 99, b"none")) + rec(ENDPOINT, b"\0\0") + rec(ENDPOINT, b"\0\3\0\7\0data"),
    "udp6": f6(17, udp(68, 7, b"hello")) + f6(17, udp(1, 99, b"none")) + rec(ENDPOINT, b"\0\3\1\7\0data") + second(5000),
    "group": f4(17, udp(9, 12, b"all"), dst=socket.inet_aton("224.1.2.3")) + f4(17, udp(9, 12, b"all"), dst=b"\xff" * 4),
    "frag4": f4(17, udp(60, 7, bytes(24)), frag=0x2000) + f4(17, bytes(40), frag=4),
    "overlap4": f4(17, bytes(32), frag=0x2000, ident=2) + f4(17, bytes(32), frag=0x2003, ident=2) + second(31000),
    "frag6": f6(44, struct.pack(">BBHI", 17, 0, 1, 7) + udp(68, 7, bytes(16))) + f6(44, struct.pack(">BBHI", 17, 0, 24, 7) + bytes(5)),
    "atomic6": f6(44, struct.pack(">BBHI", 17, 0, 0, 7) + udp(68, 7, b"atom")),
    "ext6": f6(0, bytes([60, 0, 5, 2, 0, 0, 1, 0]) + bytes([43, 0, 1, 4, 0, 0, 0, 0]) + bytes([17, 0, 0, 0, 0, 0, 0, 0]) + udp(68, 7, b"x")),
    "badopt6": f6(60, bytes([17, 0, 0xc2, 4, 0, 0, 0, 0]) + udp(68, 7, b"x")),
    "options4": f4(17, udp(60, 7, b"o"), options=b"\x94\4\0\0\x07\x07\4\0\0\0\0\0") + f4(17, udp(60, 7, b"o"), options=b"\x83\7\4\1\2\3\4\0"),
    "ping4": f4(1, icmp(8, 0, b"\0\5\0\1ping")) + f4(1, icmp(0, 0, b"\0\5\0\1pong")) + rec(ENDPOINT, b"\5\3\0\0\0\x08\0\0\0\0\0\0\1x"),
    "ping6": f6(58, icmp(128, 0, b"\0\5\0\1ping")) + f6(58, icmp(129, 0, b"\0\5\0\1pong")),
    "errors4": b"".join(f4(1, icmp(t, c, struct.pack(">HH", 0, 1000) + quote4)) for t, c in ((3, 0), (3, 1), (3, 3), (3, 4), (11, 0), (12, 0), (5, 1))),
    "errors6": b"".join(f6(58, icmp(t, c, struct.pack(">I", 1300) + quote6)) for t, c in ((1, 0), (1, 4), (2, 0), (3, 0), (4, 1))),
    "nd": f6(58, icmp(135, 0, bytes(4) + A6 + mac(1)), hops=255) + f6(58, icmp(136, 0, b"\x60\0\0\0" + B6 + mac(2)), hops=255)
        + f6(58, icmp(135, 0, bytes(4) + A6), src=bytes(16), dst=six("ff02::1:ff00:1"), hops=255),
    "ra": second(2000) + f6(58, icmp(134, 0, struct.pack(">BBHII", 64, 0, 1800, 30000, 1000) + prefix + b"\5\1\0\0" + struct.pack(">I", 1400) + mac(1)), src=L6, dst=six("ff02::1"), hops=255) + second(60000),
    "igmp": b"".join(f4(2, struct.pack(">BBH", 0x11, r, 0) + socket.inet_aton(g), dst=socket.inet_aton("224.0.0.1"), ttl=1) + second(11000) for r, g in ((100, "0.0.0.0"), (0, "0.0.0.0"), (10, "224.1.2.3"))),
    "mld": f6(0, bytes([58, 0, 5, 2, 0, 0, 1, 0]) + icmp(130, 0, struct.pack(">HH", 1000, 0) + bytes(16)), src=L6, dst=six("ff02::1"), hops=1) + second(2000),
    "tcp": f4(6, tcp(5000, 7, 100, 0, 2, options=syn)) + f4(6, tcp(5000, 7, 101, 1, 0x10)) + f4(6, tcp(5000, 7, 101, 1, 0x18, b"data"))
        + rec(ENDPOINT, b"\x0b\4") + f4(6, tcp(5000, 7, 105, 1, 0x11)) + second(1000) + f4(6, tcp(5000, 7, 100, 0, 4)),
    "tcp6": f6(6, tcp(5000, 7, 100, 0, 2, options=syn)) + second(3000) + f6(6, tcp(5000, 9, 100, 0, 2)),
    "bare": rec(BARE, ip4(17, udp(60, 7, b"bare"), dst=socket.inet_aton("198.51.100.1"), src=socket.inet_aton("198.51.100.3"))),
    "gateway": rec(GATEWAY, ether(0x800, ip4(17, udp(60, 11, b"dns?"), dst=b"\x08\x08\x08\x08", src=socket.inet_aton("10.0.2.15"))))
        + rec(GATEWAY, ether(0x800, ip4(6, tcp(5000, 80, 1, 0, 2, options=syn), dst=b"\x08\x08\x08\x08", src=socket.inet_aton("10.0.2.15"))))
        + rec(GATEWAY, ether(0x806, struct.pack(">HHBBH", 1, 0x800, 6, 4, 1) + PEER + socket.inet_aton("10.0.2.15") + bytes(6) + b"\x08\x08\x08\x08")),
    "offload": rec(OFFLOAD, b"\x01\3" + struct.pack("<HHHH", 34, 6, 8, 42) + ether(0x800, ip4(17, udp(60, 7, bytes(30)))))
        + rec(OFFLOAD, b"\x01\1" + struct.pack("<HHHH", 34, 16, 100, 54) + ether(0x800, ip4(6, tcp(5000, 7, 101, 1, 0x18, bytes(300))))),
    "raw": f4(200, b"raw") + f4(201, b"nobody") + rec(ENDPOINT, b"\x08\3\0\0\0out") + rec(ENDPOINT, b"\7\3\1\0\0\x80\0\0\0\0\0\0\0"),
}
os.makedirs(sys.argv[1], exist_ok=True)
for name, data in seeds.items():
    for policy in (0, 1):
        with open(os.path.join(sys.argv[1], f"{name}-{policy}"), "wb") as f:
            f.write(bytes([policy]) + data)
