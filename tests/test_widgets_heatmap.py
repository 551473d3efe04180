"""Soft targets in a real browser: by real mouse, keys and fingers, on pages without a network, and with Python behind them."""

# ruff: noqa: F811  (pytest's fixtures are imported by the names that tests ask for)
import re

import numpy as np
import pytest
import torch
from browser import browser, open_html, page, settle, until, watched  # noqa: F401
from live import Live

from c2vl_kit.losses.soft_targets import soft_target_loss
from c2vl_kit.train.runs import save_tensors
from c2vl_kit.viz.concept_map import map_state
from c2vl_kit.viz.pack import player_state
from c2vl_kit.viz.widget import widget_fragment, widget_page
from c2vl_kit.viz.soft_targets import KINDS, SoftTargetHeatmap, TargetRecord, heatmap_page, heatmap_state

EVIL = "</script><script>window.ran=1</script><img src=x onerror='window.ran=1'> \"quoted\" 'one' 💃 مرحبا & <b>"
HEAT = "document.querySelector('[data-c2vl-widget]')"
LETTERS = {"intra": "S", "inter": "C", "mixed": "Y", "model": "P"}


@pytest.fixture(scope="module")
def clips(tiny_clips):
    return tiny_clips


@pytest.fixture(scope="module")
def looks(clips):
    """The loss's own matrices at 7 moments of a made-up training of the 24 clips: both directions, (7, 2, 24, 24) each."""
    g = torch.Generator().manual_seed(0)
    unit = torch.nn.functional.normalize
    label = torch.unique(torch.tensor([c.label for c in clips]), return_inverse=True)[1]
    words = unit(torch.randn(3, 16, generator=g)[label] + 0.9 * torch.randn(len(clips), 16, generator=g), dim=1)
    blind, out, alphas = torch.randn(len(clips), 16, generator=g), {k: [] for k in LETTERS.values()}, np.linspace(0, 0.6, 7)
    for a in alphas:
        t = soft_target_loss({"language": unit(a * words * 4 + (1 - a) * blind, dim=1)}, {"language": words}, 8.0, float(a))[1]["language"]
        for letter in out:
            out[letter].append(getattr(t, letter))
    return {k: torch.stack(v) for k, v in out.items()}, tuple(float(a) for a in alphas)


@pytest.fixture(scope="module")
def record(clips, looks):
    both, alphas = looks
    eye = np.tile(np.eye(len(clips), dtype=np.float32), (7, 1, 1))
    matrices = {"hard": eye, **{k: both[v][:, 0].numpy() for k, v in LETTERS.items()}}
    return TargetRecord(tuple(c.name for c in clips), tuple(range(0, 70, 10)), alphas, matrices)


@pytest.fixture(scope="module")
def state(record, clips):
    words, said = {c.name: c.label_name for c in clips}, {c.name: [f"A person seems to {c.label_name}."] for c in clips}
    return lambda **how: heatmap_state(record, words, prompts=said, clips=clips, **how)


def see(page, tmp_path, state):
    open_html(page, heatmap_page(state), tmp_path)
    page.focus("[data-role=canvas]")
    settle(page)


def get(page, trait):
    return page.evaluate(f"{HEAT}.c2vlModel.get('{trait}')")


def role(page, name):
    return page.locator(f".c2vl-heat [data-role={name}]")


def data(page, key):
    return page.get_attribute(".c2vl-heat", f"data-{key}") or ""


def cell(page, row, column, kind="mixed"):
    settle(page)
    return page.evaluate(f"([r, c, k]) => {HEAT}.c2vl.place(r, c, k)", [row, column, kind])


def value(page, kind, row, column, epoch):
    return page.evaluate(f"([k, r, c, e]) => {HEAT}.c2vl.value(k, r, c, e)", [kind, row, column, epoch])


def pixel(page, x, y):
    look = (
        f"""([x, y]) => {{ const f = {HEAT}.c2vl.face, box = f.canvas.getBoundingClientRect();
        return [...f.ctx.getImageData(Math.round((x - box.left) * f.ratio), Math.round((y - box.top) * f.ratio), 1, 1)"""
        ".data].slice(0, 3); }")
    return page.evaluate(look, [x, y])


def picture(page):
    settle(page)
    return page.evaluate(f"{HEAT}.c2vl.face.canvas.toDataURL()")


