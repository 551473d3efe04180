"""Widgets in a real JupyterLab: the player plays and Python knows the frame, a lasso on the map is a selection in Python, a run is
watched while it learns, stopped and taken up again, and then explored.

Started on a free loopback port with a token.
"""

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from browser import browser, executable, until  # noqa: F401

CELLS = [
    "from c2vl_kit.data.simulate import SimulatorConfig, simulate\n"
    "from c2vl_kit.viz.player import SkeletonPlayer\n"
    "clips = simulate(SimulatorConfig(classes=2, subjects=2, repetitions=1)).clips\n"
    "player = SkeletonPlayer(clips[0])\n"
    "seen = []\n"
    "player.observe(lambda change: seen.append(change['new']), 'frame')\n"
    "player",
    "print('state', len(seen), player.frame, player.playing, player.camera['yaw'])",
    "player.frame = 7\nplayer.look('back')\nplayer.load(clips[1])",
]

MAP_CELLS = [
    "import numpy as np\n"
    "from c2vl_kit.viz.concept_map import ConceptMap\n"
    "names = [f'clip{i}' for i in range(40)]\n"
    "xy = np.stack([np.arange(40) % 2 * 5, np.arange(40) / 10], 1)\n"
    "the_map = ConceptMap((names, xy), labels=[f'side {i % 2}' for i in range(40)], group='both')\n"
    "from ipywidgets import VBox\n"
    "VBox([the_map, ConceptMap((names, xy), group='both', height=160)])",
    "print('chosen', len(the_map.selection), sorted({int(n[4:]) % 2 for n in the_map.selection}), the_map.picked)",
    "the_map.select('clip3', 'clip8')",
]

RUN_CELLS = [
    "import numpy as np\n"
    "from pathlib import Path\n"
    "from c2vl_kit.concepts.space import ConceptSpace\n"
    "from c2vl_kit.data.catalog import get_split\n"
    "from c2vl_kit.data.loader import ClipSet\n"
    "from c2vl_kit.data.simulate import SimulatorConfig, simulate\n"
    "from c2vl_kit.data.build import build_store\n"
    "from c2vl_kit.methods import c2vl\n"
    "from c2vl_kit.methods.c2vl import small\n"
    "from c2vl_kit.train.pretrain import pretrain\n"
    "from c2vl_kit.viz.explorer import Explorer\n"
    "from c2vl_kit.viz.live import LiveView\n"
    "made = simulate(SimulatorConfig(classes=3, subjects=4, repetitions=2))\n"
    "store, _ = build_store('job/store', made.clips, dataset='simulated', progress=False)\n"
    "split = get_split(store)\n"
    "rng = np.random.default_rng(0)\n"
    "vectors = rng.normal(size=(3, 8))[store.labels] + 0.4 * rng.normal(size=(len(store), 8))\n"
    "space = ConceptSpace(store.names, vectors.astype(np.float32)); space.save('job/space')\n"
    "settings = small(frames=8, backbone={'width': 4, 'dim': 16}, train={'epochs': 1000, 'batch_size': 6})\n"
    "watched = ClipSet.load(store, split.train, 8, progress=False)\n"
    "live = LiveView(watched, dict(zip(store.names, store.labels)), every=1)\n"
    "live",
    "try:\n"
    "    pretrain(c2vl, store, split, 'job/run', settings, space=space, callbacks=[live], record_targets=50, progress=False)\n"
    "except KeyboardInterrupt:\n"
    "    print('stopped at', live.epoch)",
    "run = pretrain(c2vl, store, split, 'job/run', settings, space=space, callbacks=[live], record_targets=50, stop_after=live.epoch + 2, "
    "progress=False)\n"
    "print('went on to', live.epoch, len(run.history()))",
    "explorer = Explorer('job/run', prompts=made.descriptions)\n"
    "explorer",
    "print('shown', [explorer.player.metas[i]['name'] for i in explorer.player.shown], explorer.map.picked == explorer.heatmap.picked)",
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A running JupyterLab with one notebook; gives its address with the token."""
    pytest.importorskip("jupyterlab", reason="no JupyterLab test: the Python package jupyterlab is not installed (make lab installs it)")
    if not executable():
        pytest.skip("no JupyterLab test: Chromium is not installed")
    home = tmp_path_factory.mktemp("lab")
    work = home / "work"
    work.mkdir()
    spec = {"kernelspec": {"name": "python3", "display_name": "python3", "language": "python"}}
    for page, sources in (("player", CELLS), ("map", MAP_CELLS), ("run", RUN_CELLS), ("poster", CELLS[:1])):
        cells = [{"cell_type": "code", "id": f"c{i}", "metadata": {}, "execution_count": None, "outputs": [], "source": text}
                 for i, text in enumerate(sources)]
        (work / f"{page}.ipynb").write_text(json.dumps({"cells": cells, "metadata": spec, "nbformat": 4, "nbformat_minor": 5}))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    folders = {f"JUPYTER_{name}": str(home / name.lower()) for name in ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")}
    folders |= {"JUPYTERLAB_SETTINGS_DIR": str(home / "settings"), "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
                "IPYTHONDIR": str(home / "ipython")}
    quiet = home / "settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    quiet.parent.mkdir(parents=True)
    quiet.write_text('{"fetchNews": "false", "checkForUpdates": false}')
    root = str(Path(__file__).resolve().parents[1])
    env = os.environ | folders | {"PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0",
               "--allow-root", f"--ServerApp.root_dir={work}", f"--IdentityProvider.token={token}", "--LabApp.news_url=None"]
    with open(home / "log", "wb") as log:
        server = subprocess.Popen(command, cwd=work, env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_for(f"http://127.0.0.1:{port}/api?token={token}", server, home / "log")
        yield f"http://127.0.0.1:{port}/lab/tree/player.ipynb?token={token}"
    finally:
        stop(server)


def wait_for(address: str, server, log: Path, seconds: float = 90) -> None:
    """Until the server answers; shows its log if it ends or stays silent."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.3)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")


