"""README.md from nbs/index.ipynb, with nbdev's own processors and nbconvert; no quarto.

    python tools/readme.py            writes README.md
    python tools/readme.py --check    exit code 1 if README.md is not what index.ipynb gives
"""

import configparser
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURES = {".png", ".svg", ".gif"}
LINK = re.compile(r'(?P<open>\]\(|\b(?:src|href)=")(?P<target>[^)"#\s:]+)(?P<close>[)"#])')


def relink(text: str, home: str, root: Path = ROOT) -> str:
    """Links of the notebook, from where it lies (nbs/), become addresses below `home`, so that they hold on a package index too."""

    def higher(match: re.Match) -> str:
        target = (root / "nbs" / match["target"]).resolve()
        if not target.exists():
            raise SystemExit(f"nbs/index.ipynb links to {match['target']}, which is not there: mend the link")
        kind = "raw" if target.suffix in PICTURES else "blob"
        return f"{match['open']}{home}/{kind}/main/{target.relative_to(root).as_posix()}{match['close']}"

    return LINK.sub(higher, text)


def joined(value):
    """Notebook files keep text as lists of lines; nbconvert wants strings."""
    if isinstance(value, dict):
        return {key: joined(part) for key, part in value.items()}
    return "".join(value) if isinstance(value, list) and all(isinstance(line, str) for line in value) else value


def readme(root: Path = ROOT) -> str:
    """The text of README.md."""
    os.chdir(root)  # nbdev finds settings.ini from here
    from nbconvert import MarkdownExporter
    from nbdev import processors as p
    from nbdev.frontmatter import FrontmatterProc
    from nbdev.process import NBProcessor
    from nbformat import from_dict

    steps = [FrontmatterProc, p.strip_ansi, p.hide_line, p.filter_stream_, p.rm_header_dash, p.rm_export, p.clean_magics, p.hide_]
    notebook = NBProcessor(root / "nbs/index.ipynb", procs=steps, process=True).nb
    front = notebook.frontmatter_
    cells = [
        {"cell_type": c.cell_type, "id": f"c{n}", "metadata": {}, "source": c.source}
        | ({"outputs": [joined(dict(o)) for o in c.get("outputs", [])], "execution_count": None} if c.cell_type == "code" else {})
        for n, c in enumerate(notebook.cells)
        if c.cell_type != "raw"
    ]
    language = {"language_info": {"name": "python"}}
    page = from_dict({"cells": cells, "metadata": language, "nbformat": 4, "nbformat_minor": 5})
    body, resources = MarkdownExporter().from_notebook_node(page)
    if resources.get("outputs"):
        raise SystemExit("nbs/index.ipynb shows a picture as a cell output: save it to nbs/images and link to it, so README.md stays text")
    note = "<!-- made from nbs/index.ipynb by tools/readme.py: edit the notebook -->"
    title = f"# {front['title']}\n\n{note}\n\n> {front['description']}\n\n"
    settings = configparser.ConfigParser()
    settings.read(root / "settings.ini")
    return title + re.sub(r"\n{3,}", "\n\n", relink(body, settings["DEFAULT"]["git_url"], root)).strip() + "\n"


if __name__ == "__main__":
    text, file = readme(), ROOT / "README.md"
    if "--check" in sys.argv[1:]:
        in_step = file.exists() and file.read_text(encoding="utf-8") == text
        print("README.md is what nbs/index.ipynb gives" if in_step else "README.md is not what nbs/index.ipynb gives: run make readme")
        sys.exit(not in_step)
    file.write_text(text, encoding="utf-8")
    print(f"README.md: {len(text.splitlines())} lines")
