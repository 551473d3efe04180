"""The website: made from notebooks without running them, whole without a network, and no link in it leads nowhere."""

import json
import shutil
from pathlib import Path

import docs
import pytest

pytest.importorskip("mkdocs_jupyter", reason="the extra docs is not installed")
pytest.importorskip("latex2mathml", reason="the extra docs is not installed")


def page(title: str, *cells: tuple[str, str]) -> dict:
    """A notebook with a title, then (kind, source) cells; code cells show that they ran once."""
    shown = [{"output_type": "stream", "name": "stdout", "text": ["seen before\n"]}]
    made = []
    for n, (kind, text) in enumerate([("markdown", f"# {title}\n\n> one line"), *cells]):
        more = {"execution_count": None, "outputs": shown} if kind == "code" else {}
        made.append({"cell_type": kind, "id": f"c{n}", "metadata": {}, "source": text, **more})
    kernel = {"kernelspec": {"display_name": "python3", "language": "python", "name": "python3"}}
    return {"cells": made, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}


def project(root: Path, checkout: Path, **pages: dict) -> Path:
    """A project below `root` with these notebooks; "__" in a name is a folder."""
    for name, nb in pages.items():
        file = root / "nbs" / f"{name.replace('__', '/')}.ipynb"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(nb))
    for file in ("settings.ini", "CHANGELOG.md", "CONTRIBUTING.md"):
        shutil.copy(checkout / file, root)
    return root


def test_a_small_site(tmp_path, root):
    words = "See [the store](data/11_store.ipynb#How), [changes](../CHANGELOG.md), ![a picture](images/a.svg). $\\frac{1}{2}$, not `$x$`."
    code = ("code", "#| export\nraise SystemExit('a page must not run')")
    site = project(
        tmp_path, root, index=page("Home", ("markdown", words)),
        data__11_store=page("Store", ("markdown", "## How"), code, ("markdown", "## How")),
        models__30_stgcn=page("ST-GCN", ("code", "#| hide\nsecret = 1")),
    )  # fmt: skip
    (site / "nbs/images").mkdir()
    (site / "nbs/images/a.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    assert docs.build(site, tmp_path / "out") == []
    home, store = ((tmp_path / "out" / f).read_text() for f in ("index.html", "data/11_store.html"))
    assert 'href="data/11_store.html#how"' in home and 'href="project/CHANGELOG.html"' in home
    assert "<mfrac>" in home and "$x$" in home
    assert "seen before" in store and "SystemExit" in store and "#| export" not in store
    assert "secret" not in (tmp_path / "out/models/30_stgcn.html").read_text()
    assert store.count('id="how"') == store.count('id="how_1"') == 1, "two headings of one name"
    assert home.index("Data") < home.index("Models")
    found = json.loads((tmp_path / "out/search/search_index.json").read_text())
    assert any("SystemExit" in entry["text"] or "Store" in entry["title"] for entry in found["docs"])
    # what a reader's browser would miss is found on the made pages
    broken = home.replace("11_store.html#how", "11_store.html#why").replace("images/a.svg", "https://example.org/a.svg")
    (tmp_path / "out/index.html").write_text(broken)
    told = "\n".join(docs.broken(tmp_path / "out"))
    assert "11_store.html#why, but 11_store.html has no such heading" in told and "loads https://example.org/a.svg from the web" in told


def test_links_of_every_page_lead_somewhere(tmp_path, root):
    site = docs.Site(root, tmp_path / "pages")
    for file in (root / "nbs").rglob("*.ipynb"):
        if ".ipynb_checkpoints" not in file.parts:
            site.add(file)
    assert site.problems == []
    listed = json.dumps(docs.menu(site.pages))
    assert all(json.dumps(p.as_posix()) in listed for p in site.pages), "a page is missing in the menu"


def test_a_broken_link_is_told(tmp_path, root):
    site = docs.Site(project(tmp_path, root, index=page("Home", ("markdown", "[gone](12_gone.ipynb)"))), tmp_path / "pages")
    site.add(tmp_path / "nbs/index.ipynb")
    assert site.problems == ["nbs/index.ipynb: links to 12_gone.ipynb, which is not there"]


@pytest.mark.parametrize(
    "path, section",
    [
        ("00_skeleton.ipynb", "ground"),
        ("10_data.formats.ipynb", "data"),
        ("data/10_store.ipynb", "data"),
        ("tutorials/01_quickstart.ipynb", "tutorials"),
    ],
)
def test_sections_follow_folders_or_module_names(path, section):
    assert docs.section_of(Path(path)) == section


def test_menu_is_in_the_order_of_the_floors():
    names = ["explain/a", "data/2_b", "data/1_a", "tutorials/t", "00_core", "index", "zoo/z"]
    pages = {Path(f"{n}.ipynb"): page(n) for n in names}
    got = [next(iter(entry.items())) for entry in docs.menu(pages)]
    assert got[0] == ("index", "index.ipynb")
    assert [name for name, _ in got[1:]] == ["Tutorials", "Ground", "Data", "Explain", "Zoo"]
    assert dict(got)["Data"] == [{"data/1_a": "data/1_a.ipynb"}, {"data/2_b": "data/2_b.ipynb"}]


@pytest.mark.parametrize("text", ["costs $5 and $6", "`$a$`", "```\n$a$\n```", "US$", "no formula"])
def test_what_is_no_formula_is_left_alone(text):
    assert docs.mathml(text) == text
