"""kill.py GARRISON STATE BUNDLE ROUNDS SEED: starts containers and kills one of our processes
with SIGKILL at a random moment; then `delete --force` must leave nothing: no process, no state,
no cgroup, no mount. Prints one line of result per kind of victim."""
import json
import os
import random
import subprocess
import sys
import time

GARRISON, STATE, BUNDLE = sys.argv[1:4]
ROUNDS = int(sys.argv[4])
rng = random.Random(int(sys.argv[5]))
VICTIMS = ("create", "run", "sentry", "gofer", "monitor", "start", "exec", "delete", "stub")


def g(*args, **kw):
    return subprocess.Popen([GARRISON, "--root", STATE, "--overlay", "memory", *args],
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, **kw)


def processes():
    """All processes: name, parent, state."""
    procs = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as f:
                text = f.read()
            name = text[text.index("(") + 1:text.rindex(")")]
            state, ppid = text[text.rindex(")") + 2:].split()[:2]
            procs[int(pid)] = (name, int(ppid), state)
        except OSError:
            pass
    return procs


def refs(cid):
    try:
        with open(f"{STATE}/{cid}/state.json") as f:
            o = json.load(f)
        return {k: o[k]["pid"] for k in ("sentry", "gofer", "monitor")}
    except (OSError, ValueError):
        return {}


def kill(pid):
    try:
        if pid > 1:
            os.kill(pid, 9)
    except ProcessLookupError:
        pass


def children(pid):
    return [p for p, (_, ppid, _) in processes().items() if ppid == pid]


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def one(victim, cid):
    seen = set()

    def note():
        for pid in refs(cid).values():
            if pid:
                seen.add(pid)
                seen.update(children(pid))

    if victim in ("create", "run"):
        p = g(victim, "--bundle", BUNDLE, cid)
        time.sleep(rng.uniform(0, 0.05))
        note()
        kill(p.pid)
        p.wait()
    else:
        if g("create", "--bundle", BUNDLE, cid).wait() != 0:
            return "create failed"
        note()
        if victim == "start":
            p = g("start", cid)
            time.sleep(rng.uniform(0, 0.02))
            kill(p.pid)
            p.wait()
        elif g("start", cid).wait() != 0:
            return "start failed"
        note()
        if victim == "exec":
            p = g("exec", cid, "/bin/sleep", "5")
            time.sleep(rng.uniform(0, 0.05))
            kill(p.pid)
            p.wait()
        elif victim == "delete":
            p = g("delete", "--force", cid)
            time.sleep(rng.uniform(0, 0.02))
            kill(p.pid)
            p.wait()
        elif victim == "stub":
            time.sleep(rng.uniform(0, 0.05))
            stubs = children(refs(cid)["sentry"])
            if stubs:
                kill(rng.choice(stubs))
        elif victim in ("sentry", "gofer", "monitor"):
            time.sleep(rng.uniform(0, 0.05))
            kill(refs(cid)[victim])
        note()
    try:
        code = g("delete", "--force", cid).wait(timeout=20)
    except subprocess.TimeoutExpired:
        return "delete --force hangs"
    if code:
        return f"delete --force: exit {code}"
    if os.path.exists(f"{STATE}/{cid}"):
        return "the state is left"
    end = time.time() + 3
    while any(map(alive, seen)) and time.time() < end:
        time.sleep(0.05)
    left = [p for p in seen if alive(p)]
    if left:
        for p in left:
            kill(p)
        return f"processes are left: {left}"
    for base, dirs, _ in os.walk("/sys/fs/cgroup"):
        if base.count("/") > 4:
            dirs.clear()
        if cid in dirs:
            return f"the cgroup {base}/{cid} is left"
    return None


def programs():
    """Pids of running programs of this build."""
    libexec = os.path.realpath(os.path.join(os.path.dirname(GARRISON), "../libexec/garrison"))
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/exe").startswith(libexec) and alive(pid):
                found.add(int(pid))
        except OSError:
            pass
    return found


before = programs()
for victim in VICTIMS:
    problems = []
    for i in range(ROUNDS):
        why = one(victim, f"k{victim}{i}")
        if why:
            problems.append(f"round {i}: {why}")
    print(f"not ok SIGKILL of {victim} ({'; '.join(problems[:3])})" if problems
          else f"ok SIGKILL of {victim} at {ROUNDS} random moments", flush=True)

deadline = time.time() + 5
while programs() - before and time.time() < deadline:
    time.sleep(0.1)
left = programs() - before
for pid in left:
    kill(pid)
print(f"not ok no program of ours is left ({left})" if left else "ok no program of ours is left")
