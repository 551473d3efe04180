"""Data flows upward: a module imports from lower floors and from earlier pages of its own floor, never back.

    python tools/import_rule.py

A floor is a folder of `nbs/`; the order of the floors stands below, the order within one in the notebooks' names
(`nbs/data/01_build.ipynb`). Imports inside functions count too.
Besides: the package never imports fastcore or nbdev, and importing any room needs no more than torch, numpy, tqdm and
safetensors (the floors named below and the command line not even torch); the rest is imported where it is used.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "c2vl_kit"
DEVELOPMENT = {"fastcore", "nbdev", "execnb", "ghapi"}
HEAVY = ("matplotlib", "plotly", "transformers", "umap", "ipywidgets", "anywidget", "scipy", "sklearn", "pandas", "IPython", *DEVELOPMENT)
FLOORS = ("", "readers", "data", "concepts", "models", "losses", "train", "methods", "evaluate", "viz", "app")
BESIDE = {"losses": "models"}  # two floors side by side: neither imports from the other
FIRST_TORCH_ROOM, CLI_ROOM = "data.streams", "app.cli"
PAGE = re.compile(r"(\d\d)_(\w+)")


def rooms(root: Path = ROOT) -> dict[str, tuple[int, str]]:
    """Module name → (floor, number) of the notebook it is exported from, e.g. {'data.store': (2, '00')}."""
    found = {}
    for level, floor in enumerate(FLOORS):
        for page in sorted((root / "nbs" / floor).glob("[0-9][0-9]_*.ipynb")):
            number, name = PAGE.fullmatch(page.stem).groups()
            found[".".join(part for part in (floor, name) if part)] = (level, number)
    return found


def may_import(here: tuple[int, str], there: tuple[int, str]) -> bool:
    """Does data flow upward from `there` to `here`?"""
    return there < here and BESIDE.get(FLOORS[here[0]]) != FLOORS[there[0]]


def place(room: tuple[int, str]) -> str:
    """(2, '05') → 'data/05'."""
    return "/".join(part for part in (FLOORS[room[0]], room[1]) if part)


def module_name(path: Path, package: Path) -> str:
    """'data/store.py' → 'data.store'; a package's `__init__.py` keeps that name."""
    return ".".join(path.relative_to(package).with_suffix("").parts)


def imported(path: Path, package: Path) -> list[tuple[int, str]]:
    """(line, absolute dotted name) of everything a file imports, relative imports resolved; names are `module` and `module.name`."""
    here = (PACKAGE, *path.relative_to(package).parts[:-1])
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(here[: len(here) - node.level + 1]) if node.level else ""
            source = ".".join(part for part in (base, node.module) if part)
            found += [(node.lineno, f"{source}.{alias.name}") for alias in node.names]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in {"import_module", "__import__"}:
                found.append((node.lineno, node.args[0].value))
    return found


def target_room(name: str, numbers: dict[str, tuple[int, str]]) -> str | None:
    """The room that the dotted name `c2vl_kit.data.store.Store` reaches into: 'data.store'; None if it is no room."""
    parts = name.split(".")[1:]
    candidates = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((c for c in candidates if c in numbers), None)


def back_imports(root: Path = ROOT) -> list[str]:
    """One sentence for each import that flows back or reaches for a development tool."""
    numbers, package, found = rooms(root), root / PACKAGE, []
    for path in sorted(package.rglob("*.py")):
        module, where = module_name(path, package), path.relative_to(root)
        if path.name == "_modidx.py":
            continue
        for line, name in imported(path, package):
            top = name.split(".")[0]
            if top in DEVELOPMENT:
                found.append(f"{where}:{line}: imports {top}, a development tool that users do not have")
            if top != PACKAGE:
                continue
            target = target_room(name, numbers)
            if target is None:
                if name not in (PACKAGE, f"{PACKAGE}.__version__"):
                    found.append(f"{where}:{line}: {name} is no room (import from the module that defines it)")
            elif module not in numbers:
                found.append(f"{where}:{line}: {module} has no notebook, so it may import no room (here {target})")
            elif not may_import(numbers[module], numbers[target]):
                here, there = place(numbers[module]), place(numbers[target])
                found.append(f"{where}:{line}: {here} {module} imports {there} {target}: data flows upward")
    return found


BLOCKED_IMPORT = """
import importlib, sys
blocked, modules = set(sys.argv[1].split(",")), sys.argv[2].split(",")
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in blocked: raise ImportError("needs " + name.split(".")[0] + " only to be imported")
sys.meta_path.insert(0, Blocker())
failed = 0
for module in modules:
    try: importlib.import_module(module)
    except Exception as error: failed = 1; print(f"{module}: {error}: import it inside the function that uses it")
sys.exit(failed)
"""


def heavy_imports(root: Path = ROOT) -> list[str]:
    """Imports every room in processes where heavy packages (and, for the first rooms, torch) cannot be imported."""
    numbers, found = rooms(root), []
    present = {m: n for m, n in numbers.items() if (root / PACKAGE / f"{m.replace('.', '/')}.py").exists()}
    without_torch = [m for m, n in present.items() if n < numbers.get(FIRST_TORCH_ROOM, (3, "")) or m == CLI_ROOM]
    for blocked, modules in ((HEAVY, list(present)), ((*HEAVY, "torch"), without_torch)):
        if modules:
            command = [sys.executable, "-c", BLOCKED_IMPORT, ",".join(blocked), ",".join(f"{PACKAGE}.{m}" for m in modules)]
            done = subprocess.run(command, cwd=root, capture_output=True, text=True)
            found += (done.stdout + done.stderr).strip().splitlines() if done.returncode else []
    return found


if __name__ == "__main__":
    problems = back_imports() + heavy_imports()
    print("\n".join(problems) if problems else f"{len(rooms())} rooms import upward and lightly")
    sys.exit(bool(problems))
