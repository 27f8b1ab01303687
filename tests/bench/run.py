#!/usr/bin/env python3
"""Compares native, crun, runsc and Garrison; prints and writes a table of ratios.

    tests/bench/run.py --root ROOT --build build [--rounds 3] [--only NAME] [--out FILE]

ROOT is a Debian root as tests/rootfs/make.sh makes it. All run the same programs
from it, in turn, so that a drift of the machine hits all alike; each figure is
the median over the rounds. Native means chroot.
"""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

CAPS = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_SETGID",
        "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_KILL", "CAP_SYS_CHROOT"]


def config(root, argv):
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False, "user": {"uid": 0, "gid": 0}, "args": argv, "cwd": "/bench",
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"],
            "capabilities": {k: CAPS for k in ("bounding", "effective", "permitted")},
            "noNewPrivileges": True,
        },
        "root": {"path": root, "readonly": False},
        "hostname": "bench",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
             "options": ["nosuid", "noexec", "nodev", "mode=1777"]},
        ],
        "linux": {"namespaces": [{"type": t} for t in ("pid", "ipc", "uts", "mount", "network")]},
    }


class Runtime:
    def __init__(self, name, command, root):
        self.name, self.command, self.root = name, command, root
        self.count = 0

    def argv(self, program, bundle):
        if not self.command:
            return ["chroot", self.root, "/bin/sh", "-c", 'cd /bench; exec "$@"', "sh", *program]
        with open(f"{bundle}/config.json", "w") as f:
            json.dump(config(self.root, program), f)
        self.count += 1
        return [*self.command, "run", "--bundle", bundle, f"bench-{os.getpid()}-{self.count}"]

    def run(self, program, timeout=600):
        """(wall ns, output), or None if it failed."""
        with tempfile.TemporaryDirectory() as bundle:
            argv = self.argv(program, bundle)
            start = time.monotonic_ns()
            try:
                p = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                   timeout=timeout, check=False)
            except subprocess.TimeoutExpired:
                return None
            wall = time.monotonic_ns() - start
        if p.returncode:
            print(f"{self.name}: {program}: exit {p.returncode}: {p.stderr[-300:]}")
        return wall, p.stdout


def runtimes(args):
    yield Runtime("native", None, args.root)
    if shutil.which("crun"):
        yield Runtime("crun", ["crun", "--cgroup-manager=disabled"], args.root)
    if shutil.which("runsc"):
        yield Runtime("runsc", ["runsc", "--platform=systrap", "--network=none", "--overlay2=none",
                                "--ignore-cgroups"], args.root)
    for platform in ("systrap", "ptrace"):
        yield Runtime(f"garrison {platform}", [f"{args.build}/bin/garrison", f"--platform={platform}"],
                      args.root)


def collect(rt, results, args):
    for program in (["/bench/micro"], ["python3", "/bench/whole.py"]):
        if args.only:
            program += args.only.split(",")
        got = rt.run(program)
        for line in got[1].splitlines() if got else []:
            name, ns = line.split("\t")
            results.setdefault(name, {}).setdefault(rt.name, []).append(float(ns))
    if not args.only or args.only in "start of /bin/true":
        for _ in range(5):
            got = rt.run(["/bin/true"])
            if got:
                results.setdefault("start of /bin/true", {}).setdefault(rt.name, []).append(got[0])


def machine():
    cpu = re.search(r"model name\s*: (.*)", open("/proc/cpuinfo").read())[1]
    mem = int(re.search(r"MemTotal:\s*(\d+)", open("/proc/meminfo").read())[1]) // 2**20
    return f"{os.cpu_count()} x {cpu} (virtual machine), {mem} GiB, Linux {os.uname().release}"


def human(ns):
    for unit, scale in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if ns >= scale:
            return f"{ns / scale:.3g} {unit}"
    return f"{ns:.3g} ns"


def table(results, names):
    others = [n for n in names if n != "native"]
    lines = ["| what | native | " + " | ".join(others) + " |", "|---|---|" + "---|" * len(others)]
    for what, by in results.items():
        base = statistics.median(by["native"]) if by.get("native") else None
        cells = [f"{statistics.median(by[n]) / base:.2f}" if base and by.get(n) else "failed"
                 for n in others]
        lines.append(f"| {what} | {human(base) if base else '?'} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def leave_hybrid_cgroups():
    """crun refuses hybrid cgroups: go on in a mount namespace without the v2 half."""
    hybrid = "/sys/fs/cgroup/unified"
    if os.path.ismount(hybrid):
        script = f'umount {hybrid}; exec "$@"'
        os.execvp("unshare", ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, *sys.argv])


def main():
    leave_hybrid_cgroups()
    ap = argparse.ArgumentParser()
    ap.add_argument("--root", required=True)
    ap.add_argument("--build", default="build")
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--only", default="")
    ap.add_argument("--out")
    ap.add_argument("--runtimes", default="", help="comma list; default: all that are installed")
    args = ap.parse_args()
    args.build = os.path.abspath(args.build)
    here = os.path.dirname(os.path.abspath(__file__))
    os.makedirs(f"{args.root}/bench/work", exist_ok=True)
    shutil.copy(f"{args.build}/tests/bench/micro", f"{args.root}/bench/micro")
    shutil.copy(f"{here}/whole.py", f"{args.root}/bench/whole.py")
    if not os.path.isdir(f"{args.root}/bench/in/repo"):
        subprocess.run(["chroot", args.root, "python3", "/bench/whole.py", "setup"], check=True)
    all_rt = [r for r in runtimes(args) if not args.runtimes or r.name in args.runtimes.split(",")]
    results = {}
    for n in range(args.rounds):
        for rt in all_rt:
            print(f"round {n + 1}: {rt.name}", flush=True)
            collect(rt, results, args)
    text = table(results, [r.name for r in all_rt])
    print(text)
    if args.out:
        with open(args.out, "w") as f:
            f.write("# Benchmarks\n\nMade by `make bench`. Native: time per operation; the others: "
                    "ratios to native\n(1.00 is native speed, lower is better), medians of "
                    f"{args.rounds} alternating rounds.\n\nMachine: {machine()}.\n\n{text}\n")


main()
