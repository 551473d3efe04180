"""Neighbours in float32 and blocks are those of float64, ties included, and take no memory to speak of."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from c2vl_kit.core import InputError
from c2vl_kit.data import neighbours
from c2vl_kit.data.build import build_store
from c2vl_kit.data.catalog import get_dataset
from c2vl_kit.data.loader import ClipSet
from c2vl_kit.data.neighbours import nearest
from c2vl_kit.evaluate.features import extract, raw_features
from c2vl_kit.models.zoo import Backbone


def in_float64(x, gallery, k: int, metric: str) -> np.ndarray:
    """Every distance in double precision, equal ones by row."""
    x, g = (torch.from_numpy(np.ascontiguousarray(a)).double() for a in (x, gallery))
    if metric == "cosine":
        far = -(F.normalize(x, dim=1)[:, None] * F.normalize(g, dim=1)).sum(2)
    else:
        far = ((x[:, None] - g) ** 2).sum(2)
    return torch.argsort(far, dim=1, stable=True)[:, :k].numpy()


def tables():
    """Galleries that are hard in one way or another."""
    rng = np.random.default_rng(0)
    plain = rng.normal(size=(400, 24)).astype(np.float32)
    yield "plain", plain
    yield "one common part", 1 + 1e-5 * plain
    yield "far from zero", 1000 + plain
    yield "every row four times", np.repeat(plain[:100], 4, 0)
    yield "on a grid, distances tie", rng.integers(0, 2, (400, 6)).astype(np.float32)
    yield "one row", np.ones((400, 24), np.float32)
    yield "some rows of zeros", plain * (np.arange(400) % 5 > 0)[:, None].astype(np.float32)
    yield "one row far away", np.concatenate([plain, 1e4 * plain[:1]])


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize(("what", "gallery"), list(tables()), ids=[what for what, _ in tables()])
def test_the_rows_are_those_of_float64(what, gallery, metric, monkeypatch):
    monkeypatch.setattr(neighbours, "BLOCK", 1 << 11)  # many blocks
    asking = np.concatenate([gallery[::9], gallery[:20] + np.float32(1e-3), np.zeros_like(gallery[:1])])
    if metric == "cosine" and what in ("one row", "on a grid, distances tie", "every row four times"):
        # equal up to a factor: rows tie as numbers of the same score, not as the same rows
        found, want = nearest(asking, gallery, 9, metric), in_float64(asking, gallery, 9, metric)
        x, g = (F.normalize(torch.from_numpy(a).double(), dim=1) for a in (asking, gallery))
        close = [(x[:, None] * g[torch.from_numpy(rows)]).sum(2).numpy() for rows in (found, want)]
        assert np.abs(close[0] - close[1]).max() < 1e-14
        return
    assert (nearest(asking, gallery, 9, metric) == in_float64(asking, gallery, 9, metric)).all()


def test_equally_near_rows_come_in_their_order():
    gallery = np.float32([[3, 0], [1, 0], [0, 1], [1, 0], [1, 0]])
    assert nearest(gallery[1:2], gallery, 3, "euclidean").tolist() == [[1, 3, 4]]
    with pytest.raises(InputError, match="do not fit 5 rows"):
        nearest(gallery, gallery, 6)


def test_a_wider_search_follows_where_sixteen_more_are_not_enough(monkeypatch):
    rng, seen = np.random.default_rng(1), []
    gallery = np.float32(1e-6) * rng.normal(size=(600, 16)).astype(np.float32)
    gallery[0] = 100  # the error of a product is measured by this row
    whole = neighbours.candidates
    monkeypatch.setattr(neighbours, "candidates", lambda s, asked, wide: seen.append(wide) or whole(s, asked, wide))
    assert (nearest(gallery[1:4], gallery, 2, "euclidean") == in_float64(gallery[1:4], gallery, 2, "euclidean")).all()
    assert seen[0] == 18 and seen[-1] > 18


def test_no_neighbour_changes_on_recordings(data_root, tmp_path):
    data = get_dataset("nw-ucla")
    files, _, reader = data.locate(data_root / "nw_ucla")
    store, _ = build_store(tmp_path / "store", files[::5], reader, data.name, data.layout, progress=False)
    clips = ClipSet.load(store, store.names, 50, 1, progress=False)
    torch.manual_seed(0)
    encoder = Backbone("stgcn", width=16).make(store.layout)
    for features, metric in ((raw_features(clips), "euclidean"), (extract(encoder, clips), "cosine")):
        x, g = features.x[::16], features.x[1::2]
        want = np.concatenate([in_float64(x[i : i + 8], g, 40, metric) for i in range(0, len(x), 8)])
        assert (nearest(x, g, 40, metric) == want).all(), metric


FLAT = """
import resource, sys
import numpy as np
from c2vl_kit.data.neighbours import nearest
rng, peak = np.random.default_rng(0), lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
gallery, x = (rng.standard_normal((n, 3750), np.float32) for n in (8000, 100))
nearest(x[:10], gallery[:100], 1, "euclidean")
before = peak()
nearest(x, gallery, 1, "euclidean")
print(gallery.nbytes / 2**20, peak() - before)
"""


def test_memory_stays_flat(root):
    done = subprocess.run([sys.executable, "-c", FLAT], cwd=root, capture_output=True, text=True, check=True,
                          env=os.environ | {"OMP_NUM_THREADS": "1"})
    gallery, grown = map(float, done.stdout.split())
    assert gallery > 110 and grown < 190, f"{grown:.0f} MB more for a gallery of {gallery:.0f} MB"
