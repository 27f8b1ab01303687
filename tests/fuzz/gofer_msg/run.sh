#!/bin/bash
# Replays the corpus and made-up messages through the gofer's handlers, with sanitizers.
# `run.sh make-corpus` writes the corpus anew.
set -euo pipefail
here=tests/fuzz/gofer_msg
if [ "${1:-}" = make-corpus ]; then
	exec python3 - "$here/corpus" <<'PY'
import os, struct, sys
out = sys.argv[1]
os.makedirs(out, exist_ok=True)
W, OPEN, CREATE, TMP, READDIR, CLOSEDIR, CHAN, CONN, REMOVE = range(0x10000, 0x10009)
def msg(op, node=1, body=b"", length=None):
    m = struct.pack("<IIQQIIIHH", length if length is not None else 40 + len(body), op, 1, node, 0, 0, 0, 0, 0) + body
    return struct.pack("<H", len(m)) + m
init = msg(26, 1, struct.pack("<IIIII", 7, 38, 0, 0, 1 << 31) + bytes(44))
def walk(*names): return msg(W, 1, struct.pack("<II", len(names), 0) + b"".join(n + b"\0" for n in names))
N = lambda i: 1 << 32 | i
files = {
    "walk": init + walk(b"dir", b"deep") + walk(b"a") + walk(b"none", b"x") + msg(3, N(2), bytes(16)),
    "escape": init + walk(b"..") + walk(b"up", b"x") + walk(b"dir/../..") + msg(1, 1, b"..\0") + msg(1, 1, b"a/b\0")
        + walk(b"link") + msg(OPEN, N(2), bytes(8)) + msg(READDIR, N(2), struct.pack("<QQII", 0, 0, 4096, 0)),
    "open": init + walk(b"a") + msg(OPEN, N(2), struct.pack("<II", 2, 0)) + msg(OPEN, N(2), struct.pack("<II", 3, 0))
        + walk(b"fifo") + msg(OPEN, N(3), bytes(8)),
    "create": init + msg(CREATE, 1, struct.pack("<IIII", 2, 0o4755, 0, 0) + b"new\0") + msg(9, 1, struct.pack("<II", 0o755, 0) + b"d\0")
        + msg(6, 1, b"sl\0target\0") + msg(8, 1, struct.pack("<IIII", 0o20666, 0x103, 0, 0) + b"null\0")
        + msg(TMP, 1, struct.pack("<IIII", 2, 0o600, 0, 0)) + msg(10, 1, b"new\0") + msg(11, 1, b"d\0"),
    "rename": init + walk(b"a") + walk(b"dir") + msg(45, 1, struct.pack("<QII", N(3), 2, 0) + b"a\0b\0")
        + msg(45, 1, struct.pack("<QII", N(3), 0, 0) + b"dir\0x\0") + msg(13, N(3), struct.pack("<Q", N(2)) + b"hard\0")
        + msg(REMOVE, N(3), struct.pack("<QII", N(2), 0, 0) + b"a\0"),
    "readdir": init + msg(READDIR, 1, struct.pack("<QQII", 0, 0, 512, 0)) + msg(READDIR, 1, struct.pack("<QQII", 1 << 32 | 1, 0, 512, 1))
        + msg(READDIR, 1, struct.pack("<QQII", 1 << 32 | 1, 1 << 62, 65536, 0)) + msg(CLOSEDIR, 1, struct.pack("<Q", 1 << 32 | 1))
        + msg(CLOSEDIR, 1, struct.pack("<Q", 1 << 32 | 1)),
    "xattr": init + walk(b"a") + msg(21, N(2), struct.pack("<II", 5, 0) + b"user.k\0value") + msg(22, N(2), struct.pack("<II", 64, 0) + b"user.k\0")
        + msg(21, N(2), struct.pack("<II", 1 << 31, 0) + b"user.k\0v") + msg(23, N(2), bytes(8)) + msg(24, N(2), b"trusted.x\0"),
    "forget": init + walk(b"a") + msg(2, N(2), struct.pack("<Q", 1 << 63)) + msg(3, N(2), bytes(16)) + msg(2, 1, struct.pack("<Q", 5))
        + msg(42, 1, struct.pack("<II", 1 << 30, 0) + struct.pack("<QQ", N(2), 1)),
    "short": b"".join(msg(op, 1, b"", n) for op in list(range(52)) + list(range(W, W + 12)) for n in (40, 41, 0))
        + b"".join(msg(op, 1, bytes(n)) for op in list(range(52)) + [W, OPEN, CREATE, TMP, READDIR, CLOSEDIR, REMOVE] for n in (1, 7, 8, 9, 16, 24, 88)),
    "names": init + walk(b"n" * 255) + walk(b"n" * 256) + msg(W, 1, struct.pack("<II", 16, 0) + b"a\0" * 15) + msg(W, 1, struct.pack("<II", 17, 0) + b"a\0" * 17)
        + msg(1, 1, b"no end") + msg(6, 1, b"s\0" + b"t" * 5000 + b"\0") + msg(6, 1, b"s\0\0"),
}
for name, data in files.items():
    open(os.path.join(out, name), "wb").write(data)
PY
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
gcc -std=gnu17 -D_GNU_SOURCE -I. -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -pthread \
	-o "$dir/fuzz" "$here/fuzz_gofer_msg.c" gofer/{attr,channel,dir,names,node,server,xattr}.c \
	common/{mem,log,host,host_file,host_memfd,host_sched,host_shared,host_tree,host_thread}.c -lunwind
for f in "$here"/corpus/*; do
	if timeout 60 "$dir/fuzz" <"$f" >"$dir/log" 2>&1; then
		echo "ok ${f##*/}"
	else
		echo "not ok ${f##*/}"
		tail -n 30 "$dir/log"
	fi
done
for seed in 1 2 3 4; do
	if timeout 120 "$dir/fuzz" $seed 20000 >"$dir/log" 2>&1; then
		echo "ok 20000 messages from seed $seed"
	else
		echo "not ok messages from seed $seed"
		tail -n 30 "$dir/log"
	fi
done
