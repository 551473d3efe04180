"""Types of the package, checked by basedpyright as pyrightconfig.json says.

    python tools/check_types.py

Of the packages of others only those whose types our signatures speak of are read (torch, numpy …). For the rest, which would
take minutes, a stub says that anything goes.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from import_rule import PACKAGE, imported

ROOT = Path(__file__).resolve().parents[1]
READ = {"torch", "numpy", "safetensors", "tqdm", "traitlets", PACKAGE}
STUB = "from typing import Any\ndef __getattr__(name: str) -> Any: ...\n"


def write_stubs(folder: Path, root: Path = ROOT) -> None:
    """A stub for each package of others that `root`'s package imports, and for each part of it that might be a module."""
    names = {name for file in (root / PACKAGE).rglob("*.py") for _, name in imported(file, root / PACKAGE)}
    for name in names:
        top, *rest = name.split(".")
        if top in READ | sys.stdlib_module_names:
            continue
        for n in range(len(rest) + 1):
            if n and not rest[n - 1].islower():  # a class or a star, no module
                break
            stub = folder.joinpath(top, *rest[:n], "__init__.pyi")
            stub.parent.mkdir(parents=True, exist_ok=True)
            stub.write_text(STUB, encoding="utf-8")


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="types-") as tmp:
        stubs = Path(tmp) / "stubs"
        write_stubs(stubs)
        settings = json.loads((ROOT / "pyrightconfig.json").read_text(encoding="utf-8"))
        settings |= {key: [str(ROOT / path) for path in settings[key]] for key in ("include", "exclude", "ignore") if key in settings}
        config = Path(tmp) / "pyrightconfig.json"
        config.write_text(json.dumps(settings | {"stubPath": str(stubs)}), encoding="utf-8")
        command = [sys.executable, "-m", "basedpyright", "--project", str(config), "--pythonpath", sys.executable]
        return subprocess.run([*command, *sys.argv[1:]], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
