#!/bin/bash
# Replays real ELF files and deterministic mutations of their headers through
# the parsers, with sanitizers.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
gcc -std=gnu17 -D_GNU_SOURCE -I. -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all \
	-o "$dir/fuzz_elf" tests/fuzz/elf/fuzz_elf.c sentry/kernel/elf.c \
	sentry/kernel/binfmt_script.c common/mem.c common/log.c common/host.c -lunwind -lpthread
python3 - "$dir" <<'PY'
import os, random, subprocess, sys
fuzz = sys.argv[1] + "/fuzz_elf"
random.seed(20)
seeds = [open(p, "rb").read(1 << 16) for p in ("/bin/true", "/lib64/ld-linux-x86-64.so.2", fuzz)]
seeds += [b"#!/bin/sh -e\n", b"#!" + b"a" * 300, b"#!/x " + b"b" * 300, b""]
interesting = [0, 1, 7, 8, 0x7f, 0x80, 0xff]
def mutate(s):
    b = bytearray(s)
    for _ in range(random.randint(0, 8)):
        if not b:
            break
        at = random.randrange(min(len(b), 64 + 56 * 13))
        if random.random() < 0.3:
            at &= ~7
            b[at:at + 8] = random.choice([0, 1, 0x1000, 1 << 31, 1 << 47, (1 << 63) - 1, (1 << 64) - 1]).to_bytes(8, "little")
        else:
            b[at] = random.choice(interesting)
    return bytes(b[:random.choice([len(b)] * 6 + [64, 100, random.randrange(len(b) + 1)])])
bad = 0
for i in range(int(os.environ.get("FUZZ_ROUNDS", 600))):
    data = mutate(random.choice(seeds))
    r = subprocess.run([fuzz], input=data, capture_output=True)
    if r.returncode:
        bad += 1
        print(f"not ok mutation {i}: {r.stderr.decode(errors='replace')[:600]}")
if not bad:
    print("ok mutated files")
PY
