"""Pictures of the widgets for the pages, of simulated clips alone: python tests/screenshots.py [player] [concept_map] [heatmap] [explorer]

Each is taken in a light and a dark tab of 1000 pixels and on a light screen of 400, and laid together in nbs/images/NAME.png.
"""

import functools
import sys
import tempfile
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from browser import launch, missing, open_html, watched

from c2vl_kit.data.simulate import SimulatorConfig, simulate
from c2vl_kit.losses.soft_targets import soft_target_loss
from c2vl_kit.skeleton import Clip
from c2vl_kit.viz.concept_map import map_page, map_state
from c2vl_kit.viz.pack import Scalar, joint_speed, player_state
from c2vl_kit.viz.player import player_page
from c2vl_kit.viz.soft_targets import TargetRecord, heatmap_page, heatmap_state

DOCS = Path(__file__).resolve().parents[1] / "nbs/images"


def meeting():
    """A simulated clip, and two simulated bodies that face each other, one of them with an elbow that was not seen for a while."""
    made = simulate(SimulatorConfig(classes=4, subjects=2, repetitions=1))
    a, b = made.clips[2], made.clips[5]
    T = min(a.T, b.T)
    joints = np.concatenate([a.joints[:T], b.joints[:T] * (-1, 1, -1) + (0.2, 0, -1.1)], axis=1).astype(np.float32)
    joints[20:50, 0, 9:11] = np.nan
    said = {a.name: made.descriptions[a.name],
            "two people": ["Two people stand face to face.", "One raises the left hand and waves.", "Both arms go up."]}
    return [a, Clip("two people", joints, a.layout, label_name="greet")], said


def player(tab, folder, dark):
    """Two clips on one clock at the height of the wave, the pointer on a joint; the dark one coloured by speed."""
    clips, said = meeting()
    speed = [Scalar(joint_speed(c).values, "m/s", (0, 3)) for c in clips]
    how = {"scalars": {"speed": speed}, "trails": 14, "ghosts": 3, "titles": ["one person", "two people"]}
    state = player_state(clips, prompts=said, colour_by="speed" if dark else "side", **how)
    open_html(tab, player_page(state, title="Skeleton player"), folder)
    tab.focus("[data-role=canvas]")
    for _ in range(4):
        tab.keyboard.press("Shift+ArrowRight")
    for _ in range(5):
        tab.keyboard.press("ArrowRight")
    tab.wait_for_timeout(300)
    x, y = tab.evaluate("() => { const p = document.querySelector('[data-c2vl-widget]').c2vl.panels[1].points; return [p[21], p[22]]; }")
    box = tab.locator("[data-role=canvas]").bounding_box()
    tab.mouse.move(box["x"] + x, box["y"] + y)
    tab.locator("[data-role=tip]").wait_for(state="visible")


def hashed(sentences, size=96):
    """Words as a vector: a poor man's text tower."""
    x = np.zeros(size)
    for word in " ".join(sentences).split():
        x[zlib.crc32(word.encode()) % size] += 1
    return x


@functools.cache
def crowd():
    """384 simulated clips, their sentences, their words as vectors, and skeletons that training has pulled towards them."""
    made, rng = simulate(SimulatorConfig(classes=12, subjects=8, repetitions=4)), np.random.default_rng(0)
    words = np.log1p(np.stack([hashed(made.descriptions[c.name]) for c in made.clips]))
    words = words - words.mean(0)
    words = words / np.linalg.norm(words, axis=1, keepdims=True) + 0.075 * rng.normal(size=words.shape)
    early, late = 0.35 * words + 0.11 * rng.normal(size=words.shape), words + 0.05 * rng.normal(size=words.shape)
    names = [c.name for c in made.clips]
    state = map_state({"language": (names, words), "skeleton, epoch 0": (names, early), "skeleton, epoch 60": (names, late)},
                      labels={c.name: c.label_name for c in made.clips}, clusters=6,
                      split={c.name: "test" if c.subject in (2, 4) else "train" for c in made.clips},
                      loss=dict(zip(names, np.linalg.norm(late - words, axis=1))), prompts=made.descriptions, clips=made.clips)
    return made, state


def concept_map(tab, folder, dark):
    """The map of a crowd, the pointer on a clip; the dark one with a lasso around a cluster of mixed words."""
    made, state = crowd()
    open_html(tab, map_page(state), folder)
    clap = [c.name for c in made.clips if c.label_name == "clap"]
    spot = lambda name: tab.evaluate("(name) => document.querySelector('[data-c2vl-widget]').c2vl.place(name)", name)
    if dark:
        x, y = np.median([spot(name) for name in clap], axis=0)
        tab.keyboard.down("Shift")
        tab.mouse.move(x - 60, y - 50)
        tab.mouse.down()
        for dx, dy in ((10, -70), (70, -20), (60, 60), (-40, 70), (-70, 10)):
            tab.mouse.move(x + dx, y + dy, steps=5)
        tab.mouse.up()
        tab.keyboard.up("Shift")
    tab.wait_for_timeout(200)
    tab.mouse.move(*spot(clap[4]))
    tab.locator("[data-role=tip]").wait_for(state="visible")


