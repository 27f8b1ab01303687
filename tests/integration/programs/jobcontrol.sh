# an interactive bash on a pty: Ctrl-Z, bg, fg, Ctrl-C, exit codes
cat >/tmp/jc-$$.py <<'X'
import os, pty, select, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.execlp("bash", "bash", "--norc", "--noprofile", "-i")
def expect(what, seconds=10):
    global got
    end = time.time() + seconds
    while what not in got:
        r, _, _ = select.select([fd], [], [], max(0, end - time.time()))
        if not r:
            sys.exit(f"waited for {what!r}, got {got!r}")
        got += os.read(fd, 4096)
    got = got[got.index(what) + len(what):]
got = b""
def send(s):
    os.write(fd, s)
send(b"PS1='prompt''> '\n"); expect(b"prompt> ")
send(b"sleep 100\n"); time.sleep(0.5); send(b"\x1a"); expect(b"Stopped"); expect(b"prompt> ")
send(b"jobs\n"); expect(b"sleep 100"); expect(b"prompt> ")
send(b"fg\n"); time.sleep(0.5); send(b"\x03"); expect(b"prompt> ")
send(b"echo code $?\n"); expect(b"code 130")
send(b"cat\n"); time.sleep(0.3); send(b"hello\n"); expect(b"hello"); send(b"\x04"); expect(b"prompt> ")
send(b"stty size; tty\n"); expect(b"/dev/pts/"); expect(b"prompt> ")
send(b"exit 7\n")
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
X
python3 /tmp/jc-$$.py; rm -f /tmp/jc-$$.py
