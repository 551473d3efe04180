"""Do the notebooks read like pages? Cell lengths, words between the code, size, and nothing that does not belong in a diff.

    python tools/lint_notebooks.py [NOTEBOOK ...]

Some rules came when older pages broke them. `tools/exempt.json` lists those pages under the rule's name; the list only shrinks
(`python tools/house.py --shrink` takes out who keeps the rule by now). A page that is not in it keeps the rule for good.
"""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAX_KB, MAX_EXPORT_LINES, MAX_WIDTH, CODE_PER_MARKDOWN = 300, 45, 110, 3
LARGE = {"viz/09_explorer.ipynb": 400}  # kB: the scripts of four widgets alone weigh 200
ENDING = ("What you may change", "Pitfalls")  # the last two headings of a page that exports something
EXPORT = re.compile(r"^\s*#\|\s*exports?\b")
DEFAULT_EXP = re.compile(r"^\s*#\|\s*default_exp\s+(\S+)", re.MULTILINE)
PAGE_NAME = re.compile(r"^(\d\d)_([a-z0-9_]+)$")
NO_MODULES = {"tutorials", "datasets", "results", "explain"}  # folders whose pages export nothing
PRIVATE_PATH = re.compile(r"/home/\w+/|/Users/\w+/|/root/|[A-Z]:\\+Users\\+|/tmp/tmp\w{8}|" + re.escape(str(ROOT)))


def pages(root: Path = ROOT) -> list[Path]:
    """Every notebook of the project, in reading order."""
    return sorted(p for p in (root / "nbs").rglob("*.ipynb") if not any(part.startswith((".", "_")) for part in p.relative_to(root).parts))


def source(cell: dict) -> str:
    return "".join(cell["source"])


def as_text(value) -> str:
    return value if isinstance(value, str) else "".join(value) if isinstance(value, list) else json.dumps(value)


def opening(cells: list[dict]) -> list[str]:
    """The page opens with `# Title` and a `> subtitle` (after the cell that names the module)."""
    rest = cells[1:] if cells and cells[0]["cell_type"] == "code" and DEFAULT_EXP.search(source(cells[0])) else cells
    title = source(rest[0]).strip() if rest and rest[0]["cell_type"] == "markdown" else ""
    found = [] if re.match(r"# \S", title) else ["does not open with a `# Title` cell"]
    if not re.search(r"^> \S", title, re.MULTILINE):
        found.append("has no one-line `> subtitle` below its title")
    elif len([line for line in title.splitlines() if line.strip()]) > 2:
        found.append("says more than title and subtitle in its first cell, and nbdev drops the rest: begin a new cell below the subtitle")
    return found


def naming(path: Path, cells: list[dict]) -> list[str]:
    """`floor/NN_module.ipynb` exports `floor.module`; tutorials, data set pages and the index export nothing."""
    modules = [m for c in cells if c["cell_type"] == "code" for m in DEFAULT_EXP.findall(source(c))]
    match = PAGE_NAME.match(path.stem) if path.parent.name not in NO_MODULES else None
    if match:
        wanted = ".".join(part for part in (path.parent.name, match[2]) if part != "nbs")
        return [] if modules == [wanted] else [f"is named after the module {wanted} and exports to {', '.join(modules) or 'none'}"]
    return ["exports a module, so its name must be NN_module and it must lie in nbs/ or a floor of it"] if modules else []


def code_cell(cell: dict) -> list[str]:
    found, text = [], source(cell)
    if cell.get("execution_count") is not None:
        found.append("keeps an execution_count: run nbdev_clean")
    if EXPORT.search(text):
        if re.search(r"^\s*from\s+\S+\s+import\s+\*", text, re.MULTILINE):
            found.append("exports `import *`: name what is used")
    for output in cell.get("outputs", []):
        found += cell_output(output)
    return found


def cell_output(output: dict) -> list[str]:
    found, data = [], output.get("data", {})
    if output.get("execution_count") is not None:
        found.append("keeps an execution_count in its output: run nbdev_clean")
    if output["output_type"] == "error":
        found.append("shows a traceback: mend it, or teach it with test_fail")
    if output.get("name") == "stderr":
        found.append("keeps stderr (warnings, progress bars) in its output")
    if any("widget-view" in kind for kind in data):
        found.append("keeps a widget view: show a still picture instead")
    texts = [as_text(v) for kind, v in data.items() if not kind.startswith("image/png")] + [as_text(output.get("text", ""))]
    leak = next((m for m in map(PRIVATE_PATH.search, texts) if m), None)
    return [*found, f"shows a path of one machine ({leak[0]}): print names, not places"] if leak else found