def away(page):
    page.mouse.move(5, 5)
    settle(page)


# ---------------------------------------------------------------- numbers

def test_the_browser_holds_the_numbers_of_the_record(page, tmp_path, clips, record, state):
    see(page, tmp_path, state())
    rng = np.random.default_rng(0)
    for kind in KINDS:
        for _ in range(12):
            e, i, j = rng.integers(0, 7), *rng.integers(0, len(clips), 2)
            wanted = record.matrices[kind][e, i, j]
            assert value(page, kind, clips[i].name, clips[j].name, int(e)) == pytest.approx(wanted if wanted >= 1e-6 else 0, rel=2e-4)
        h = page.evaluate(f"[...{HEAT}.c2vl.entropy('{kind}', 4)]")
        p = record.matrices[kind][4].astype(float)
        assert h == pytest.approx(-(p * np.log(np.clip(p, 1e-12, None))).sum(1), abs=2e-3)


def test_colours_are_locked_and_logarithmic(page, tmp_path, clips, record, state):
    see(page, tmp_path, state(sort="record", kinds=["mixed", "model"]))
    away(page)
    lo, seen = get(page, "lo"), {}
    for e in (0, 3, 6):
        role(page, "epoch").fill(str(e))
        for i in range(0, 24, 5):
            for kind in ("mixed", "model"):
                p = max(float(record.matrices[kind][e, i, i]), lo)
                seen[round(255 * (1 - np.log(p) / np.log(lo)))] = tuple(pixel(page, *cell(page, clips[i].name, clips[i].name, kind)))
    steps = sorted(seen)
    assert len(steps) > 5 and seen[steps[-1]][0] > 150                              # near one: yellow
    assert all(seen[a][1] <= seen[b][1] + 3 for a, b in zip(steps, steps[1:]))  # green rises with probability, whichever matrix and epoch


def test_half_way_on_the_scale_is_half_way_in_the_logarithm(page, tmp_path):
    from matplotlib import colormaps

    p = np.array([[0.9, 0.07, 0.03], [0.2, 0.7, 0.1], [0.05, 0.45, 0.5]])
    see(page, tmp_path, heatmap_state(TargetRecord(("a", "b", "c"), (0,), (0.0,), {"model": p[None]}), sort="record"))
    away(page)
    assert get(page, "lo") == pytest.approx(0.1 / 3)
    for i, j in np.ndindex(3, 3):
        wanted = np.array(colormaps["viridis"](max(0.0, 1 - np.log(p[i, j]) / np.log(0.1 / 3)))[:3]) * 255
        assert pixel(page, *cell(page, "abc"[i], "abc"[j], "model")) == pytest.approx(wanted, abs=6)


def test_rows_are_rows(page, tmp_path, clips, record, state):
    see(page, tmp_path, state(sort="record", kinds=["model"], epoch=-1))
    away(page)
    uneven = record.matrices["model"][-1] - record.matrices["model"][-1].T
    i, j = np.unravel_index(uneven.argmax(), uneven.shape)
    a, b = clips[i].name, clips[j].name
    assert value(page, "model", a, b, 6) > value(page, "model", b, a, 6)
    assert pixel(page, *cell(page, a, b, "model"))[1] > pixel(page, *cell(page, b, a, "model"))[1] + 10
    assert cell(page, a, a, "model")[1] == cell(page, a, b, "model")[1]                              # one row, one height


# ---------------------------------------------------------------- time

def test_epochs_by_slider_keys_and_play(page, tmp_path, state):
    see(page, tmp_path, state())
    assert data(page, "epoch") == "0" and "α = 0.00" in role(page, "told").inner_text()
    first = picture(page)
    box = role(page, "epoch").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert get(page, "epoch") == 3 and data(page, "epoch") == "30" and "α = 0.30" in role(page, "told").inner_text()
    assert picture(page) != first
    page.focus("[data-role=canvas]")
    page.keyboard.press(".")
    assert data(page, "epoch") == "40"
    page.keyboard.press("Home")
    assert data(page, "epoch") == "0" and picture(page) == first
    page.keyboard.press("Space")
    until(page, f"{HEAT}.c2vlModel.get('epoch') >= 2")
    assert data(page, "playing") == "true" == str(get(page, "playing")).lower()
    assert role(page, "play").get_attribute("aria-label") == "pause"
    role(page, "play").click()
    stopped = get(page, "epoch")
    page.wait_for_timeout(500)
    assert get(page, "epoch") == stopped and not get(page, "playing")


