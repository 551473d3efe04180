"""The table of all settings that the command line reads instead of importing torch: write it, or say whether it is in step.

    python tools/settings.py           writes c2vl_kit/static/settings.json
    python tools/settings.py --check   exit code 1 where the classes say something else
"""

import json
import sys
from pathlib import Path

FILE = Path(__file__).resolve().parents[1] / "c2vl_kit" / "static" / "settings.json"


def text() -> str:
    """The table, one line a setting."""
    from c2vl_kit.methods.settings import settings_table

    table, lines = settings_table(), []
    for kind, named in table["classes"].items():
        inner = ",\n".join(f"   {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in named.items())
        lines.append(f"  {json.dumps(kind)}: {{\n{inner}\n  }}")
    methods = []
    for name, parts in table["methods"].items():
        inner = ",\n".join(f"   {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in parts.items())
        methods.append(f"  {json.dumps(name)}: {{\n{inner}\n  }}")
    joined = ",\n".join
    return f'{{\n "classes": {{\n{joined(lines)}\n }},\n "methods": {{\n{joined(methods)}\n }}\n}}\n'


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        same = FILE.exists() and FILE.read_text(encoding="utf-8") == text()
        print("the table of settings is in step" if same else "the table of settings is old: run `python tools/settings.py`")
        sys.exit(not same)
    FILE.write_text(text(), encoding="utf-8")
