#!/bin/bash
# Parses mutated configurations with sanitizers: bytes, values of other types, missing and
# doubled members. A crash, a leak or an error without a message is a failure.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
gcc -std=gnu17 -D_GNU_SOURCE -I. -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all \
	-o "$dir/fuzz" tests/fuzz/oci_config/fuzz_oci_config.c runtime/config.c runtime/config_get.c \
	runtime/config_hooks.c runtime/config_mounts.c runtime/config_process.c runtime/config_seccomp.c runtime/error.c runtime/json_text.c \
	common/host.c common/host_setup.c \
	common/mem.c common/log.c -ljansson -lseccomp -lunwind -lpthread
python3 - "$dir" "${FUZZ_ROUNDS:-500}" <<'PY'
import copy, json, random, subprocess, sys
fuzz, rounds = sys.argv[1] + "/fuzz", int(sys.argv[2])
random.seed(5)
base = {
    "ociVersion": "1.0.2", "hostname": "h", "domainname": "d",
    "process": {"terminal": True, "consoleSize": {"height": 1, "width": 2},
                "user": {"uid": 1, "gid": 2, "umask": 18, "additionalGids": [3]},
                "args": ["a", "b"], "env": ["A=b"], "cwd": "/",
                "capabilities": {"bounding": ["CAP_KILL"], "ambient": []},
                "rlimits": [{"type": "RLIMIT_CORE", "soft": 1, "hard": 2}],
                "noNewPrivileges": True, "oomScoreAdj": 1},
    "root": {"path": "/", "readonly": True},
    "mounts": [{"destination": "/proc", "type": "proc", "source": "proc", "options": ["ro"]},
               {"destination": "/b", "type": "bind", "source": "/", "options": ["rbind", "x=1"]}],
    "hooks": {"prestart": [{"path": "/a", "args": ["x"], "env": ["E=1"], "timeout": 3}]},
    "annotations": {"a": "b"},
    "linux": {"namespaces": [{"type": "pid"}, {"type": "network", "path": "/x"}],
              "devices": [{"path": "/dev/x", "type": "c", "major": 1, "minor": 2, "fileMode": 438}],
              "cgroupsPath": "/x", "maskedPaths": ["/a"], "readonlyPaths": ["/b"],
              "sysctl": {"a.b": "c"}, "uidMappings": [{"hostID": 0, "containerID": 0, "size": 1}],
              "resources": {"memory": {"limit": 1, "swap": 2}, "pids": {"limit": 3},
                            "cpu": {"quota": 1, "period": 2, "cpus": "0", "shares": 4}}},
}
odd = [None, True, 0, -1, 1 << 62, 18446744073709551615, 10 ** 30, 1.5, "", "a\0b", "/", "../x",
       "x" * 5000, [], [[]], {}, {"a": 1}, [None], ["", 1]]
def places(o, out):
    for k in list(o) if isinstance(o, dict) else range(len(o)):
        out.append((o, k))
        if isinstance(o[k], (dict, list)):
            places(o[k], out)
    return out
def mutant():
    o = copy.deepcopy(base)
    for _ in range(random.randint(1, 3)):
        where, key = random.choice(places(o, []))
        what = random.random()
        try:
            if what < 0.2 and isinstance(where, dict):
                del where[key]
            elif what < 0.3 and isinstance(where, list):
                where.append(copy.deepcopy(where[key]))
            else:
                where[key] = copy.deepcopy(random.choice(odd))
        except (KeyError, IndexError):
            pass
    text = bytearray(json.dumps(o).encode())
    if random.random() < 0.3:
        for _ in range(random.randint(1, 4)):
            text[random.randrange(len(text))] = random.choice(b'"{}[]:,\\\0\xff9-e.')
    if random.random() < 0.1:
        del text[random.randrange(len(text)):]
    return bytes(text)
bad = 0
for i in range(rounds):
    data = mutant()
    r = subprocess.run([fuzz], input=data, capture_output=True)
    if r.returncode:
        bad += 1
        print(f"not ok mutation {i}: {r.stderr.decode(errors='replace')[:800]} {data[:300]}")
if not bad:
    print(f"ok {rounds} mutated configurations")
PY