def test_perplexity_stands_beside_alpha_and_the_identity_is_marked(page, tmp_path, clips, record, state):
    """Both curves over the recorded moments; a target that is the identity says so in three places; the curves move the clock."""
    see(page, tmp_path, state())
    curves = "document.querySelector('[data-role=curves]').toDataURL()"
    for e in (0, 3, 6):
        p = record.matrices["mixed"][e].astype(float)
        mean = -(p * np.log(np.clip(p, 1e-12, None))).sum(1).mean()
        assert page.evaluate(f"{HEAT}.c2vl.perplexity('mixed', {e})") == pytest.approx(np.exp(mean), rel=5e-3)
    assert data(page, "identity") == "mixed" and "mixed Y = identity" in role(page, "told").inner_text()      # α is 0
    before = page.evaluate(curves)
    page.keyboard.press("End")
    settle(page)
    assert page.evaluate(curves) != before and data(page, "alpha") == "0.600" and data(page, "identity") == ""
    assert "identity" not in role(page, "told").inner_text()
    box = page.locator("[data-role=curves]").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.24 + 24 + 2, box["y"] + 60)              # the beginning of the right plot
    assert data(page, "epoch") == "0"
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 160, box["y"] + 60, steps=4)
    page.mouse.up()
    assert data(page, "epoch") == "60"


def test_classes_stand_on_both_axes_and_on_nothing_else(page, tmp_path, clips, state):
    """Every class is named left of its rows and below its columns; names keep their distance; cut ones stay different."""
    axes = lambda: page.evaluate(f"{HEAT}.c2vl.axes")
    see(page, tmp_path, state(sort="class"))
    words = sorted({c.label_name for c in clips})
    assert [a["word"] for a in axes()["rows"]] == words == [a["word"] for a in axes()["columns"]]
    row = axes()["rows"][1]
    ys = [cell(page, c.name, c.name, "hard")[1] for c in clips if c.label_name == row["word"]]
    top = cell(page, next(c.name for c in clips if c.label_name == words[0]), clips[0].name, "hard")[1]
    assert min(ys) - top < row["at"] < max(ys) - top + 20                                  # beside its own rows
    role(page, "sort").select_option("record")
    settle(page)
    assert axes() == {"rows": [], "columns": []}
    many = {c.name: f"put on a very long piece of clothing number {i // 2}" for i, c in enumerate(clips)}
    eyes = {k: np.eye(24)[None] for k in ("hard", "model")}
    see(page, tmp_path, heatmap_state(TargetRecord(tuple(many), (0,), (0.0,), eyes),
                                      many, height=330))
    names = axes()["rows"]
    assert len({a["text"] for a in names}) == len(names) > 4 and all("…" in a["text"] for a in names)
    assert min(b["at"] - a["at"] for a, b in zip(names, names[1:])) >= 12.9


def test_difference_to_the_epoch_before(page, tmp_path, clips, record, state):
    see(page, tmp_path, state(sort="record", epoch=4))
    page.keyboard.press("d")
    assert get(page, "difference") is True and "change" in role(page, "bar").inner_text()
    away(page)
    change = np.diff(record.matrices["mixed"], axis=0)[3]
    for i, j in (np.unravel_index(change.argmax(), change.shape), np.unravel_index(change.argmin(), change.shape)):
        r, _, b = pixel(page, *cell(page, clips[i].name, clips[j].name))
        assert (r > b) == (change[i, j] > 0), (i, j)                                                 # red is more, blue is less
    i, j = np.unravel_index(np.abs(change - np.diag(np.diag(change))).argmax(), change.shape)
    page.mouse.move(*cell(page, clips[i].name, clips[j].name))
    said = role(page, "values").locator("[data-value=mixed]").inner_text()
    assert float(re.search(r"\(([+−][\d.e-]+)", said)[1].replace("−", "-")) == pytest.approx(change[i, j], rel=0.02)
    role(page, "difference").click()
    assert get(page, "difference") is False


