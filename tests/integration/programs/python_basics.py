"""threading, multiprocessing, asyncio, sqlite3, mmap, ctypes, venv, signals."""
import asyncio
import ctypes
import mmap
import multiprocessing as mp
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time


def square(x):
    return x * x


def threads():
    total, lock = [0], threading.Lock()

    def work():
        for _ in range(1000):
            with lock:
                total[0] += 1
    ts = [threading.Thread(target=work) for _ in range(20)]
    [t.start() for t in ts]
    [t.join() for t in ts]
    assert total[0] == 20000


def processes():
    for method in ("fork", "spawn", "forkserver"):
        with mp.get_context(method).Pool(4) as pool:
            assert pool.map(square, range(50)) == [x * x for x in range(50)]
        ctx = mp.get_context(method)
        q = ctx.Queue()
        q.put("x")
        assert q.get(timeout=10) == "x"


async def async_main():
    p = await asyncio.create_subprocess_exec("sh", "-c", "read x; echo got $x", stdin=-1, stdout=-1)
    out, _ = await p.communicate(b"line\n")
    assert out == b"got line\n"
    done = await asyncio.gather(*[asyncio.create_subprocess_shell(f"exit {i}") for i in range(5)])
    assert [await p.wait() for p in done] == list(range(5))


def storage():
    with tempfile.TemporaryDirectory() as d:
        db = sqlite3.connect(f"{d}/x.db")
        db.execute("pragma journal_mode=wal")
        db.execute("create table t(a, b)")
        db.executemany("insert into t values (?, ?)", [(i, str(i)) for i in range(1000)])
        db.commit()
        assert db.execute("select sum(a) from t").fetchone() == (499500,)
        with open(f"{d}/m", "wb+") as f:
            f.truncate(8192)
            m = mmap.mmap(f.fileno(), 8192)
            m[4096:4101] = b"hello"
            m.flush()
            f.seek(4096)
            assert f.read(5) == b"hello"


def signals():
    seen = []
    signal.signal(signal.SIGUSR1, lambda *a: seen.append("usr1"))
    signal.signal(signal.SIGALRM, lambda *a: seen.append("alrm"))
    os.kill(os.getpid(), signal.SIGUSR1)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    time.sleep(0.3)
    assert seen == ["usr1", "alrm"], seen
    p = subprocess.Popen(["sleep", "60"])
    p.send_signal(signal.SIGTERM)
    assert p.wait() == -signal.SIGTERM


def libraries():
    libc = ctypes.CDLL("libc.so.6")
    assert libc.abs(-5) == 5
    buf = ctypes.create_string_buffer(b"abc")
    assert libc.strlen(buf) == 3
    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda x: x + 1)
    assert callback(1) == 2


def venv():
    with tempfile.TemporaryDirectory() as d:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", f"{d}/v"], check=True)
        out = subprocess.check_output([f"{d}/v/bin/python", "-c", "import sys; print(sys.prefix)"])
        assert out.decode().strip() == f"{d}/v"


if __name__ == "__main__":
    for step in (threads, processes, lambda: asyncio.run(async_main()), storage, signals, libraries,
                 venv):
        step()
