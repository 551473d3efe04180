"""bench/kills.py on two kills; the whole table is made by hand."""

import json
import subprocess
import sys

import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="forks trainings")
def test_killed_trainings_go_on_to_the_same_bits(root, tmp_path):
    words = [sys.executable, root / "bench" / "kills.py", "--kills", "1", "--cases", "c2vl,distil", "--json", tmp_path / "rows.json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [(r["case"], r["kills"], r["differ"]) for r in rows] == [("c2vl", 1, 0), ("distil", 1, 0)]
    assert all(r["tensors"] > 500 for r in rows)