def test_difference_to_an_epoch_of_identities(page, tmp_path, clips, record, state):
    see(page, tmp_path, state(sort="record", epoch=1, kinds=["mixed"]))            # at the first epoch α = 0: the target in force is I
    page.keyboard.press("d")
    away(page)
    (i, j), change = (2, 2), record.matrices["mixed"][1] - np.eye(len(clips))
    assert change[i, j] < -0.05
    r, _, b = pixel(page, *cell(page, clips[i].name, clips[j].name))
    assert b > r + 30 and data(page, "epoch") == "10"                                                # the diagonal has lost
    role(page, "epoch").fill("0")
    assert picture(page)


# ---------------------------------------------------------------- order and what is shown

@pytest.mark.parametrize("sort", ["class", "cluster", "record"])
def test_sorting(page, tmp_path, clips, state, sort):
    see(page, tmp_path, state())
    role(page, "sort").select_option(sort)
    order = page.evaluate(f"{HEAT}.c2vl.order")
    assert data(page, "sort") == sort == get(page, "sort") and sorted(order) == sorted(c.name for c in clips)
    group = {"class": {c.name: c.label_name for c in clips}, "cluster": dict(zip(get(page, "names"), get(page, "clusters")))}.get(sort)
    if group:
        words = [group[name] for name in order]
        assert sum(a != b for a, b in zip(words, words[1:])) == len(set(words)) - 1                  # every group is one run
    else:
        assert order == [c.name for c in clips]
    down = [cell(page, name, order[0])[1] for name in order]
    assert down == sorted(down)


def test_matrices_are_chosen_by_button_and_digit(page, tmp_path, state):
    see(page, tmp_path, state())
    assert data(page, "kinds") == "hard intra inter mixed model"
    role(page, "kind-hard").click()
    assert data(page, "kinds") == "intra inter mixed model" and role(page, "kind-hard").get_attribute("aria-pressed") == "false"
    page.focus("[data-role=canvas]")
    page.keyboard.press("5")
    assert get(page, "kinds") == ["model"]
    page.keyboard.press("5")
    assert len(get(page, "kinds")) == 5


def test_a_set_without_the_chosen_matrices_shows_its_own(page, tmp_path, clips, record):
    names, few = record.names, TargetRecord(record.names, record.epochs, record.alphas, {"model": record.matrices["model"]})
    see(page, tmp_path, heatmap_state({"all": record, "few": few}, kinds=["intra", "mixed"]))
    role(page, "set").select_option(label="few")
    assert data(page, "kinds") == "model" and role(page, "kind-model").get_attribute("aria-pressed") == "true"
    page.mouse.move(*cell(page, names[1], names[2], "model"))
    assert role(page, "values").locator("[data-value=model]").is_visible()
    role(page, "set").select_option(label="all")
    assert data(page, "kinds") == "intra mixed"
    page.evaluate(f"{HEAT}.c2vlModel.set('kinds', [])")
    assert data(page, "kinds") == "hard intra inter mixed model"
    page.evaluate(f"{HEAT}.c2vlModel.set('which', 7)")
    settle(page)
    page.focus("[data-role=canvas]")
    page.keyboard.press("5")
    assert data(page, "kinds") == "model"


def test_the_card_follows_set_order_and_matrices(page, tmp_path, clips, record):
    other = TargetRecord(record.names, record.epochs, record.alphas, {k: m[::-1] for k, m in record.matrices.items()})
    see(page, tmp_path, heatmap_state({"one": record, "two": other}, sort="record", epoch=6))
    page.mouse.move(*cell(page, clips[3].name, clips[8].name, "model"))
    said = lambda: role(page, "values").inner_text()
    tell = lambda trait, value: (page.evaluate(f"([k, v]) => {HEAT}.c2vlModel.set(k, v)", [trait, value]), settle(page))
    for wanted, now in ((6, lambda: None), (0, lambda: tell("which", 1))):
        now()
        shown = float(role(page, "values").locator("[data-value=model]").inner_text().split()[-1])
        assert shown == pytest.approx(float(record.matrices["model"][wanted, 3, 8]), rel=6e-3)
    tell("kinds", ["mixed", "model"])
    assert "hard" not in said() and "mixed" in said()
    before = role(page, "tip").bounding_box()
    tell("sort", "cluster")
    assert role(page, "tip").bounding_box() != before


