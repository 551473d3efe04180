"""tools/house.py counts what it says: made-up pages, each figure by hand."""

import json

import house
import pytest


@pytest.fixture
def built(tmp_path):
    """Builds a project of made-up pages and measures it: built({'readers/03_kinect': [cells]}, readme='…') → figure → Row.

    A cell is a text (markdown), or ('code', its text) or ('code', its text, its output). The exported files are written as nbdev would.
    """

    def build(pages: dict, readme: str = "", padding: dict | None = None) -> dict:  # padding: module → lines of its file
        for name, cells in pages.items():
            file = tmp_path / "nbs" / f"{name}.ipynb"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps({"cells": [as_cell(c) for c in cells], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
        for module, lines in (padding or {}).items():
            file = tmp_path / "c2vl_kit" / (module.replace(".", "/") + ".py")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("x = 1\n" * lines)
        (tmp_path / "README.md").write_text(readme)
        return house.measure(house.House.read(tmp_path))

    return build


def as_cell(cell) -> dict:
    if isinstance(cell, str):
        return {"cell_type": "markdown", "metadata": {}, "source": cell.splitlines(keepends=True)}
    text, output = cell[1], [{"output_type": "stream", "name": "stdout", "text": [cell[2]]}] if len(cell) > 2 else []
    return {"cell_type": "code", "metadata": {}, "execution_count": None, "source": text.splitlines(keepends=True), "outputs": output}


def page(module: str, *cells) -> list:
    return [("code", f"#| default_exp {module}"), "# Title\n\n> subtitle", *cells]


def export(text: str) -> tuple:
    return ("code", "#| export\n" + text)


def test_names_public_and_private(built):
    """Functions, classes, constants; tuples are taken apart; dunders, imports, members and names said twice do not count."""
    text = "import re\n__all__ = ['a']\n_A, _B = 1, 2\n_C: int = 3\ndef _f(): pass\n"
    text += "class K:\n    def _inner(self): pass\nasync def g(): pass\nL = 1\n"
    rows = built({"00_core": page("core", export(text), export("def g(): pass"), ("code", "def _shown_only(): pass"))})
    assert rows["ratio"].figure == pytest.approx(4 / 3)  # _A _B _C _f | K g L
    assert rows["ratio"].worst == [(pytest.approx(4 / 3), "00_core: 4 private, 3 public")]


def test_privates_before_the_first_public_function_or_class(built):
    """Constants are left out, public or private; the worst page names its cell."""
    rows = built({
        "00_core": page("core", export("_T = 1\ndef _a(): pass\nP = 2"), export("class _B: pass\ndef first(): pass\ndef _late(): pass")),
        "readers/03_kinect": page("readers.kinect", export("def _x(): pass\nclass K: pass")),
    })
    assert rows["before"].figure == 2
    assert house.worst_of(rows["before"], 1) == ["00_core, cell 4: 2 privates before first"]
    assert house.worst_of(rows["before"], 9)[1] == "readers/03_kinect, cell 3: 1 privates before K"


def test_members_attached_to_own_and_imported_classes(built):
    """Each member counts, also of a class that another page defines; attributes of what is no class do not."""
    own = "Store.rows, Store.cols = _f, _f\nnote = print\nnote.x = 1"
    other = "from c2vl_kit.data.store import Store as S\nfrom ..data import store\nS.show = 1\nstore.y = 2"
    rows = built({
        "data/00_store": page("data.store", export("class Store: pass\ndef _f(s): pass"), export(own)),
        "viz/00_player": page("viz.player", export(other)),
    })
    assert rows["attached"].figure == 3
    assert house.worst_of(rows["attached"], 9)[2] == "viz/00_player, cell 3: S.show"


@pytest.mark.parametrize("body, counts", [
    ("def m(self, x, *a, k=1, **o): return _m(self, x, *a, k=k, **o)", True),
    ("def m(self, x):\n        '''Says.'''\n        _m(self, x)", True),
    ("def m(self, x): return self.other(x)", True),
    ("def m(self, x): return module.m(self, x)", True),
    ("def m(self, x): return _m(self, x, 1)", False),  # adds something
    ("def m(self, x): return _m(self)", False),  # leaves something out
    ("def m(self, x): return _m(x, self)", False),  # turns them round
    ("def m(self, x): return self.inner.m(x)", False),  # another object's method
    ("def m(self, x): return super().m(x)", False),
    ("def m(self): return str(self)", False),  # a builtin
    ("def m(self, x):\n        x = x + 1\n        return _m(self, x)", False),
    ("def m(self, x): return _m(self, y=x)", False),  # renames
])  # fmt: skip
def test_methods_that_only_forward(built, body, counts):
    rows = built({"00_core": page("core", export(f"class K:\n    {body}\ndef free(x): return _m(x)"))})
    assert rows["forwarders"].figure == counts


def test_private_names_across_modules(built):
    """By import (absolute, relative, inside a function) and as an attribute of a module; names of others' packages are free."""
    by_import = "from ..core import _a, x\nfrom torch import _C\ndef f():\n    from c2vl_kit.core import _b"
    by_attribute = "from c2vl_kit import core\nimport c2vl_kit.core as c\ncore._a()\nc._b()\nc.x\nself = 1\nself._mine"
    rows = built({
        "00_core": page("core", export("def _a(): pass\ndef _b(): pass")),
        "readers/01_common": page("readers.common", export(by_import)),
        "readers/02_ntu": page("readers.ntu", export(by_attribute)),
        "readers/03_kinect": page("readers.kinect", export("from . import common\nfrom c2vl_kit import __version__\ncommon._p()")),
    })
    assert rows["crossed"].figure == 3  # core._a, core._b, readers.common._p
    assert rows["crossings"].figure == 5
    assert "readers/03_kinect, cell 3: uses readers.common._p" in house.worst_of(rows["crossings"], 9)


def test_long_modules_and_cells_and_lines(built):
    """A module of 500 lines is no long one; directives and blank lines of a cell do not count."""
    cells = [export("a = 1\n\nb = 2"), export("c = 3"), export("d = 4\ne = 5\nf = 6\ng = '" + "x" * 96 + "'\nh = '" + "x" * 105 + "'")]
    rows = built({"00_core": page("core", *cells), "data/00_store": page("data.store")}, padding={"core": 500, "data.store": 501})
    assert rows["long"].figure == 1 and rows["long"].worst == [(501, "data.store: 501 lines")]
    assert rows["long_share"].figure == pytest.approx(100 * 501 / 1001)
    assert (rows["cell"].figure, rows["longest"].figure) == (2, 5)
    assert rows["over100"].figure == pytest.approx(100 * 2 / 8)  # lines of 101 and 111 characters among eight
    assert rows["over110"].figure == pytest.approx(100 * 1 / 8)


def test_shown_before_the_next_export_cell(built):
    """A use counts between the definition and the next export cell, not in words, strings, or later."""
    defined = export("def a(): pass\ndef b(): pass\nclass C: pass\ndef _d(): pass")
    rows = built({"00_core": page("core", defined, "`b()`", ("code", "a(); 'C'"), export("E = 1"), ("code", "b(); C()"))})
    assert rows["shown"].figure == pytest.approx(100 / 3)
    assert house.worst_of(rows["shown"], 9) == ["00_core, cell 3: b", "00_core, cell 3: C"]


def test_a_public_name_in_use_with_output_within_ten_cells(built):
    """Without an output, or in the eleventh cell, is too late; a page that exports nothing public owes nothing."""
    used, silent = ("code", "a()", "1"), ("code", "a()")
    early = page("core", *["word"] * 6, export("def a(): pass"), used)
    late = page("data.store", *["word"] * 7, export("def a(): pass"), used)
    mute = page("data.near", export("def a(): pass"), silent)
    nothing = page("data.inner", export("_x = 1"))
    rows = built({"00_core": early, "data/00_store": late, "data/01_near": mute, "data/02_inner": nothing, "tutorials/first": ["# T"]})
    assert rows["late"].figure == 2
    assert house.worst_of(rows["late"], 9) == ["data/00_store: first in cell 11: a", "data/01_near: never with an output"]


PROSE = """# A heading: not counted; no

You open the store: it holds clips; `a: b; c` is code. Is $x: y$ a formula? We say so: see
[the paper; part 1](https://example.org/a;b: c) and it goes on.

| a: table | b; |
|---|---|

It has these parts:

- one item; with our words
- another

```python
x = {1: 2}; you = we
```
"""


def test_prose_punctuation_persons_words(built):
    """Headings, tables, code, formulas and addresses are out; a colon that leads into a list is free."""
    rows = built({"00_core": [PROSE]})
    assert len(house.sentences(house.prose(PROSE))) == 6  # three, then the line above the list, and two items
    assert rows["colons"].figure == pytest.approx(100 * 2 / 6)
    assert rows["semicolons"].figure == pytest.approx(100 * 3 / 6)  # 'clips;', 'paper;', 'item;'
    counted = "You open the store it holds clips is code Is a formula We say so see the paper part 1 and it goes on "
    counted += "It has these parts one item with our words another"
    assert rows["sentence"].figure == pytest.approx(len(counted.split()) / 6)
    assert rows["you"].figure == pytest.approx(1000 * 3 / len(counted.split()))  # You, We, our
    assert rows["words"].figure == len(PROSE.split())


def test_a_sentence_ends_with_its_stop(built):
    """A number's point ends none, a bracket or a mark behind the stop belongs to it, and a quoted line runs on."""
    text = '> A 1.5 m step. "It is," she says. (So it is.) The end!\n> And `x` more\n'
    found = [s.strip('"().! ') for s in house.sentences(house.prose(text))]
    assert found == ["A 1.5 m step", 'It is," she says', "So it is", "The end", "And CODE more"]


def test_readme_words(built):
    assert built({}, readme="# One two\n\n| three | `four five` |\n")["readme"].figure == 9  # bars and marks too, as wc -w counts


def test_limits_are_kept_or_named(built):
    """At the limit is fine, beyond it is named; some figures must not fall, all others must not rise."""
    rows = built({"00_core": page("core", export("def _a(): pass\ndef b(): pass"), "You see it.")})
    assert house.broken(rows, {"before": 1, "ratio": 1, "you": 250}) == []
    found = house.broken(rows, {"before": 0, "you": 251, "ratio": 1})
    assert len(found) == 2 and found[0].startswith("privates before") and "at least 251" in found[1]
    assert all(house.broken({k: r}, {k: house.rounded(k, r.figure)}) == [] for k, r in rows.items())


@pytest.fixture(scope="module")
def project(root):
    """This project, and its rows."""
    found = house.House.read(root)
    return found, house.measure(found)


@pytest.fixture
def measured(project, monkeypatch):
    """`main` finds this project measured: that takes seconds, and the check `house` does it for each run anyway."""
    found, rows = project
    monkeypatch.setattr(house.House, "read", lambda root: found)
    monkeypatch.setattr(house, "measure", lambda of: rows)


def test_the_table_of_this_project(root, capsys, measured):
    """Every figure has a limit, the limits are kept, and the table names its offenders by page and cell."""
    assert house.LIMITS.keys() == house.ROWS.keys()
    assert house.main(["--check", "--worst", "2"], root) == 0
    printed = capsys.readouterr().out
    assert all(what in printed for what, _, _ in house.ROWS.values()) and "cell" in printed
    assert house.main(["--json"], root) == 0
    assert json.loads(capsys.readouterr().out).keys() == house.ROWS.keys()


def broken(tmp_path) -> dict:
    """Rule → the pages of the made-up project that break it."""
    found = house.House.read(tmp_path)
    return {rule: sorted(by_page) for rule, by_page in house.rules(found, house.measure(found), tmp_path).items() if by_page}


ENDING = ["## What you may change\n\nNothing.", "## Pitfalls\n\n- None."]


def test_a_good_page_keeps_every_rule(built, tmp_path):
    used = ("code", "f()", "1")
    built({"00_core": page("core", export("def _a(): pass\n" * 5 + "def f(): pass"), used, *ENDING)}, padding={"core": 500})
    assert broken(tmp_path) == {}


@pytest.mark.parametrize("rule, cells, lines", [
    ("before", [export("".join(f"def _a{n}(): pass\n" for n in range(6)) + "def f(): pass"), ("code", "f()", "1")], 9),
    ("late", [export("def f(): pass"), *["words"] * 8, ("code", "f()", "1")], 9),  # in the eleventh cell
    ("late", [export("def f(): pass"), ("code", "f()")], 9),  # without an output
    ("attached", [export("class K: pass\nK.x = 1"), ("code", "K()", "1")], 9),
    ("long", [export("def f(): pass"), ("code", "f()", "1")], 501),
    ("cell", [export("def f(): pass\n" + "x = 1\n" * 45), ("code", "f()", "1")], 9),
    ("width", [export("def f(): pass"), ("code", "f(" + "1" * 109 + ")", "1")], 9),
])  # fmt: skip
def test_each_rule_catches_the_page_that_breaks_it(built, tmp_path, rule, cells, lines):
    built({"readers/07_kinect": page("readers.kinect", *cells, *ENDING)}, padding={"readers.kinect": lines})
    assert broken(tmp_path) == {rule: ["readers/kinect"]}


def test_the_rules_on_borders_the_ending_and_the_readme(built, tmp_path):
    good = page("core", export("def f(): pass\ndef _p(): pass"), ("code", "f()", "1"), *ENDING)
    crossing = page("data.store", export("from c2vl_kit.core import _p\ndef g(): pass"), ("code", "g()", "1"), *ENDING[::-1])
    built({"00_core": good, "data/00_store": crossing}, readme="word " * 901)
    assert broken(tmp_path) == {"crossings": ["data/store"], "ending": ["data/store"], "readme": ["README"]}


def test_exemptions_spare_pages_and_only_shrink(built, tmp_path):
    """A new offender is named, one in the list is not; who keeps the rule by now must go, and nobody is added."""
    bad = [export("def f(): pass")]  # never used
    built({"00_core": page("core", *bad, *ENDING), "01_drawing": page("drawing", *bad, *ENDING)})
    found = house.House.read(tmp_path)
    rules = house.rules(found, house.measure(found), tmp_path)
    said = house.unruly(rules, {"late": ["core", "gone"]})
    assert len(said) == 2 and said[0].startswith("01_drawing: never with an output: use something public")
    assert said[1] == "gone keeps the rule `late` by now: run `python tools/house.py --shrink`"
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "exempt.json").write_text(json.dumps({"late": ["core", "gone"], "cell": ["core"]}))
    assert house.main(["--shrink"], tmp_path) == 0
    assert json.loads((tmp_path / "tools" / "exempt.json").read_text()) == {"late": ["core"]}


def test_a_broken_limit_fails_the_check(root, capsys, monkeypatch, measured):
    monkeypatch.setitem(house.LIMITS, "words", 1)
    assert house.main(["--check"], root) == 1
    assert "words a page" in capsys.readouterr().err
