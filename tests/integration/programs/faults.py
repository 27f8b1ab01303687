"""Programs that break: each alone gets what Linux gives it."""
import os
import resource
import signal
import subprocess
import sys
import tempfile

C = r"""
#include <string.h>
#include <stdlib.h>
#include <unistd.h>
#include <fcntl.h>
#include <stdio.h>
int deep(int n) { volatile char b[4096]; b[0] = (char)n; return deep(n + 1) + b[0]; }
int main(int c, char **v) {
  volatile int zero = 0;
  if (!strcmp(v[1], "segv")) *(volatile int *)8 = 1;
  if (!strcmp(v[1], "fpe")) return 7 / zero;
  if (!strcmp(v[1], "stack")) return deep(0);
  if (!strcmp(v[1], "ill")) __builtin_trap();
  if (!strcmp(v[1], "abort")) abort();
  if (!strcmp(v[1], "fds")) { int n = 0; while (open("/dev/null", O_RDONLY) >= 0) n++; perror("open"); return n > 100 ? 0 : 1; }
  return 99;
}
"""


def main():
    with tempfile.TemporaryDirectory() as d:
        with open(f"{d}/b.c", "w") as f:
            f.write(C)
        subprocess.run(["gcc", "-O0", "-w", "-o", f"{d}/b", f"{d}/b.c"], check=True)
        want = {"segv": -signal.SIGSEGV, "fpe": -signal.SIGFPE, "stack": -signal.SIGSEGV,
                "ill": -signal.SIGILL, "abort": -signal.SIGABRT, "fds": 0}
        for what, code in want.items():
            got = subprocess.run([f"{d}/b", what], stderr=subprocess.DEVNULL).returncode
            assert got == code, (what, got)
    # RLIMIT_NPROC is per user and root is exempt: try it as somebody else
    if os.getuid() != 0:
        resource.setrlimit(resource.RLIMIT_NPROC, (40, 40))
        pids = []
        try:
            for _ in range(200):
                pid = os.fork()
                if pid == 0:
                    signal.pause()
                pids.append(pid)
            sys.exit("200 forks succeeded under RLIMIT_NPROC 40")
        except BlockingIOError:
            pass
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


main()