def test_zoom_and_move_in_all_matrices(page, tmp_path, clips, state):
    see(page, tmp_path, state(sort="record"))
    a, b = clips[10].name, clips[12].name
    before = [cell(page, a, b, kind) for kind in ("mixed", "model")]
    page.mouse.move(*before[0])
    for _ in range(4):
        page.mouse.wheel(0, -120)
    settle(page)
    assert float(data(page, "zoom")) > 2 and cell(page, a, b) == pytest.approx(before[0], abs=4)
    assert cell(page, a, b, "model") == pytest.approx(before[1], abs=6)
    x, y = before[0]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 20, y - 10, steps=4)
    page.mouse.up()
    assert cell(page, a, b) == pytest.approx((x - 20, y - 10), abs=5)
    page.keyboard.press("0")
    assert cell(page, a, b) == pytest.approx(before[0], abs=0.5)


# ---------------------------------------------------------------- pointing

def test_a_cell_shows_both_clips_prompts_and_numbers(page, tmp_path, clips, record, state):
    see(page, tmp_path, state(epoch=5))
    i, j = 3, 17
    page.mouse.move(*cell(page, clips[i].name, clips[j].name))
    tip = role(page, "tip")
    assert tip.is_visible() and data(page, "hover").split("\n") == [clips[i].name, clips[j].name]
    assert role(page, "row-name").inner_text() == clips[i].name and role(page, "column-name").inner_text() == clips[j].name
    assert role(page, "row-prompt").inner_text() == f"A person seems to {clips[i].label_name}."
    assert role(page, "column-prompt").inner_text() == f"A person seems to {clips[j].label_name}."
    assert tip.locator("canvas").count() == 2 and clips[j].label_name in tip.inner_text()
    shown = {k: float(role(page, "values").locator(f"[data-value={k}]").inner_text().split()[-1]) for k in KINDS}
    assert shown == {k: pytest.approx(float(record.matrices[k][5, i, j]), rel=6e-3, abs=1e-6) for k in KINDS}
    assert get(page, "cell") == {"row": clips[i].name, "column": clips[j].name, "kind": "mixed"}
    away(page)
    assert not tip.is_visible() and get(page, "cell") == {}


def test_row_entropy_beside_every_matrix(page, tmp_path, clips, record, state):
    see(page, tmp_path, state(sort="record", epoch=2))
    x, y = cell(page, clips[0].name, clips[-1].name, "model")
    step = cell(page, clips[0].name, clips[-1].name, "model")[0] - cell(page, clips[0].name, clips[-2].name, "model")[0]
    page.mouse.move(x + step / 2 + 6, y)
    p = record.matrices["model"][2, 0].astype(float)
    assert f"{-(p * np.log(p)).sum():.2f} nats" in role(page, "values").inner_text() and data(page, "hover") == clips[0].name
    assert role(page, "column-name").count() == 0


def test_cells_by_keyboard(page, tmp_path, clips, state):
    see(page, tmp_path, state(sort="record"))
    page.keyboard.press("ArrowDown")
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    assert data(page, "hover").split("\n") == [clips[1].name, clips[2].name]
    assert clips[2].name in page.locator(".c2vl-live").inner_text()
    page.keyboard.press("Enter")
    assert get(page, "picked") == [clips[1].name, clips[2].name]


def test_a_cell_lights_the_map_and_sends_both_clips_to_the_player(page, tmp_path, clips, state):
    names, rng = [c.name for c in clips], np.random.default_rng(0)
    parts = [widget_fragment("heatmap", state(group="g", height=330)),
             widget_fragment("concept_map", map_state((names, rng.random((24, 2))), group="g", height=260)),
             widget_fragment("player", player_state(clips, group="g", shown=0, height=200))]
    page.set_viewport_size({"width": 1000, "height": 1500})
    open_html(page, widget_page("\n".join(parts), ["heatmap", "concept_map", "player"], "three"), tmp_path)
    a, b = clips[4].name, clips[19].name
    page.mouse.move(*cell(page, a, b))
    assert page.get_attribute(".c2vl-map", "data-linked").split("\n") == [a, b]
    page.mouse.click(*cell(page, a, b))
    of = lambda kind, trait: page.evaluate(f"document.querySelector('[data-c2vl-widget={kind}]').c2vlModel.get('{trait}')")
    assert of("player", "shown") == [4, 19] and of("concept_map", "picked") == [a, b] == get(page, "picked")
    x, y = page.evaluate(f"document.querySelector('[data-c2vl-widget=concept_map]').c2vl.place('{clips[8].name}')")
    page.mouse.move(x, y)                                                                            # and the other way round
    assert data(page, "linked") == page.get_attribute(".c2vl-map", "data-hover") != ""


