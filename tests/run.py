#!/usr/bin/env python3
"""Runs the tests and counts them.

unit         build/tests/unit/*/*: Check programs; each check counts
guest        build/tests/guest/*: run natively and in the sandbox, on both
             platforms; output and exit code must be the same. The fs_ tests
             also on each kind of file system that a root or a mount may be
integration  tests/integration/*.sh: print `ok NAME`, `not ok NAME`, `skip NAME: why`
security     tests/security/*.sh: the same
fuzz         tests/fuzz/*/run.sh: replay of the corpus; the same

The last line is `N passed, N failed[, N skipped]`.
"""
import argparse
import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PLATFORMS = tuple(os.environ.get("GARRISON_PLATFORMS", "systrap ptrace").split())
lock = threading.Lock()
totals = {"passed": 0, "failed": 0, "skipped": 0}
failures = []


def report(kind, name, detail=""):
    with lock:
        totals[kind] += 1
        if kind == "failed":
            failures.append(name)
        if kind != "passed":
            print(f"{kind}: {name}{': ' + detail if detail else ''}", flush=True)


def kill_writers(pipe):
    """Kills whoever still holds the pipe's other end: what left the process group."""
    name = os.readlink(f"/proc/self/fd/{pipe.fileno()}")
    for fd in glob.glob("/proc/[0-9]*/fd/*"):
        pid = int(fd.split("/")[2])
        try:
            if pid != os.getpid() and os.readlink(fd) == name:
                os.kill(pid, 9)
        except OSError:
            pass


def run(argv, timeout, cwd=None, env=None):
    """Output and exit code; 124 after a time-out, with everything it started killed."""
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, cwd=cwd, env=env, start_new_session=True) as p:
        try:
            out, err = p.communicate(timeout=timeout)
            return out, err, p.returncode
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, 9)
            kill_writers(p.stdout)
            out, err = p.communicate()
            return out, err + b"\n(timed out)", 124


def unit_test(path, build):
    name = "unit/" + os.path.relpath(path, f"{build}/tests/unit")
    # Check's own limit of 4 s for a test is short of what a busy host may take.
    out, err, code = run([path], 300, env={"ASAN_OPTIONS": "detect_leaks=1", **os.environ,
                                           "CK_VERBOSITY": "normal", "CK_DEFAULT_TIMEOUT": "60"})
    text = out.decode(errors="replace")
    m = re.search(r"Checks: (\d+), Failures: (\d+), Errors: (\d+)", text)
    if not m:
        report("failed", name, f"no result (exit {code}) {err.decode(errors='replace')[-300:]}")
        return
    checks, bad = int(m[1]), int(m[2]) + int(m[3])
    with lock:
        totals["passed"] += checks - bad
    for line in [l for l in text.splitlines() if re.search(r":[FE]:", l)]:
        report("failed", name, line)
    if code and not bad:
        report("failed", name, f"exit {code}: {err.decode(errors='replace')[-500:]}")


def diff_line(want, got):
    w, g = want.decode(errors="replace").splitlines(), got.decode(errors="replace").splitlines()
    for i in range(max(len(w), len(g))):
        a, b = (w[i] if i < len(w) else "<end>"), (g[i] if i < len(g) else "<end>")
        if a != b:
            return f"line {i + 1}: native {a!r}, sandbox {b!r}"
    return "same output"


