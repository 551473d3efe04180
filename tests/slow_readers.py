"""Readers for tests that kill a build: in a light module of their own, so that its processes start fast."""

import time
from pathlib import Path

import numpy as np

from c2vl_kit.readers.ntu import read_ntu
from c2vl_kit.skeleton import NTU25, Clip


def made(name, T=6, M=1, seed=0, layout=NTU25, **facts) -> Clip:
    x = np.random.default_rng(seed).normal(0, 0.3, (T, M, layout.V, 3)) + [0, 1, 3]
    return Clip(name=name, joints=x.astype(np.float32), layout=layout, **facts)


def slow(path, wait=0.004, extra=0):
    """A file's clip, after a while, and up to two more where `extra` is asked for; every fifth knows no confidences."""
    time.sleep(wait)
    clip = read_ntu(path)
    if clip.repetition == 5:
        clip = clip.replace(confidence=None)
    more = int(clip.name[-1]) % 3 if extra else 0
    return [clip, *(clip.replace(name=f"{clip.name}.{i}") for i in range(more))] if more else clip


def large(path) -> Clip:
    """A clip of 300 frames and two people out of a name."""
    return made(Path(path).stem, 300, 2, seed=len(str(path)), confidence=np.ones((300, 2, 25), np.float32))