def test_a_run_with_both_directions_and_python_behind_it(page, tmp_path, clips, looks):
    both, alphas = looks
    names = [c.name for c in clips]
    save_tensors(tmp_path / "targets.safetensors", {f"language.{k}": v.contiguous() for k, v in both.items()},
                 {"names": names, "modalities": ["language"], "epochs": list(range(7)), "alphas": list(alphas)})
    widget = SoftTargetHeatmap(tmp_path, [c.label_name for c in clips], clips={c.name: c for c in clips}, card_mb=1e-6)
    assert [s["label"] for s in widget.sets] == ["language: skeleton → words", "language: words → skeleton"]
    live = Live(page, widget, tmp_path)
    page.mouse.click(*cell(page, names[2], names[9], "model"))
    live.flush()
    assert widget.picked == [names[2], names[9]] and widget.cell["kind"] == "model"
    live.flush()                                                                                     # cards that did not travel along
    until(page, "document.querySelectorAll('[data-role=tip] canvas').length === 2")
    role(page, "set").select_option("1")
    live.flush()
    assert widget.which == 1
    assert value(page, "model", names[2], names[9], 3) == pytest.approx(float(both["P"][3, 1, 2, 9]), rel=2e-4, abs=1e-6)
    widget.epoch, widget.sort = 6, "cluster"
    live.flush()
    assert data(page, "epoch") == "6" and data(page, "sort") == "cluster"
    widget.play()
    live.flush()
    until(page, "document.querySelector('.c2vl-heat').dataset.epoch !== '6'")
    page.keyboard.press("Space")
    live.flush()
    assert widget.playing is False


def test_touch_picks_a_cell(browser, tmp_path, clips, state):
    with watched(browser, viewport={"width": 400, "height": 900}, has_touch=True) as tab:
        see(tab, tmp_path, state(kinds=["model"]))
        tab.touchscreen.tap(*cell(tab, clips[2].name, clips[5].name, "model"))
        settle(tab)
        assert get(tab, "picked") == [clips[2].name, clips[5].name] and role(tab, "tip").is_visible()


# ---------------------------------------------------------------- safety and looks

def test_strings_from_data_are_text(page, tmp_path, clips):
    names = (EVIL, *(c.name for c in clips[1:4]))
    record = TargetRecord(names, (0, 1), (0.0, 0.5), {"model": np.full((2, 4, 4), 0.25), "hard": np.stack([np.eye(4)] * 2)})
    state = heatmap_state({EVIL: record}, [EVIL, "a", "b", EVIL], prompts={EVIL: EVIL}, clips=[c.replace(name=EVIL) for c in clips[:1]])
    open_html(page, heatmap_page(state, title=EVIL), tmp_path)
    page.mouse.click(*cell(page, EVIL, names[1], "model"))
    shown = " ".join(EVIL.split())
    assert role(page, "row-name").inner_text() == shown == role(page, "row-prompt").inner_text() and get(page, "picked") == [EVIL, names[1]]
    page.focus("[data-role=canvas]")
    page.keyboard.press("5")
    assert page.evaluate("window.ran") is None and page.locator(".c2vl img").count() == 0 and page.locator("script").count() == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1000])
def test_narrow_screens_and_themes(browser, tmp_path, clips, state, scheme, width):
    with watched(browser, viewport={"width": width, "height": 900}, color_scheme=scheme) as tab:
        see(tab, tmp_path, state())
        assert tab.get_attribute(".c2vl-heat", "data-theme") == scheme
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        tab.mouse.move(*cell(tab, clips[3].name, clips[8].name, "hard"))
        tip = role(tab, "tip").bounding_box()
        assert tip["x"] >= 0 and tip["x"] + tip["width"] <= width
        ground = tab.evaluate(f"[...{HEAT}.c2vl.face.ctx.getImageData(1, 1, 1, 1).data].slice(0, 3)")
        assert (sum(ground) < 200) == (scheme == "dark")


