"""terminal.py GARRISON STATE BUNDLE: terminals in the foreground and over a console socket."""
import array
import fcntl
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time

GARRISON, STATE, BUNDLE = sys.argv[1:4]
BASE = [GARRISON, "--root", STATE, "--overlay", "memory"]


def result(name, good, detail=""):
    print(f"ok {name}" if good else f"not ok {name} ({detail!r})", flush=True)


def set_size(fd, rows, cols):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))


class Terminal:
    def __init__(self, fd):
        self.fd = fd
        self.text = b""

    def read_until(self, want, seconds=15):
        """What came up to and with `want` (bytes); on a time-out, what came."""
        end = time.time() + seconds
        while want not in self.text and time.time() < end:
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    data = os.read(self.fd, 4096)
                except OSError:
                    break
                if not data:
                    break
                self.text += data
        head, found, tail = self.text.partition(want)
        self.text = tail
        return head + found

    def ask(self, command, want):
        os.write(self.fd, command)
        return self.read_until(want)


def spawn(argv, rows=24, cols=80):
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(argv[0], argv)
    set_size(fd, rows, cols)
    return pid, Terminal(fd)


def session(t, name):
    """A shell's terminal: echo, size, interrupt, job control, end of file."""
    t.ask(b"PS1='pro''mpt# '\n", b"prompt# ")
    out = t.ask(b"tty\n", b"prompt# ")
    result(f"{name}: tty", b"/dev/pts/0" in out or b"/dev/console" in out, out)
    out = t.ask(b"test -t 0 -a -t 1 -a -t 2; echo is=$?\n", b"prompt# ")
    result(f"{name}: fds 0 to 2 are a terminal", b"is=0\r\n" in out, out)
    os.write(t.fd, b"sleep 30\n")
    t.read_until(b"sleep 30\r\n")
    time.sleep(1)
    began = time.time()
    out = t.ask(b"\x03", b"prompt# ")
    result(f"{name}: ^C interrupts the foreground job", b"^C" in out and time.time() - began < 5, out)
    out = t.ask(b"echo rc=$?\n", b"prompt# ")
    result(f"{name}: by SIGINT", b"rc=130\r\n" in out, out)
    # When it speaks, the shell's line editor has let go of the terminal.
    t.ask(b"sh -c 'echo rea''dy; exec cat'\n", b"ready\r\n")
    time.sleep(0.2)
    out = t.ask(b"line\n", b"line\r\nline\r\n")
    result(f"{name}: echo and line mode", out.endswith(b"line\r\nline\r\n"), out)
    out = t.ask(b"\x1a", b"prompt# ")
    result(f"{name}: ^Z stops it", b"Stopped" in out, out)
    os.write(t.fd, b"fg\n")
    t.read_until(b"cat'\r\n")
    time.sleep(0.5)
    out = t.ask(b"\x04", b"prompt# ")
    result(f"{name}: ^D ends it", b"prompt# " in out, out)


def foreground(name, argv):
    pid, t = spawn(argv, 30, 90)
    session(t, name)
    out = t.ask(b"stty size\n", b"prompt# ")
    result(f"{name}: size at start", b"30 90" in out, out)
    set_size(t.fd, 41, 99)
    time.sleep(0.5)
    out = t.ask(b"stty size\n", b"41 99\r\n")
    result(f"{name}: size after SIGWINCH", b"41 99" in out, out)
    os.write(t.fd, b"exit 9\n")
    t.read_until(b"\0", 2)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    result(f"{name}: exit code", code == 9, code)


def receive_master(server):
    conn, _ = server.accept()
    data, control, _, _ = conn.recvmsg(100, socket.CMSG_SPACE(4))
    fds = array.array("i")
    for level, kind, payload in control:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(payload[:4])
    return fds[0] if fds else -1


def console_socket():
    path = f"{BUNDLE}/console.sock"
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(1)
    server.settimeout(10)
    code = subprocess.call([*BASE, "create", "--bundle", BUNDLE, "--console-socket", path,
                            "--pid-file", f"{BUNDLE}/pid", "t2"], stdin=subprocess.DEVNULL)
    result("console socket: create", code == 0, code)
    fd = receive_master(server)
    result("console socket: one fd arrives", fd >= 0 and os.isatty(fd), fd)
    set_size(fd, 33, 77)
    subprocess.call([*BASE, "start", "t2"])
    t = Terminal(fd)
    session(t, "console socket")
    out = t.ask(b"stty size\n", b"prompt# ")
    result("console socket: size of the master", b"33 77" in out, out)
    pid = int(open(f"{BUNDLE}/pid").read())
    set_size(fd, 44, 55)
    time.sleep(0.5)
    out = t.ask(b"stty size\n", b"44 55\r\n")
    result("console socket: the monitor passes a new size on", b"44 55" in out, out)
    os.kill(pid, signal.SIGHUP)
    time.sleep(0.5)
    subprocess.call([*BASE, "delete", "--force", "t2"])
    os.close(fd)


foreground("run -t", [*BASE, "run", "--bundle", BUNDLE, "t1"])
console_socket()
foreground("do -t", [*BASE, "do", "--rootfs", sys.argv[4], "-t", "--", "/bin/bash", "--norc", "-i"])
subprocess.call([*BASE, "run", "--detach", "--bundle", sys.argv[5], "t3"], stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
foreground("exec -t", [*BASE, "exec", "-t", "t3", "/bin/bash", "--norc", "-i"])
subprocess.call([*BASE, "delete", "--force", "t3"])