def stop(server) -> None:
    """Ends the server and its kernels: asked first, then made to."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, sign)
            server.wait(timeout=15)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def open_notebook(tab, address: str, name: str) -> None:
    """Opens one of the notebooks in a workspace of its own, waits for its kernel and runs its first cell."""
    tab.goto(address.replace("/lab/tree/player.ipynb", f"/lab/workspaces/{name}/tree/{name}.ipynb"))
    tab.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=120_000)
    tab.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(timeout=120_000)
    run_cell(tab, 0)


def picture(tab, name: str) -> None:
    """A screenshot into $C2VL_SCREENSHOTS, for those who set it."""
    if folder := os.environ.get("C2VL_SCREENSHOTS"):
        tab.screenshot(path=f"{folder}/{name}.png")


def answer_dialogs(tab) -> None:
    """JupyterLab on a busy machine may ask something first (which kernel, connect again?): say yes, and say what it was."""
    while (dialog := tab.locator(".jp-Dialog").first).count():
        print("JupyterLab asks:", dialog.inner_text().replace("\n", " | "))
        dialog.locator(".jp-mod-accept").click(timeout=5000)
        tab.wait_for_timeout(300)


def run_cell(tab, number: int, seconds: float = 90) -> str:
    """Runs a cell by keyboard, waits until the kernel has finished it, and gives its output."""
    cell = tab.locator(".jp-Notebook .jp-CodeCell").nth(number)
    prompt = cell.locator(".jp-InputPrompt").first
    before, end = prompt.inner_text(), time.monotonic() + seconds
    while (now := prompt.inner_text()) == before or not re.search(r"\d", now):
        if "*" not in now:                                 # not taken up: the kernel may still be getting ready, so ask again
            answer_dialogs(tab)
            cell.locator(".cm-content").click()
            tab.keyboard.press("Control+Enter")
        tab.wait_for_timeout(100 if "*" in now else 1500)
        assert time.monotonic() < end, f"cell {number} does not run; its prompt says {now!r}"
    return cell.locator(".jp-Cell-outputArea").inner_text()


def test_the_player_plays_in_jupyterlab_and_python_knows(browser, lab):  # noqa: F811
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    outside: list[str] = []
    context.route("**/*", lambda route: route.continue_() if "//127.0.0.1:" in route.request.url or not route.request.url.startswith("http")
                  else (outside.append(route.request.url), route.abort()))
    tab = context.new_page()
    try:
        open_notebook(tab, lab, "player")
        canvas = tab.locator(".c2vl-player [data-role=canvas]")
        canvas.wait_for(timeout=30_000)
        colours = tab.evaluate("""() => { const c = document.querySelector('.c2vl-player canvas');
            return new Set(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size; }""")
        assert colours > 20                                            # a body, a grid, soft edges: not an empty picture
        assert tab.get_attribute(".c2vl-player", "data-theme") == "light"

        tab.locator("[data-role=play]").click()
        until(tab, "Number(document.querySelector('.c2vl-player').dataset.frame) > 20")
        tab.locator("[data-role=play]").click()
        stood = int(tab.get_attribute(".c2vl-player", "data-frame"))
        word, changes, frame, playing, _ = run_cell(tab, 1).split()
        assert (word, int(frame), playing) == ("state", stood, "False") and 3 <= int(changes) <= 40    # told ten times a second, not sixty

        box = canvas.bounding_box()                                    # keys belong to the player, not to the notebook's own commands
        tab.mouse.click(box["x"] + 20, box["y"] + box["height"] - 20)
        cells = tab.locator(".jp-Notebook .jp-Cell").count()
        for key in ("Home", "ArrowRight", "ArrowRight", "a", "a", "l", "0", "0"):
            tab.keyboard.press(key)
        assert tab.get_attribute(".c2vl-player", "data-frame") == "2" and tab.locator(".jp-Notebook .jp-Cell").count() == cells
        tab.mouse.move(box["x"] + 200, box["y"] + 150)
        tab.mouse.down()
        tab.mouse.move(box["x"] + 280, box["y"] + 150, steps=4)
        tab.mouse.up()
        tab.wait_for_timeout(500)
        output = run_cell(tab, 1).split()
        assert int(output[2]) == 2 and abs(float(output[4]) - (25 - 40)) <= 3

        run_cell(tab, 2)                                               # and Python moves the picture
        until(tab, "document.querySelector('.c2vl-titles b').innerText.includes('s02')"
                   " && document.querySelector('.c2vl-player').dataset.frame === '0'")
        until(tab, "document.querySelector('.c2vl-player [data-role=view]').value === 'back'")
        assert outside == []
        picture(tab, "jupyterlab")
    except BaseException:
        picture(tab, "jupyterlab-failed")
        raise
    finally:
        context.close()


def test_a_poster_stands_in_for_a_widget_without_its_kernel(browser, lab):  # noqa: F811
    """Hidden while the widget lives, also after a reload; in its place when the kernel was started anew."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    tab = context.new_page()
    shows = lambda: tab.locator("[data-c2vl-poster]").first.evaluate("(e) => [e.dataset.shows ?? '', e.checkVisibility()]")
    try:
        open_notebook(tab, lab, "poster")
        tab.locator(".c2vl-player [data-role=canvas]").wait_for(timeout=30_000)
        assert shows() == ["live", False]
        tab.keyboard.press("Control+s")
        until(tab, "document.querySelector('.jp-DirtyIndicator, .jp-mod-dirty') === null", 20)
        tab.reload()
        tab.locator(".c2vl-player [data-role=canvas]").wait_for(timeout=90_000)               # the kernel is still there
        until(tab, "document.querySelector('[data-c2vl-poster]').dataset.shows === 'live'", 20)
        tab.locator(".jp-Notebook .jp-CodeCell").first.locator(".jp-InputPrompt").first.click()
        tab.keyboard.press("Escape")
        tab.keyboard.press("0")
        tab.keyboard.press("0")                                                              # JupyterLab's keys to restart the kernel
        tab.locator(".jp-Dialog .jp-mod-accept").click(timeout=10_000)
        until(tab, "document.querySelector('[data-c2vl-poster]').dataset.shows !== 'live'", 60)
        assert "Run this cell again" in tab.locator("[data-c2vl-poster]").first.inner_text()
        picture(tab, "jupyterlab-restarted")
        tab.reload()
        tab.locator("[data-c2vl-poster] svg").first.wait_for(timeout=90_000)
        assert shows() == ["", True] and not tab.get_by_text("model not found").is_visible()
        picture(tab, "jupyterlab-poster")
    except BaseException:
        picture(tab, "jupyterlab-poster-failed")
        raise
    finally:
        context.close()


def start_cell(tab, number: int) -> None:
    """Runs a cell by keyboard and waits only until the kernel has taken it up."""
    cell = tab.locator(".jp-Notebook .jp-CodeCell").nth(number)
    cell.locator(".cm-content").click()
    tab.keyboard.press("Control+Enter")
    until(tab, f"document.querySelectorAll('.jp-Notebook .jp-CodeCell')[{number}]"
               ".querySelector('.jp-InputPrompt').innerText.includes('*')", 30)


def test_watch_interrupt_go_on_explore(browser, lab):  # noqa: F811
    context = browser.new_context(viewport={"width": 1300, "height": 1500})
    tab = context.new_page()
    try:
        open_notebook(tab, lab, "run")
        tab.locator(".c2vl-training").wait_for(timeout=30_000)
        assert "waiting for the first epoch" in tab.locator(".c2vl-training").inner_text()
        start_cell(tab, 1)
        epoch = "Number(document.querySelector('.c2vl-training').dataset.epoch)"
        until(tab, f"{epoch} > 3", 90)                                 # drawn while the cell still runs
        assert "*" in tab.locator(".jp-Notebook .jp-CodeCell").nth(1).locator(".jp-InputPrompt").inner_text()
        seen = tab.locator(".c2vl-training").inner_text()
        assert "of 1000" in seen and "interrupt whenever you like" in seen and "clips a second" in seen
        panels = tab.locator(".c2vl-training svg").evaluate_all("all => all.map((e) => e.getAttribute('aria-label').split(' from ')[0])")
        assert {"loss, nats", "α, share of the soft target", "nearest neighbour of the same class, share",
                "logit scale 1/τ · language"} <= set(panels)
        picture(tab, "jupyterlab-live")
        tab.keyboard.press("Escape")
        tab.keyboard.press("i")
        tab.keyboard.press("i")                                        # JupyterLab's keys to interrupt the kernel
        said = tab.locator(".jp-Notebook .jp-CodeCell").nth(1).locator(".jp-Cell-outputArea")
        until(tab, "document.querySelectorAll('.jp-Notebook .jp-CodeCell')[1]"
                   ".querySelector('.jp-Cell-outputArea').innerText.includes('stopped at')", 60)
        stopped = int(re.search(r"stopped at (\d+)", said.inner_text())[1])
        assert stopped > 3
        went = re.search(r"went on to (\d+) (\d+)", run_cell(tab, 2))
        assert went.groups() == (str(stopped + 2),) * 2                # no epoch lost, none done twice

        run_cell(tab, 3)
        heat = tab.locator(".c2vl-heat")
        heat.wait_for(timeout=60_000)
        tab.locator(".c2vl-player [data-role=canvas]").wait_for(timeout=30_000)
        heat.scroll_into_view_if_needed()
        tab.wait_for_timeout(500)
        find = "const host = (e) => (e.c2vl ? e : host(e.parentElement)), heat = host(document.querySelector('.c2vl-heat')).c2vl;"
        names = tab.evaluate(f"() => {{ {find} return heat.order; }}")
        a, b = names[1], names[-2]
        place = tab.evaluate(f"([a, b]) => {{ {find} return heat.place(a, b, 'model'); }}", [a, b])
        tab.mouse.move(*place)
        until(tab, "(document.querySelector('.c2vl-map').dataset.linked ?? '').includes('\\n')")
        assert tab.locator(".c2vl-map").get_attribute("data-linked").split("\n") == [a, b]
        tab.mouse.click(*place)
        until(tab, "document.querySelectorAll('.c2vl-player .c2vl-titles b').length === 2")
        assert tab.locator(".c2vl-player .c2vl-titles b").all_inner_texts() == [a, b]
        picture(tab, "jupyterlab-explorer")
        tab.wait_for_timeout(300)
        assert tab.locator(".c2vl-training").bounding_box()["width"] > 400       # the widgets' style leaves it alone
        assert run_cell(tab, 4).strip() == f"shown {[a, b]} True"      # and Python knows
    except BaseException:
        picture(tab, "jupyterlab-failed")
        raise
    finally:
        context.close()


def test_a_lasso_on_the_map_is_a_selection_in_python(browser, lab):  # noqa: F811
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    tab = context.new_page()
    try:
        open_notebook(tab, lab, "map")
        canvas = tab.locator(".c2vl-map [data-role=canvas]").first
        canvas.wait_for(timeout=30_000)
        tab.locator(".c2vl-map [data-role=canvas]").nth(1).wait_for(timeout=30_000)
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        left = [(box["x"] + 5, box["y"] + 5), (box["x"] + box["width"] / 2, box["y"] + 5),
                (box["x"] + box["width"] / 2, box["y"] + box["height"] - 5), (box["x"] + 5, box["y"] + box["height"] - 5)]
        tab.keyboard.down("Shift")
        tab.mouse.move(*left[0])
        tab.mouse.down()
        for corner in [*left[1:], left[0]]:
            tab.mouse.move(*corner, steps=6)
        tab.mouse.up()
        tab.keyboard.up("Shift")
        maps = tab.locator(".c2vl-map")
        assert maps.first.get_attribute("data-selected") == "20" == maps.nth(1).get_attribute("data-selected")      # linked in the browser
        tab.wait_for_timeout(300)
        assert run_cell(tab, 1).strip() == "chosen 20 [0] []"
        run_cell(tab, 2)                                               # and Python chooses on the map
        until(tab, "document.querySelector('.c2vl-map').dataset.selected === '2'")
        maps.first.locator("[data-role=listed]").nth(1).click()
        assert maps.nth(1).get_attribute("data-picked") == "clip8"
        assert run_cell(tab, 1).strip() == "chosen 2 [0, 1] ['clip8']"
    finally:
        context.close()
