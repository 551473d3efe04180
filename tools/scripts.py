"""What checks the browser's half of the widgets: lengths of functions here, types (tsc) and lint (biome) where Node is.

    python tools/scripts.py

Node's part is skipped with one word said where Node or the network is missing. The two packages are pinned in `tools/package.json`
and stay in `tools/node_modules`. Nothing of this is needed to use the widgets.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

TOOLS = Path(__file__).resolve().parent
STATIC = TOOLS.parent / "c2vl_kit" / "static"
MOST = 60  # lines of a function: one screen
PACKAGES = TOOLS / "node_modules"
INSTALL = ["npm", "install", "--prefix", str(TOOLS), "--no-save", "--no-package-lock", "--no-audit", "--no-fund"]
CHECKS = {"types": ["tsc", "--project", str(TOOLS / "tsconfig.json")],
          "lint": ["biome", "lint", f"--config-path={TOOLS}", "--error-on-warnings", str(STATIC)]}
_QUIET = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`"
                    r"|(?<=[(,=:&|!?])\s*/(?![*/])(?:\\.|\[[^\]\n]*\]|[^/\\\n])+/[a-z]*", re.DOTALL)


def long_functions(text: str, most: int = MOST) -> list[tuple[int, int]]:
    """(first line, lines) of every function with more than `most` lines."""
    code = _QUIET.sub(lambda found: "\n" * found[0].count("\n"), text)
    open_, found, line = [], [], 1
    for at, sign in enumerate(code):
        line += sign == "\n"
        if sign == "{":
            open_.append((line, bool(re.search(r"(\)|=>)\s*\Z", code[max(0, at - 40):at]))))
        elif sign == "}":
            first, is_function = open_.pop()
            if is_function and line - first + 1 > most:
                found.append((first, line - first + 1))
    return found


def too_long() -> list[str]:
    """One sentence for each function of the widgets that does not fit a screen."""
    return [f"{file.relative_to(STATIC)}:{first}: a function of {lines} lines; {MOST} fit a screen"
            for file in sorted(STATIC.glob("*/*.js")) for first, lines in long_functions(file.read_text(encoding="utf-8"))]


def unavailable() -> str | None:
    """Why Node's part cannot run, in one word; None where it can. Fetches the two packages the first time."""
    if not (shutil.which("node") and shutil.which("npm")):
        return "Node"
    if not all((PACKAGES / ".bin" / command[0]).exists() for command in CHECKS.values()):
        try:
            done = subprocess.run(INSTALL, capture_output=True, timeout=100)
        except subprocess.TimeoutExpired:
            return "network"
        return None if done.returncode == 0 else "network"
    return None


def main() -> int:
    problems = too_long()
    print("\n".join(problems) or f"functions: at most {MOST} lines each")
    if missing := unavailable():
        print(f"types and lint: skipped, no {missing}")
        return bool(problems)
    failed = bool(problems)
    for what, (name, *rest) in CHECKS.items():
        code = subprocess.run([PACKAGES / ".bin" / name, *rest]).returncode
        print(f"{what} ({name}): {'FAILED' if code else 'ok'}", flush=True)
        failed |= bool(code)
    return failed


if __name__ == "__main__":
    sys.exit(main())
