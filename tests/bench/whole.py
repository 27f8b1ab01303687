#!/usr/bin/env python3
"""Times whole programs inside a root file system; prints "NAME<TAB>NANOSECONDS".

Runs in /bench of the root under test, the same for every runtime. `setup` (run
once, natively) makes the inputs.
"""
import os
import shutil
import subprocess
import sys
import time

WORK = "/bench/work"
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}


def sh(command):
    subprocess.run(["/bin/sh", "-ec", command], check=True, cwd=WORK, **QUIET)


def setup():
    shutil.rmtree("/bench/in", ignore_errors=True)
    os.makedirs("/bench/in/c")
    for i in range(40):
        with open(f"/bench/in/c/f{i}.c", "w") as f:
            f.write("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n")
            for j in range(60):
                f.write(f"int f{i}_{j}(int x) {{ char b[64]; snprintf(b, sizeof b, \"%d\", x);"
                        f" return (int)strlen(b) * {j} + atoi(b); }}\n")
    with open("/bench/in/c/Makefile", "w") as f:
        f.write("OBJ := $(patsubst %.c,%.o,$(wildcard *.c))\nlib.a: $(OBJ)\n\tar rcs $@ $^\n"
                "%.o: %.c\n\tgcc -O1 -c $< -o $@\n")
    sh("rm -rf /bench/in/repo && mkdir /bench/in/repo && cd /bench/in/repo && git init -q && "
       "cp -r /usr/lib/python3.11 . && git add -A && "
       "git -c user.name=b -c user.email=b@b.invalid commit -qm b")


def sqlite_inserts():
    sh("""rm -f t.db; { echo 'create table t(a integer, b text);'
          i=0; while [ $i -lt 300 ]; do echo "insert into t values($i, 'row $i');"; i=$((i+1)); done
          echo begin\\;; while [ $i -lt 20000 ]; do
          echo "insert into t values($i, 'row $i');"; i=$((i+1)); done; echo commit\\;; } > t.sql
          sqlite3 t.db < t.sql""")


PROGRAMS = [
    ("Python start-up", 5, lambda: sh("python3 -c 'import json, subprocess'")),
    ("build a C project, make -j2", 1, lambda: sh(
        "rm -rf c; cp -r /bench/in/c c; cd c; make -j2")),
    ("find, xargs sha256sum", 1, lambda: sh(
        "find /usr/lib/python3.11 -type f -print0 | xargs -0 sha256sum")),
    ("sqlite inserts", 1, sqlite_inserts),
    ("git clone, local", 1, lambda: sh(
        "rm -rf clone; git -c safe.directory='*' clone -q --no-hardlinks /bench/in/repo clone")),
    ("50 x fork+exec of /bin/true by sh", 1, lambda: sh(
        "i=0; while [ $i -lt 50 ]; do /bin/true; i=$((i+1)); done")),
]


def main():
    os.makedirs(WORK, exist_ok=True)
    if sys.argv[1:] == ["setup"]:
        setup()
        return
    for name, times, run in PROGRAMS:
        if sys.argv[1:] and not any(a in name for a in sys.argv[1:]):
            continue
        best = []
        for _ in range(times):
            start = time.monotonic_ns()
            run()
            best.append(time.monotonic_ns() - start)
        print(f"{name}\t{sorted(best)[len(best) // 2]}", flush=True)


main()
