"""Fresh processes without their imports: one process imports what they share, and forks each of them.

A forked process is a real one. Its signals, exit code, files and locks are its own, it ends as `python -c` ends, and no random number
has been drawn before it begins. Forking wants POSIX.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# What it runs: python -c SERVE <imports>. A line on stdin is a program: {code, argv, place}; its process leaves the loop and runs it.
SERVE = r"""
import json, os, select, sys
exec(sys.argv[1], {})


def serve():
    "Forks for each line and notes how each process ended; returns in the new process."
    running = {}
    while True:
        ready = select.select([sys.stdin], [], [], 0.01 if running else None)[0]
        while running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            place = running.pop(pid)
            with open(place + "/status.new", "w") as file:
                file.write(str(os.waitstatus_to_exitcode(status)))
            os.rename(place + "/status.new", place + "/status")
        if not ready:
            continue
        line = sys.stdin.readline()
        if not line:  # the test is over, or gone
            for pid in running:
                os.kill(pid, 9)
            sys.exit()
        job = json.loads(line)
        pid = os.fork()
        if pid:
            running[pid] = job["place"]
            print(pid, flush=True)
            continue
        for number, file, mode in ((0, os.devnull, os.O_RDONLY), (1, job["place"] + "/stdout", os.O_WRONLY | os.O_CREAT),
                                   (2, job["place"] + "/stderr", os.O_WRONLY | os.O_CREAT)):
            os.dup2(os.open(file, mode), number)
        sys.argv = ["-c", *job["argv"]]
        return job["code"]


exec(compile(serve(), "<child>", "exec"), {"__name__": "__main__"})
"""


class Child:
    """A process of a nursery; what `subprocess.Popen` has of the same name."""

    def __init__(self, pid: int, place: Path):
        self.pid, self.place, self.returncode = pid, place, None

    def poll(self) -> int | None:
        if self.returncode is None and (self.place / "status").exists():
            self.returncode = int((self.place / "status").read_text())
        return self.returncode

    def wait(self, timeout: float = 300) -> int:
        until = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired("a forked process", timeout)
            time.sleep(0.01)
        return self.returncode

    def said(self, where: str = "stderr") -> str:
        """What stands on its stderr or stdout by now."""
        return (self.place / where).read_text() if (self.place / where).exists() else ""

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


class Nursery:
    """start(code, *argv) → Child: `python -c code argv`, with `imports` done. Begins with the first child, `close` ends it."""

    def __init__(self, imports: str):
        self.imports, self.process, self.room, self.count = imports, None, None, 0

    def start(self, code: str, *argv) -> Child:
        if self.process is None:
            env = os.environ | {"OMP_NUM_THREADS": "1", "C2VL_QUIET": "1", "CUDA_VISIBLE_DEVICES": ""}  # CUDA cannot be forked
            self.room = tempfile.TemporaryDirectory(prefix="nursery-")
            self.process = subprocess.Popen([sys.executable, "-c", SERVE, self.imports], env=env, stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, text=True)
        self.count += 1
        place = Path(self.room.name) / str(self.count)
        place.mkdir()
        self.process.stdin.write(json.dumps({"code": code, "argv": [str(a) for a in argv], "place": str(place)}) + "\n")
        self.process.stdin.flush()
        return Child(int(self.process.stdout.readline()), place)

    def close(self) -> None:
        if self.process is not None:
            self.process.communicate(timeout=60)
            self.room.cleanup()
            self.process = None
