"""The data sets' own pages: each shows its skeleton with names, says what was seen of it, and shows a real clip where there is one."""

import json
import re
from html import unescape

import pytest

from c2vl_kit.data.catalog import DATASETS, get_dataset
from c2vl_kit.skeleton import Clip

HEADINGS = ["What it is", "Get it", "The files as they come", "Its skeleton", "Splits", "What hurts", "A real clip"]
SEEN = {"A real recording was available": True, "Only the layout was available": False}
NAMES = [d.name for d in DATASETS if d.name != "simulated"]


def cells(path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def sources(path, kind: str) -> str:
    return "\n\n".join("".join(c["source"]) for c in cells(path) if c["cell_type"] == kind)


def pictures(path) -> list[str]:
    """SVG drawings among the outputs of a page."""
    data = [o.get("data", {}) for c in cells(path) for o in c.get("outputs", [])]
    return ["".join(d[kind]) for d in data for kind in ("image/svg+xml", "text/html") if kind in d and "<svg" in "".join(d[kind])]


@pytest.fixture(scope="module")
def pages(root):
    return sorted((root / "nbs/datasets").glob("*.ipynb"))


def page_of(pages, name):
    """The page that shows the card of a data set."""
    found = [p for p in pages if f'get_dataset("{name}")' in sources(p, "code")]
    assert len(found) == 1, f"{name}: {[p.name for p in found]}"
    return found[0]


@pytest.mark.parametrize("name", NAMES)
def test_every_data_set_has_a_page_with_its_skeleton_by_name(pages, name):
    layout = get_dataset(name).layout
    drawn = [unescape(picture) for picture in pictures(page_of(pages, name))]
    assert any(all(f">{v} {joint}</text>" in picture for v, joint in enumerate(layout.joints)) for picture in drawn)


def test_pages_say_the_same_things_in_one_order(pages):
    assert len(pages) >= 9 and "mocap" in {p.stem for p in pages}
    for page in pages:
        words = sources(page, "markdown")
        assert re.findall(r"^## (.*)$", words, re.MULTILINE) == HEADINGS, page.name
        assert sum(sentence in words for sentence in SEEN) == 1, f"{page.name} does not say whether a real recording was available"
        assert "c2vl prepare" in words and re.search(r"\*\*\[[RMPD]", words), page.name
        assert any(re.search(r">\d+ left shoulder</text>", picture) for picture in pictures(page)), page.name


def test_nothing_real_is_kept_on_a_page(pages):
    """The cell that shows a real clip was run without data, and kept one line that says what to set."""
    for page in pages:
        last = [c for c in cells(page) if c["cell_type"] == "code"][-1]
        assert "C2VL_DATA" in "".join(last["source"]), page.name
        text = ["".join(o.get("text", "")) for o in last["outputs"]]
        assert len(text) == 1 and text[0].startswith("set C2VL_DATA") and text[0].count("\n") <= 1, page.name


def test_pages_show_a_real_clip_where_there_is_one(pages, data_root, monkeypatch, capsys):
    """Their code, run with real recordings at hand."""
    import IPython.display

    monkeypatch.setenv("C2VL_DATA", str(data_root))
    for page in pages:
        shown = []
        monkeypatch.setattr(IPython.display, "display", lambda *things, shown=shown: shown.extend(things))
        exec(compile(sources(page, "code"), page.name, "exec"), {"__name__": "page"})
        real = next(seen for sentence, seen in SEEN.items() if sentence in sources(page, "markdown"))
        assert bool(shown) == real and all(isinstance(c, Clip) and "<svg" in c._repr_html_() for c in shown), page.name