def heatmap(tab, folder, dark):
    """Soft targets in the middle of a made-up training, the pointer on a cell of one class; the dark one as difference."""
    made, _ = crowd()
    clips = [c for c in made.clips if c.label < 6 and c.subject <= 4 and c.repetition <= 2]
    g = torch.Generator().manual_seed(0)
    unit = torch.nn.functional.normalize
    noise = lambda *size: unit(torch.randn(*size, generator=g), dim=-1)
    label = torch.unique(torch.tensor([c.label for c in clips]), return_inverse=True)[1]
    words, blind, steps = unit(noise(6, 24)[label] + 1.1 * noise(len(clips), 24), dim=-1), noise(len(clips), 24), np.linspace(0, 1, 21)
    learnt = [unit((0.05 + 0.8 * t) * words + (0.95 - 0.8 * t) * blind, dim=-1) for t in steps]
    seen = [soft_target_loss({"x": z}, {"x": words}, 10.0, 0.8 * float(t))[1]["x"] for z, t in zip(learnt, steps)]
    letters = zip(("intra", "inter", "mixed", "model"), "SCYP")
    found = {"hard": [torch.eye(len(clips))] * 21, **{k: [getattr(t, letter)[0] for t in seen] for k, letter in letters}}
    matrices = {k: np.stack(v) for k, v in found.items()}
    record = TargetRecord(tuple(c.name for c in clips), tuple((60 * steps).astype(int)), tuple(0.8 * steps), matrices)
    state = heatmap_state(record, {c.name: c.label_name for c in clips}, prompts=made.descriptions, clips=clips, epoch=12)
    open_html(tab, heatmap_page(state), folder)
    if dark:
        tab.locator("[data-role=difference]").click()
    a, b = [c.name for c in clips if c.label == clips[0].label][-3:-1]
    tab.mouse.move(*tab.evaluate("([a, b]) => document.querySelector('[data-c2vl-widget]').c2vl.place(a, b, 'hard')", [a, b]))
    tab.locator("[data-role=tip]").wait_for(state="visible")
    tab.wait_for_timeout(200)


def explorer(tab, folder, dark):
    """The three widgets of a small run, a cell of the heat-map clicked."""
    show, cell = small_run()
    tab.set_viewport_size({"width": 1400 if tab.viewport_size["width"] > 400 else 400, "height": 640})
    open_html(tab, show.to_html(), folder)
    tab.wait_for_timeout(300)
    tab.mouse.click(*tab.evaluate("([a, b]) => document.querySelector('[data-c2vl-widget=heatmap]').c2vl.place(a, b, 'inter')", cell))
    tab.wait_for_timeout(300)


@functools.cache
def small_run():
    """An explorer of a run on simulated clips, and the names of two clips of one class."""
    from c2vl_kit.concepts.space import ConceptSpace
    from c2vl_kit.data.catalog import get_split
    from c2vl_kit.data.build import build_store
    from c2vl_kit.methods import c2vl
    from c2vl_kit.methods.c2vl import small
    from c2vl_kit.train.pretrain import pretrain
    from c2vl_kit.viz.explorer import Explorer

    made = simulate(SimulatorConfig(classes=5, subjects=6, repetitions=3))
    with tempfile.TemporaryDirectory() as folder:
        store, _ = build_store(Path(folder) / "store", made.clips, dataset="simulated", progress=False)
        words = np.log1p(np.stack([hashed(made.descriptions[c.name]) for c in made.clips])).astype(np.float32)
        space = ConceptSpace([c.name for c in made.clips], words).subset(store.names)
        config = small(frames=16, backbone={"width": 8, "dim": 64}, train={"epochs": 40, "batch_size": 16})
        run = pretrain(c2vl, store, get_split(store), Path(folder) / "run", config, space=space, record_targets=2, progress=False)
        show = Explorer(run, store, made.descriptions, space)
    names, classes = show.heatmap.names, show.heatmap.classes
    return show, [names[i] for i in range(len(names)) if classes[i] == classes[0]][:2]


WIDGETS = {"player": player, "concept_map": concept_map, "heatmap": heatmap, "explorer": explorer}


def main(names) -> int:
    from PIL import Image
    from playwright.sync_api import sync_playwright

    if reason := missing():
        print(reason)
        return 1
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = launch(playwright)
        for name in names or WIDGETS:
            shots = []
            for dark, width in ((False, 1000), (True, 1000), (False, 400)):
                size = {"width": width, "height": 640 if width > 400 else 800}
                with watched(browser, viewport=size, color_scheme="dark" if dark else "light") as tab:
                    WIDGETS[name](tab, Path(folder), dark)
                    shots.append(Image.open(BytesIO(tab.screenshot(full_page=True))).convert("RGB"))
            light, dark, narrow = shots
            if narrow.height > 1.5 * light.height:                        # the dark one below the light one
                places = [(0, 0), (0, light.height + 20), (light.width + 20, 0)]
            else:
                places = [(0, 0), (light.width + 20, 0), (light.width + dark.width + 40, 0)]
            far = [max(at[i] + shot.size[i] for at, shot in zip(places, shots, strict=True)) for i in (0, 1)]
            sheet = Image.new("RGB", tuple(far), "#8a949e")
            for at, shot in zip(places, shots, strict=True):
                sheet.paste(shot, at)
            DOCS.mkdir(exist_ok=True)
            sheet.quantize(255, dither=Image.Dither.NONE).save(DOCS / f"{name}.png", optimize=True)
            print(f"nbs/images/{name}.png", (DOCS / f"{name}.png").stat().st_size // 1024, "kB")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
