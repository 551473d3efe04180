"""The scripts of the widgets as text: how they are cut, how they are joined, what checks them."""

import re
import shutil
import subprocess
import sys

import pytest

from c2vl_kit.core import InputError
from c2vl_kit.viz import widget
from c2vl_kit.viz.widget import STATIC, widget_page, widget_source

KINDS = sorted(f.parent.name for f in STATIC.glob("*/index.js"))              # every widget there is


@pytest.fixture(scope="module")
def scripts(root):
    sys.path.insert(0, str(root / "tools"))
    import scripts
    return scripts


def test_no_function_is_longer_than_a_screen(scripts):
    assert scripts.too_long() == []


def test_a_long_function_is_seen(scripts):
    body = '  s = "}"; // }\n' * 59
    assert scripts.long_functions(f"function f() {{\n{body}}}\n") == [(1, 61)]
    assert scripts.long_functions(f"\nconst f = (a) => {{\n{body}}};\n") == [(2, 61)]
    assert scripts.long_functions(f"class A {{\n{body}}}\n") == []                      # its methods count, each alone
    assert scripts.long_functions("function f() {\n" + body[:-15] + "}\n") == []


def test_every_script_is_typed(scripts):
    files = sorted(STATIC.glob("*/*.js"))
    assert len(files) > 30 and all(f.read_text(encoding="utf-8").startswith("// @ts-check\n") for f in files)


@pytest.mark.parametrize("live", [True, False])
def test_the_joined_script_is_one_module_without_imports(live):
    text = widget_source(*KINDS, live=live)
    assert not re.search(r"^\s*import\b|\bfrom \"|/\*\*", text, re.MULTILINE)
    assert len(re.findall(r"^\s*export\b", text, re.MULTILINE)) == live
    names = re.findall(r"^const (\$\w+) = \(\(\) => \{", text, re.MULTILINE)
    assert len(names) == len(set(names)) == len(list(STATIC.glob("*/*.js")))             # each module once, for all widgets
    assert len(widget_page("", ["player"], "player")) < 100_000


def test_modules_of_one_name_do_not_clash(tmp_path, monkeypatch):
    monkeypatch.setattr(widget, "STATIC", tmp_path)
    files = {"core/model.js": "export function mountOffline(of) { globalThis.got = of.two(); }\n",
             "one/state.js": "const own = 1;\nexport const read = () => own;\n",
             "two/state.js": "const own = 2;\nexport const read = () => own;\n",
             "two/index.js": "import { mountOffline } from \"../core/model.js\";\nimport { read } from \"./state.js\";\n"
                             "import { both } from \"../one/more.js\";\n"
                             "export function renderTwo() { return [read(), both(), typeof mountOffline]; }\n",
             "one/more.js": "import { read } from \"./state.js\";\nexport function both() { return read() * 10; }\n"}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    joined = widget_source("two", live=False)
    assert joined.index("$one_state =") < joined.index("$one_more =") < joined.index("$two_index =")
    if shutil.which("node"):
        told = joined + "\nconsole.log(JSON.stringify(got))"
        run = subprocess.run(["node", "--input-type=module", "-e", told], capture_output=True, text=True)
        assert run.stdout.strip() == '[2,10,"function"]', run.stderr


@pytest.mark.parametrize("text, says", [('import { a } from "./other.js";\nexport const b = 1;\n', "needs itself by way of other.js"),
                                        ("export default 3;\n", "says 'export default 3;'"),
                                        ('import * as all from "./other.js";\n', "import by names")])
def test_what_cannot_be_joined_says_so(tmp_path, monkeypatch, text, says):
    monkeypatch.setattr(widget, "STATIC", tmp_path)
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd/index.js").write_text(text)
    (tmp_path / "odd/other.js").write_text('import { b } from "./index.js";\nexport const a = 1;\n')
    with pytest.raises(InputError, match=re.escape(says)):
        widget_source("odd")


def test_without_node_one_word_says_so(scripts, monkeypatch, capsys):
    monkeypatch.setenv("PATH", "/nowhere")
    assert scripts.main() == 0
    assert "types and lint: skipped, no Node" in capsys.readouterr().out