def test_everything_has_a_name_and_is_reached_with_the_keyboard(page, tmp_path, state):
    see(page, tmp_path, state())
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('.c2vl button, .c2vl select, .c2vl input, .c2vl canvas[tabindex]')].filter((e) =>
        e.offsetParent && !(e.getAttribute('aria-label') || e.textContent.trim())).map((e) => e.outerHTML)""")
    assert nameless == []
    seen = set()
    for _ in range(25):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.dataset.role ?? ''"))
    assert {*(f"kind-{k}" for k in KINDS), "sort", "difference", "reset", "canvas", "play", "epoch", "help-button"} <= seen


def test_pages_are_small_and_hold_no_address(state):
    html = heatmap_page(state())
    assert not re.search(r"(src|href)\s*=|https?://(?!www\.w3\.org/2000/svg)|@import|url\(", html)
    assert len(html) < 0.6e6


def test_a_long_record_stays_within_its_room(page, tmp_path, at_the_end):
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(64, 0.2), size=(100, 64)).astype(np.float32)
    record = TargetRecord(tuple(f"clip{i}" for i in range(64)), tuple(range(100)),
                          tuple(np.linspace(0, 0.8, 100)), {"intra": p, "model": p[:, ::-1]})
    state = heatmap_state(record, most_mb=1.0)
    assert len(state["data"]) <= 1e6 and state["epochs"][0] == 0 and state["epochs"][-1] == 99
    see(page, tmp_path, state)
    times = []
    for _ in range(20):
        page.keyboard.press(".")
        settle(page)
        times.append(page.evaluate(f"{HEAT}.c2vl.stats.ms"))
    at_the_end("soft targets", f"two matrices of 64 clips redrawn in {np.median(times):.1f} ms per epoch (median of {len(times)})")
    assert np.median(times) < 50


def test_the_matrices_are_saved_and_fill_the_screen(page, tmp_path, state):
    see(page, tmp_path, state())
    with page.expect_download() as got:
        page.locator("[data-role=save]").click()
    assert got.value.suggested_filename == "soft-targets.png" and got.value.path().stat().st_size > 2000
    before = page.locator("[data-role=canvas]").bounding_box()["height"]
    page.locator("[data-role=full]").click()
    until(page, "document.fullscreenElement")
    settle(page)
    assert page.locator("[data-role=canvas]").bounding_box()["height"] > before + 40


def test_lines_are_saved_as_svg(page, tmp_path, clips, state):
    from xml.etree import ElementTree

    see(page, tmp_path, state(sort="class"))
    with page.expect_download() as got:
        role(page, "save-svg").click()
    assert got.value.suggested_filename == "soft-targets.svg"
    root = ElementTree.parse(got.value.path()).getroot()
    texts = {e.text for e in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {c.label_name for c in clips} <= texts and any(t.startswith("perplexity") for t in texts)
    assert sum(1 for _ in root.iter("{http://www.w3.org/2000/svg}image")) == 5             # the matrices


def test_the_address_keeps_what_is_seen(page, tmp_path, clips, state):
    """Epoch, order and pair stand behind the #, and come back after a reload; what is no epoch changes nothing."""
    see(page, tmp_path, state())
    assert page.evaluate("location.hash") == ""
    page.keyboard.press("End")
    role(page, "sort").select_option("cluster")
    page.mouse.click(*cell(page, clips[2].name, clips[9].name))
    until(page, "location.hash.includes('pair=')")
    assert "epoch=60" in page.evaluate("location.hash") and "sort=cluster" in page.evaluate("location.hash")
    page.reload()
    settle(page)
    assert (data(page, "epoch"), data(page, "sort"), get(page, "picked")) == ("60", "cluster", [clips[2].name, clips[9].name])
    page.evaluate("location.hash = '#epoch=20'")
    until(page, "document.querySelector('.c2vl-heat').dataset.epoch === '20'")
    until(page, "location.hash.includes('sort=')")                                         # said again
    page.evaluate("location.hash = '#epoch=<b>&pair=nobody'")
    until(page, "document.querySelector('.c2vl-heat').dataset.picked === ''")
    assert data(page, "epoch") == "20" and get(page, "picked") == []
