"""Data flows left to right: a module imports from lower decades and from lower numbers of its own decade, never back.

    python tools/import_rule.py

The numbers come from the notebooks' names (`41_losses.soft_targets.ipynb`). Imports inside functions count too.
Besides: the package never imports fastcore or nbdev, and importing any room needs no more than torch, numpy, tqdm and
safetensors (rooms before 14 and the command line not even torch); the rest is imported where it is used.
"""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "c2vl_kit"
DEVELOPMENT = {"fastcore", "nbdev", "execnb", "ghapi"}
HEAVY = ("matplotlib", "plotly", "transformers", "umap", "ipywidgets", "anywidget", "scipy", "sklearn", "pandas", "IPython", *DEVELOPMENT)
FIRST_TORCH_ROOM, CLI_ROOM = "14", "90"


def rooms(root: Path = ROOT) -> dict[str, str]:
    """Module name → number of the notebook it is exported from, e.g. {'data.store': '11'}; '10a' lies between '10' and '11'."""
    return {p.stem.split("_", 1)[1]: p.stem.split("_")[0] for p in sorted((root / "nbs").glob("[0-9][0-9]*_*.ipynb"))}


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


def target_room(name: str, numbers: dict[str, int]) -> str | None:
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
            elif numbers[target] >= numbers[module]:
                found.append(f"{where}:{line}: {numbers[module]} {module} imports {numbers[target]} {target}: data flows left to right")
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
    without_torch = [m for m, n in present.items() if n < FIRST_TORCH_ROOM or n == CLI_ROOM]
    for blocked, modules in ((HEAVY, list(present)), ((*HEAVY, "torch"), without_torch)):
        if modules:
            command = [sys.executable, "-c", BLOCKED_IMPORT, ",".join(blocked), ",".join(f"{PACKAGE}.{m}" for m in modules)]
            done = subprocess.run(command, cwd=root, capture_output=True, text=True)
            found += (done.stdout + done.stderr).strip().splitlines() if done.returncode else []
    return found


if __name__ == "__main__":
    problems = back_imports() + heavy_imports()
    print("\n".join(problems) if problems else f"{len(rooms())} rooms import left to right and lightly")
    sys.exit(bool(problems))
