#!/bin/bash
# Replays configurations with members removed, retyped and made absurd through
# the parser of config.json, with sanitizers. FUZZ_ROUNDS sets how many.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
gcc -std=gnu17 -D_GNU_SOURCE -I. -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all \
	-o "$dir/fuzz_config" tests/fuzz/config/fuzz_config.c runtime/config*.c runtime/error.c \
	common/mem.c common/log.c common/host*.c -lunwind -ljansson -lpthread
python3 tests/integration/bundle.py / "$dir" 0 sh -c true
FUZZ_ROUNDS=${FUZZ_ROUNDS:-600} python3 - "$dir" <<'PY'
import copy, json, os, random, subprocess, sys
base = json.load(open(sys.argv[1] + "/config.json"))
base["linux"]["resources"] = {"memory": {"limit": 1 << 26}, "pids": {"limit": 10}, "cpu": {"shares": 5}}
base["linux"]["devices"] = [{"path": "/dev/x", "type": "c", "major": 1, "minor": 3}]
base["hooks"] = {"prestart": [{"path": "/bin/true", "args": ["x"], "env": ["A=b"], "timeout": 1}]}
random.seed(7)
ABSURD = [None, True, -1, 0, 1 << 62, 1.5, "", "x" * 5000, "\u0000", "../../..", [], {}, [None], {"": None}]

def places(o, path=()):
    yield path
    for k in (o if isinstance(o, dict) else range(len(o)) if isinstance(o, list) else ()):
        yield from places(o[k], path + (k,))

def mutate():
    o = copy.deepcopy(base)
    for _ in range(random.randint(1, 3)):
        path = random.choice([p for p in places(o) if p])
        at = o
        for k in path[:-1]:
            at = at[k]
        if random.random() < 0.3:
            del at[path[-1]]
        else:
            at[path[-1]] = copy.deepcopy(random.choice(ABSURD))
    return json.dumps(o).encode()

rounds, bad = int(os.environ["FUZZ_ROUNDS"]), 0
for i in range(rounds):
    data = mutate()
    r = subprocess.run([sys.argv[1] + "/fuzz_config"], input=data, capture_output=True)
    if r.returncode:
        bad += 1
        print(f"not ok mutation {i}: {r.stderr.decode(errors='replace')[:600]!r} {data[:200]!r}")
if not bad:
    print(f"ok {rounds} configurations")
PY