def exempt(root: Path = ROOT) -> dict[str, list[str]]:
    """Rule → the pages that need not keep it yet."""
    file = root / "tools" / "exempt.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def page_name(path: Path, root: Path = ROOT) -> str:
    """'readers/kinect', as in the list of exemptions: without its number, which may change."""
    place = path.relative_to(root / "nbs") if path.is_relative_to(root / "nbs") else Path(path.name)
    return place.with_name(re.sub(r"^\d\d_", "", place.stem)).as_posix()


def broken_rules(cells: list[dict]) -> dict[str, list[str]]:
    """Rule → one sentence for each place that breaks it; these are the rules that a page can be exempt from."""
    code = [(number, source(c)) for number, c in enumerate(cells, 1) if c["cell_type"] == "code"]
    exported = [(number, text) for number, text in code if EXPORT.search(text)]
    sizes = [(n, sum(bool(line.strip()) and not line.lstrip().startswith("#|") for line in text.splitlines())) for n, text in exported]
    widths = [(n, len(line)) for n, text in code for line in text.splitlines()]
    headings = [m for c in cells if c["cell_type"] == "markdown" for m in re.findall(r"^## +(.+?) *$", source(c), re.MULTILINE)]
    ends = not exported or tuple(headings[-2:]) == ENDING
    return {
        "cell": [
            f"cell {n} is an export cell of {k} lines, {MAX_EXPORT_LINES} at most: split the idea"
            for n, k in sizes if k > MAX_EXPORT_LINES
        ],
        "width": [f"cell {n} has a line of {k} characters, {MAX_WIDTH} at most: break it" for n, k in widths if k > MAX_WIDTH],
        "ending": [] if ends else [f"does not end with the headings {' and '.join(f'`## {h}`' for h in ENDING)}"],
    }


def lint(path: Path) -> list[str]:
    """One sentence for each thing wrong with the notebook at `path`."""
    name, kb = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path, path.stat().st_size / 1024
    nb = json.loads(path.read_text(encoding="utf-8"))
    cells, found = nb["cells"], []
    if kb > (most := LARGE.get("/".join(path.parts[-2:]), MAX_KB)):
        found.append(f"weighs {kb:.0f} kB, {most} at most: keep fewer or smaller outputs")
    if "widgets" in nb["metadata"]:
        found.append("keeps widget state in its metadata: clear it (Kernel → Restart, then save without widget state)")
    code = [c for c in cells if c["cell_type"] == "code"]
    words = sum(c["cell_type"] == "markdown" for c in cells)
    if words * CODE_PER_MARKDOWN < len(code):
        found.append(f"has {words} markdown cells for {len(code)} code cells: say what each idea is and why")
    if len(code) > 5 and not any(c.get("outputs") for c in code):
        found.append("shows nothing: run it and keep its outputs")
    found += opening(cells) + naming(path, cells)
    spared, here = exempt(), page_name(path)
    found += [problem for rule, problems in broken_rules(cells).items() if here not in spared.get(rule, ()) for problem in problems]
    for number, cell in enumerate(cells, 1):
        if cell["cell_type"] == "code":
            found += [f"cell {number} {problem}" for problem in code_cell(cell)]
    return [f"{name}: {problem}" for problem in found]


def numbers_once(paths: list[Path]) -> list[str]:
    """No two pages of a floor carry one number."""
    seen: dict[tuple[Path, str], str] = {}
    return [
        f"{p.parent.name}/{p.name}: the number {n[1]} is taken by {seen[n]}"
        for p in paths
        if (m := PAGE_NAME.match(p.stem)) and seen.setdefault(n := (p.parent, m[1]), p.name) != p.name
    ]


if __name__ == "__main__":
    chosen = [Path(a).resolve() for a in sys.argv[1:]] or pages()
    problems = [p for page in chosen for p in lint(page)] + numbers_once(chosen)
    print("\n".join(problems) if problems else f"{len(chosen)} notebooks read like pages")
    sys.exit(bool(problems))
