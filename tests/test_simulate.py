"""The simulator at the size of the demo: every clip sound, the same in another process, neither trivial nor impossible."""

import re
import subprocess
import sys

import numpy as np
import pytest

from c2vl_kit.data.actions import SIM_CLASSES
from c2vl_kit.data.simulate import SimulatorConfig, simulate
from c2vl_kit.skeleton import KINECT20, get_layout


@pytest.fixture(scope="module")
def sim():
    return simulate(SimulatorConfig())


def test_size_names_and_words(sim):
    assert len(sim) == 24 * 8 * 3 and len({c.name for c in sim.clips}) == len(sim)
    assert {c.label for c in sim.clips} == set(range(24)) and {c.label_name for c in sim.clips} == set(SIM_CLASSES[:24])
    for clip in sim.clips:
        clip.check()
        assert 40 <= clip.T <= 90 and clip.layout == get_layout("kinect20") and np.isfinite(clip.joints).all()
        texts = sim.descriptions[clip.name]
        assert len(texts) == 16 and len(set(texts)) > 4
        assert not any(re.search(rf"\b{clip.label_name}\b", t, re.IGNORECASE) for t in texts)


def test_bones_keep_their_length_up_to_sensor_noise(sim):
    for clip in sim.clips[::7]:
        x = clip.joints[:, 0]
        for child, parent in KINECT20.bones:
            length = np.linalg.norm(x[:, child] - x[:, parent], axis=1)
            assert length.std() < 0.05 and abs(length - length.mean()).max() < 0.16


def test_whoever_is_not_in_the_air_has_a_foot_on_the_floor(sim):
    feet = [*KINECT20.point("left foot"), *KINECT20.point("right foot")]
    for clip in sim.clips[::5]:
        low = clip.joints[:, 0, feet, 1].min(1)
        assert low.min() > -0.15
        if "jump" not in clip.label_name:
            assert np.median(low) < 0.10 and low.max() < 0.25


def test_noise_free_bones_are_rigid():
    for clip in simulate(SimulatorConfig(classes=len(SIM_CLASSES), subjects=2, repetitions=1, noise=0.0, seed=11)).clips:
        x = clip.joints[:, 0].astype(np.float64)
        for child, parent in KINECT20.bones:
            assert np.ptp(np.linalg.norm(x[:, child] - x[:, parent], axis=1)) < 1e-5


def test_same_seed_same_bits_in_another_process():
    code = ("from c2vl_kit.data.simulate import *; import hashlib\n"
            "s = simulate(SimulatorConfig(classes=4, subjects=2, wrong_pairs=.25))\n"
            "all = [(c.name, c.digest, s.descriptions[c.name], c.name in s.wrong) for c in s.clips]\n"
            "print(hashlib.sha256(repr(all).encode()).hexdigest())")
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert runs[0] == runs[1]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_wrong_pairs_are_exact(share):
    config = SimulatorConfig(classes=4, subjects=3, repetitions=2)
    clean, noisy = simulate(config), simulate(config.replace(wrong_pairs=share))
    label = {c.name: c.label for c in clean.clips}
    owner = {tuple(d): label[n] for n, d in clean.descriptions.items()}
    assert len(noisy.wrong) == round(share * 24)
    for name, texts in noisy.descriptions.items():
        assert (owner[tuple(texts)] != label[name]) == (name in noisy.wrong)
    assert [c.digest for c in clean.clips] == [c.digest for c in noisy.clips]


def test_cameras_turn_the_same_performance():
    one, two = simulate(SimulatorConfig(classes=1, subjects=1, repetitions=1, cameras=2, noise=0.0)).clips

    def spread(clip):
        x = clip.joints[:, 0].astype(np.float64)
        return np.linalg.norm(x[:, :, None] - x[:, None], axis=-1)

    assert np.allclose(spread(one), spread(two), atol=1e-5) and one.digest != two.digest


def test_nearest_neighbour_is_neither_at_chance_nor_perfect(sim):
    def flat(clip, frames=30):
        at = np.linspace(0, clip.T - 1, frames)
        x = clip.joints[:, 0].reshape(clip.T, -1)
        y = np.stack([np.interp(at, np.arange(clip.T), c) for c in x.T], 1).reshape(frames, 20, 3)
        return (y - y[:1, KINECT20.point("hips")].mean(1, keepdims=True)).ravel()

    x, y = np.stack([flat(c) for c in sim.clips]), np.array([c.label for c in sim.clips])
    odd = np.array([c.subject % 2 == 1 for c in sim.clips])
    distance = (x[~odd] ** 2).sum(1)[:, None] + (x[odd] ** 2).sum(1) - 2 * x[~odd] @ x[odd].T
    accuracy = (y[odd][distance.argmin(1)] == y[~odd]).mean()
    assert 0.6 < accuracy < 0.95, accuracy