# Like the sandbox, a native run sees no network but its own loopback, no IPC of others, and
# no signals that whoever started the tests ignores.
NATIVE = ["env", "--default-signal", "unshare", "--net", "--ipc", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"]


def run_in(place, path, timeout, prefix):
    """Runs a copy of the program in `place`, emptied before: `do` shows it wherever we build."""
    shutil.rmtree(place, ignore_errors=True)
    os.mkdir(place)
    shutil.copy(path, place)
    return run([*prefix, "./" + os.path.basename(path)], timeout, cwd=place)


# Where the fs_ tests work (their own default is the sandbox's tmpfs): a file of the host that
# others may change, one of a root that is the sandbox's own, and the overlay over the root.
PLACES = ("shared", "root", "overlay")


def small_root(work, path):
    """An exclusive root with nothing in it but the program."""
    for name in ("root/t", "root/proc", "root/dev", "root/sys", "root/tmp"):
        os.makedirs(f"{work}/{name}")
    shutil.copy(path, f"{work}/root")
    return ["--rw", "--rootfs", f"{work}/root", "-e", "FS_TEST_DIR=/t"]


def run_at(place, path, work, garrison):
    """The native and the sandboxed run with FS_TEST_DIR on that kind of file system."""
    host = {} if place == "overlay" else {"FS_TEST_HOST_FILES": "1"}
    native_dir = "/var/tmp" if place == "overlay" else f"{work}/t"
    native = ["env", f"FS_TEST_DIR={native_dir}", *(f"{k}={v}" for k, v in host.items())]
    env = [a for k, v in host.items() for a in ("-e", f"{k}={v}")]
    os.makedirs(f"{work}/t", exist_ok=True)
    want = run([*NATIVE, *native, path], 30, cwd=work)
    if place == "root":
        shutil.rmtree(f"{work}/root", ignore_errors=True)
        options, program = small_root(work, path), "/" + os.path.basename(path)
    else:
        options, program = ["-e", f"FS_TEST_DIR={native_dir}"], path
        env += ["--mount", f"{os.path.dirname(path)}:{os.path.dirname(path)}:ro"]
    return want, run([*garrison, *options, *env, "--", program], 60, cwd=work)


def guest_once(path, build, platform, work, place):
    """None, or how the sandboxed run differs from the native one."""
    garrison = [f"{build}/bin/garrison", f"--platform={platform}", "do"]
    if place:
        (want, _, want_code), (got, err, code) = run_at(place, path, work, garrison)
    else:
        want, _, want_code = run_in(work, path, 30, NATIVE)
        got, err, code = run_in(work, path, 60, [*garrison, "--"])
    if want_code == 124:
        return "the native run timed out"
    if (got, code) == (want, want_code):
        return None
    return (f"exit native {want_code}, sandbox {code}; {diff_line(want, got)} "
            f"{err.decode(errors='replace')[-300:]}")


def guest_test(path, build, platform, place=""):
    """A difference counts if it comes thrice: a busy host, itself a virtual machine, may stop
    for seconds, which shows in whatever depends on time, natively and in the sandbox alike."""
    name = f"guest/{os.path.basename(path)} [{platform}{', ' if place else ''}{place}]"
    work = tempfile.mkdtemp(prefix="garrison-guest-")
    try:
        for attempt in range(3):
            difference = guest_once(path, build, platform, work, place)
            if difference is None:
                report("passed", name)
                return
            print(f"attempt {attempt + 1} of {name}: {difference}", flush=True)
        report("failed", name, difference)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def script_test(path, build, kind):
    name = f"{kind}/{os.path.relpath(path, f'{REPO}/tests/{kind}')}"
    env = {**os.environ, "GARRISON_BUILD": build, "GARRISON": f"{build}/bin/garrison"}
    out, err, code = run(["bash", path], 2400, cwd=REPO, env=env)
    sys.stdout.write(err.decode(errors="replace")[-4000:])
    seen = 0
    for line in out.decode(errors="replace").splitlines():
        m = re.match(r"(ok|not ok|skip) (.*)", line)
        if not m:
            continue
        seen += 1
        report({"ok": "passed", "not ok": "failed", "skip": "skipped"}[m[1]], f"{name}: {m[2]}")
    if code:
        report("failed", name, f"exit {code}: {err.decode(errors='replace')[-1000:]}")
    elif not seen:
        report("failed", name, "reported no result")


def jobs(build):
    for path in sorted(glob.glob(f"{REPO}/tests/unit/*/test_*.c")):
        binary = f"{build}/" + os.path.relpath(path, REPO)[:-2]
        yield f"unit/{os.path.relpath(path, REPO)}", True, lambda b=binary: unit_test(b, build)
    for path in sorted(glob.glob(f"{REPO}/tests/guest/*.c")):
        binary = f"{build}/tests/guest/{os.path.basename(path)[:-2]}"
        for platform in PLATFORMS:
            yield (f"guest/{os.path.basename(path)} {platform}", True,
                   lambda b=binary, p=platform: guest_test(b, build, p))
        for place in PLACES if os.path.basename(path).startswith("fs_") else ():
            yield (f"guest/{os.path.basename(path)} {place}", True,
                   lambda b=binary, at=place: guest_test(b, build, PLATFORMS[0], at))
    for kind, pattern in (("fuzz", "*/run.sh"), ("security", "*.sh"), ("integration", "*.sh")):
        for path in sorted(glob.glob(f"{REPO}/tests/{kind}/{pattern}")):
            yield (f"{kind}/{path}", False, lambda s=path, k=kind: script_test(s, build, k))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", default="build")
    ap.add_argument("--only", default="", help="run tests whose name contains this")
    args = ap.parse_args()
    build = os.path.abspath(args.build)
    chosen = [j for j in jobs(build) if args.only in j[0]]
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for f in [pool.submit(fn) for _, parallel, fn in chosen if parallel]:
            f.result()
    for _, parallel, fn in chosen:
        if not parallel:
            fn()
    if failures:
        print("failed tests:\n  " + "\n  ".join(failures))
    tail = f", {totals['skipped']} skipped" if totals["skipped"] else ""
    print(f"{totals['passed']} passed, {totals['failed']} failed{tail}")
    return 1 if totals["failed"] or not totals["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
