"""nbdev_test with what it lacks: a time limit that names the page, the time of each page as it ends, and a check that pages leave no files.

    python tools/test_notebooks.py [--limit SECONDS] [NOTEBOOK]
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from signals import heed

ROOT = Path(__file__).resolve().parents[1]
# nbdev_test with the longest pages first, so that no core waits for the other at the end
RUN = """
import sys
from nbdev import test
long = ("01_quickstart", "05_demo", "12_scale")
test.sorted = lambda files: sorted(files, key=lambda f: (f.stem not in long, f))
test.nbdev_test(path=sys.argv[1] or None, n_workers=2, do_print=True)
"""


def litter() -> set[Path]:
    """Files below nbs/ that are no caches."""
    caches = {"__pycache__", ".ipynb_checkpoints"}
    return {f.relative_to(ROOT) for f in (ROOT / "nbs").rglob("*") if f.is_file() and not caches & set(f.parts)}


def page_name(path: str) -> str:
    """'…/nbs/data/01_build.ipynb' → 'data/01_build'."""
    return path.strip().rpartition("/nbs/")[2].removesuffix(".ipynb")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=1080, help="seconds for all pages together (default 1080)")
    parser.add_argument("notebook", nargs="?", help="this page alone, such as nbs/data/00_store.ipynb (default: all)")
    args = parser.parse_args()
    heed()
    limit, before, open_pages, count = args.limit, litter(), {}, 0
    command = [sys.executable, "-c", RUN, args.notebook or ""]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "env": os.environ | {"PYTHONUNBUFFERED": "1"}}
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, **pipes)
    expired = threading.Event()

    def stop(*_) -> None:
        expired.set()
        os.killpg(process.pid, signal.SIGKILL)

    signal.signal(signal.SIGTERM, stop)
    timer = threading.Timer(limit, stop)
    timer.start()
    try:
        for line in process.stdout:
            if started := re.match(r"Starting (.*)", line):
                open_pages[page_name(started[1])] = time.perf_counter()
            elif done := re.match(r"- Completed (.*)", line):
                seconds = time.perf_counter() - open_pages.pop(page_name(done[1]))
                count += 1
                print(f"{seconds:6.1f} s  {page_name(done[1])}", flush=True)
            else:
                print(line, end="", flush=True)
        code = process.wait()
    finally:
        timer.cancel()
    if expired.is_set():
        print(f"nbdev_test was stopped (its limit is {limit} s); still running: {', '.join(open_pages)}")
        return 1
    left = sorted(litter() - before)
    for file in left:
        print(f"{file}: left behind by a page; write to a temporary folder")
    print(f"{count} notebooks ran")
    return int(code != 0 or bool(left))


if __name__ == "__main__":
    sys.exit(main())
