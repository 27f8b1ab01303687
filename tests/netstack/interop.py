#!/usr/bin/env python3
"""netstack against the Linux stack over a veth: ICMP and UDP of both families, both ways, with
fragments and segmentation offload. Runs in a network namespace of its own (interop.sh)."""
import errno
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time

PROGRAM = sys.argv[1]
LINUX4, LINUX6, OURS4, OURS6 = "10.99.0.1", "fd00:99::1", "10.99.0.2", "fd00:99::2"
UDP_SEGMENT = 103
failed = False


def sh(command):
    subprocess.run(command.split(), check=True)


def check(name, ok, detail=""):
    global failed
    failed |= not ok
    print(f"{'ok' if ok else 'not ok'} {name}{f': {detail}' if detail and not ok else ''}", flush=True)


class Stack:
    def __init__(self):
        self.process = subprocess.Popen(
            ["unshare", "-n", PROGRAM, "vb", "02:00:00:00:99:02", OURS4 + "/24", OURS6 + "/64"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        own = os.readlink("/proc/self/ns/net")
        while os.readlink(f"/proc/{self.process.pid}/ns/net") == own:
            time.sleep(0.01)
        sh(f"ip link set vb netns {self.process.pid}")
        sh(f"nsenter -t {self.process.pid} -n ip link set vb up")
        assert self.line() == "ready"

    def line(self, seconds=5):
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        return self.process.stdout.readline().strip() if ready else "nothing"

    def say(self, text):
        self.process.stdin.write(text + "\n")
        return self.line()


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ping(family, address, size):
    v6 = family == socket.AF_INET6
    s = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP)
    s.settimeout(5)
    body = os.urandom(size)
    head = lambda c: struct.pack(">BBHHH", 128 if v6 else 8, 0, c, 77, size & 0xffff)
    s.sendto(head(0 if v6 else checksum(head(0) + body)) + body, (address, 0))
    end = time.time() + 5
    while time.time() < end:
        reply = s.recv(65536)[0 if v6 else 20:]
        if reply[0] == (129 if v6 else 0) and reply[4:8] == struct.pack(">HH", 77, size & 0xffff):
            return reply[8:] == body
    return False


def echo(s, address, size):
    body = os.urandom(size)
    s.sendto(body, (address, 7))
    return s.recv(65536) == body


def udp_checks(family, address, name):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.settimeout(5)
    for size in (0, 1, 1400, 1473, 9000, 60000):
        check(f"UDP echo over {name}, {size} bytes", echo(s, address, size))
    s.setsockopt(socket.SOL_UDP, UDP_SEGMENT, 1000)
    body = os.urandom(20500)
    s.sendto(body, (address, 7))
    got = b"".join(s.recv(65536) for _ in range(21))
    check(f"UDP echo over {name}, segmented by the link", got == body)
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.settimeout(5)
    s.connect((address, 99))
    s.send(b"x")
    try:
        s.recv(1)
        check(f"a closed port over {name}", False)
    except OSError as e:
        check(f"a closed port over {name}", e.errno == errno.ECONNREFUSED, str(e))


def tcp_echo(family, address, size):
    s = socket.create_connection((address, 7), 10)
    body = os.urandom(size)
    writer = threading.Thread(target=lambda: (s.sendall(body), s.shutdown(socket.SHUT_WR)))
    writer.start()
    got = b""
    while chunk := s.recv(1 << 20):
        got += chunk
    writer.join()
    s.close()
    return got == body


def tcp_checks(family, address, name):
    for size in (0, 1, 1448, 100000, 20000000):
        check(f"TCP echo over {name}, {size} bytes", tcp_echo(family, address, size))
    try:
        socket.create_connection((address, 99), 10)
        check(f"a closed TCP port over {name}", False)
    except ConnectionRefusedError:
        check(f"a closed TCP port over {name}", True)


def serve_once(family, address):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.bind((address, 0))
    s.settimeout(5)
    return s


def outward_checks(stack, family, address, name):
    s = serve_once(family, address)
    stack.process.stdin.write(f"send {address} {s.getsockname()[1]} question\n")
    data, peer = s.recvfrom(100)
    s.sendto(b"answer", peer)
    check(f"a question and its answer over {name}", data == b"question" and stack.line() == "got answer")
    for size in (56, 5000, 50000):
        answer = stack.say(f"ping {address} {size}")
        check(f"ping of Linux over {name}, {size} bytes", answer == f"pong {size}", answer)


def main():
    sh("ip link set lo up")
    sh("ip link add va type veth peer name vb")
    sh("sysctl -qw net.ipv6.conf.va.accept_dad=0")
    sh(f"ip addr add {LINUX4}/24 dev va")
    sh(f"ip addr add {LINUX6}/64 dev va nodad")
    sh("ip link set va up")
    stack = Stack()
    end = time.time() + 10
    while "LOWER_UP" not in subprocess.check_output(["ip", "link", "show", "va"], text=True) and time.time() < end:
        time.sleep(0.05)
    for family, address, name, linux in ((socket.AF_INET, OURS4, "IPv4", LINUX4),
                                         (socket.AF_INET6, OURS6, "IPv6", LINUX6)):
        for size in (0, 56, 1452, 8000, 65000):
            check(f"ping over {name}, {size} bytes", ping(family, address, size))
        udp_checks(family, address, name)
        tcp_checks(family, address, name)
        outward_checks(stack, family, linux, name)
    stack.process.stdin.close()
    check("the stack has ended well", stack.process.wait(5) == 0)
    return failed


if __name__ == "__main__":
    sys.exit(main())
