"""jobs.py GARRISON STATE: at a host terminal with bash, what ^C, ^\\, ^Z and kill do to a command
must be the same natively and under `garrison do`, without and with a terminal of its own."""
import os
import pty
import re
import select
import sys
import time

GARRISON, STATE = sys.argv[1:3]
DO = f"{GARRISON} --root {STATE} do"
PROMPT = b"pro-mpt "


class Shell:
    def __init__(self):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["PS1"] = "x"
            os.execv("/bin/bash", ["bash", "--norc", "--noediting", "-i"])
        self.text = b""
        os.write(self.fd, b"stty -echo; PS1='pro''-mpt '\n")
        self.until(PROMPT)

    def until(self, want, seconds=10):
        """What came up to `want`; on a time-out None."""
        end = time.time() + seconds
        while want not in self.text:
            if time.time() > end:
                sys.stderr.write(f"no {want!r} in {self.text!r}\n")
                self.text = b""
                return None
            if select.select([self.fd], [], [], 0.1)[0]:
                self.text += os.read(self.fd, 4096)
        head, _, self.text = self.text.partition(want)
        return head

    def send(self, text):
        os.write(self.fd, text)

    def run(self, command):
        self.send(command + b"\n")
        return self.until(PROMPT)

    def close(self):
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def clean(text):
    """What the shell says of a job, without the job's own command line."""
    if text is None:
        return "(nothing came)"
    text = re.sub(rb"\^[CZ\\]", b"", text)
    lines = [re.sub(r"^\[\d+\][+-]?\s*|\s+(/|sh ).*$|\(core dumped\).*", "", l.strip())
             for l in text.decode(errors="replace").splitlines()]
    return "|".join(l.strip() for l in lines if l.strip())


UP = "sh -c 'echo up; %s'"


def job(command, script):
    """Runs it in a shell; script: what to type, with marks to wait for."""
    sh = Shell()
    seen = []
    sh.send(command.encode() + b"\n")
    if sh.until(b"up\r\n") is None:
        seen.append("did not come up")
    for key, wait in script:
        time.sleep(0.2)
        sh.send(key)
        if wait:
            seen.append(clean(sh.until(wait)))
    sh.send(b"\nkill -9 %1 2>/dev/null\n")
    sh.close()
    return seen


def same(name, inner, script):
    native = job(inner, script)
    if "(nothing came)" in native or "did not come up" in native:
        print(f"not ok natively: {name} ({native!r})")
    for label, prefix in (("do", f"{DO} -- "), ("do -t", f"{DO} -t -- ")):
        got = job(prefix + inner, script)
        print(f"ok {label}: {name}" if got == native
              else f"not ok {label}: {name} (native {native!r}, garrison {got!r})", flush=True)


CODE = (b"echo code=$?\n", PROMPT)
same("^C ends a command without a handler", UP % "exec sleep 100", [(b"\x03", PROMPT), CODE])
same("^C ends a command and its child", UP % "sleep 100; echo never", [(b"\x03", PROMPT), CODE])
same("^C reaches a handler", UP % 'trap "echo caught; exit 5" INT; while :; do sleep 0.1; done',
     [(b"\x03", PROMPT), CODE])
same("^\\ ends it", UP % "ulimit -c 0; exec sleep 100", [(b"\x1c", PROMPT), CODE])
same("^Z stops it, fg goes on, ^C ends it", UP % "sleep 0.1; exec sleep 100",
     [(b"\x1a", PROMPT), (b"jobs | grep -o Stopped\n", PROMPT), (b"fg >/dev/null\n", b""),
      (b"\x03", PROMPT), CODE])
same("^Z of several, then kill", UP % "sleep 100 & sleep 100", [
    (b"\x1a", PROMPT), (b"kill %1; kill -CONT %1; wait %1 2>/dev/null; echo gone\n", b"gone")])
