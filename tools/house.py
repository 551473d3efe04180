"""How does the house read? Names, classes, modules, cells and prose of all pages, in figures that may only get better.

    python tools/house.py              the table: now, the ceiling of `--check`, and where it shall go
    python tools/house.py --worst 5    the same, with the five worst offenders of each row (page and cell)
    python tools/house.py --check      exit code 1 where a figure is worse than its ceiling below, or a page breaks a rule
    python tools/house.py --shrink     takes pages out of tools/exempt.json that keep the rule by now
    python tools/house.py --json       the figures alone
    python tools/house.py --limits     today's figures as the table LIMITS (paste it when a figure got better)

A page is a notebook in `nbs/`, in a folder or not. A page with `#| default_exp readers.kinect` exports the module
`c2vl_kit.readers.kinect`. Every row says in ROWS how it is counted. Nothing is imported or run: cells are parsed.
"""

import argparse
import ast
import builtins
import json
import math
import re
import statistics
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from lint_notebooks import DEFAULT_EXP, EXPORT, broken_rules, exempt, page_name, pages, source

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "c2vl_kit"
LONG_MODULE, FIRST_CELLS, MOST_BEFORE, README_WORDS = 500, 10, 5, 900

# A ceiling for each figure (a floor for those in AT_LEAST). They start as the figures of the day and only ratchet.
LIMITS = {
    "ratio": 0.4,
    "before": 5,
    "attached": 0,
    "forwarders": 0,
    "crossed": 0,
    "crossings": 0,
    "long": 0,
    "long_share": 0,
    "cell": 12,
    "longest": 45,
    "shown": 92,
    "over100": 8,
    "over110": 0.1,
    "colons": 4,
    "semicolons": 2,
    "you": 15,
    "words": 394,
    "sentence": 12,
    "readme": 900,
    "late": 0,
}
AT_LEAST = {"shown", "you"}

# figure → (what it is, how it is counted, where it shall go)
ROWS = {
    "ratio": ("private / public names", "functions, classes and constants at top level; `__x__` is left out", "0.9"),
    "before": ("privates before the first public name, worst page", "functions and classes; constants are left out", "5"),
    "attached": ("members attached after the class", "`X.y = …` at top level, X a class, own or imported; `X.y, X.z = …` are two", "0"),
    "forwarders": ("methods that only forward", "one call of a function or of an own method, with exactly the same arguments", "0"),
    "crossed": ("private names used across modules", "by `from .module import _y` or as an attribute of an imported module", "0"),
    "crossings": ("… and in how many places", "one for each import, and one for each use as an attribute", "0"),
    "long": (f"modules over {LONG_MODULE} lines", "lines of the exported file", "0"),
    "long_share": ("… their share of all lines, %", "of the lines of all exported files", "0"),
    "cell": ("export cell, median lines", "lines that are not blank", "12"),
    "longest": ("export cell, longest", "lines that are not blank", "45"),
    "shown": ("public names used before the next export cell, %", "functions and classes; a code cell must name them, words do not", "85"),
    "over100": ("exported lines over 100 characters, %", "of the lines that are not blank", "–"),
    "over110": ("exported lines over 110 characters, %", "of the lines that are not blank", "0"),
    "colons": ("colons per 100 sentences", "no headings, tables, code, formulas, addresses; a colon above a list is free", "12"),
    "semicolons": ("semicolons per 100 sentences", "the same prose", "5"),
    "you": ("you and we per 1,000 words", "you, your, yours, yourself, we, us, our, ours, ourselves", "8"),
    "words": ("words a page, mean", "as `wc -w` counts the text cells, code and tables too; 52,000 on 132 pages", "394"),
    "sentence": ("words per sentence", "a list item or a line without a full stop is a sentence", "–"),
    "readme": ("words of the README", "as `wc -w` counts", "900"),
    "late": (
        f"pages that show nothing in use within {FIRST_CELLS} cells",
        "a cell that names something public of the page and has an output",
        "0",
    ),
}


@dataclass(frozen=True)
class Cell:
    """One cell of a page, `number` counted from 1."""

    number: int
    kind: str  # "code" or "markdown"
    text: str
    has_output: bool = False

    @property
    def exports(self) -> bool:
        return self.kind == "code" and bool(EXPORT.search(self.text))

    @cached_property
    def tree(self) -> ast.Module:
        """The cell parsed, empty where it is no plain Python (a magic, a shell command)."""
        try:
            return ast.parse(self.text)
        except SyntaxError:
            plain = "\n".join(line for line in self.text.splitlines() if not line.lstrip().startswith(("%", "!")))
            try:
                return ast.parse(plain)
            except SyntaxError:
                return ast.parse("")

    @cached_property
    def names(self) -> set[str]:
        """Every name that the cell mentions, attributes too: `player.to_html` mentions `player` and `to_html`."""
        walked = list(ast.walk(self.tree))
        return {n.id for n in walked if isinstance(n, ast.Name)} | {n.attr for n in walked if isinstance(n, ast.Attribute)}

    @property
    def lines(self) -> list[str]:
        """What is not blank and no directive of nbdev."""
        return [line for line in self.text.splitlines() if line.strip() and not line.lstrip().startswith("#|")]


@dataclass(frozen=True)
class Page:
    """A notebook: its cells and, if it exports one, its module."""

    name: str  # path below nbs/ without the ending, 'readers/03_kinect'
    cells: tuple[Cell, ...]
    module: str = ""  # dotted, below the package

    @classmethod
    def read(cls, path: Path, nbs: Path):
        cells = []
        for number, c in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"], 1):
            if c["cell_type"] in ("code", "markdown"):
                cells.append(Cell(number, c["cell_type"], source(c), bool(c.get("outputs"))))
        modules = [m for c in cells if c.kind == "code" for m in DEFAULT_EXP.findall(c.text)]
        return cls(path.relative_to(nbs).with_suffix("").as_posix(), tuple(cells), modules[0] if modules else "")

    @property
    def exported(self) -> list[Cell]:
        return [c for c in self.cells if c.exports]

    @cached_property
    def defined(self) -> list[tuple[str, Cell, ast.stmt]]:
        """(name, cell, statement) of each top-level function, class and constant, in order, each name once."""
        seen: dict[str, tuple[str, Cell, ast.stmt]] = {}
        for cell in self.exported:
            for node in cell.tree.body:
                for name in defined_names(node):
                    seen.setdefault(name, (name, cell, node))
        return list(seen.values())


@dataclass
class House:
    """All pages, and the length of each exported file."""

    pages: list[Page]
    lengths: dict[str, int] = field(default_factory=dict)  # module → lines
    readme: str = ""

    @classmethod
    def read(cls, root: Path = ROOT):
        found = [Page.read(p, root / "nbs") for p in pages(root)]
        files = {p.module: root / PACKAGE / (p.module.replace(".", "/") + ".py") for p in found if p.module}
        lengths = {m: len(f.read_text(encoding="utf-8").splitlines()) for m, f in files.items() if f.exists()}
        readme = root / "README.md"
        return cls(found, lengths, readme.read_text(encoding="utf-8") if readme.exists() else "")

    @property
    def rooms(self) -> list[Page]:
        return [p for p in self.pages if p.module]


@dataclass
class Row:
    """One figure and who makes it so: (weight, 'page, cell N: what'), the heaviest first."""

    figure: float
    worst: list[tuple[float, str]] = field(default_factory=list)


# ---------------------------------------------------------------- names

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
BUILT = (*FUNCTION, ast.ClassDef)


def private(name: str) -> bool:
    return name.startswith("_")


def defined_names(node: ast.stmt) -> list[str]:
    """What a top-level statement defines: a function, a class, or the names on the left of `=`."""
    if isinstance(node, BUILT):
        found = [node.name]
    elif isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        plain = [part for t in targets for part in (t.elts if isinstance(t, (ast.Tuple, ast.List)) else [t])]
        found = [t.id for t in plain if isinstance(t, ast.Name)]
    else:
        found = []
    return [name for name in found if not (name.startswith("__") and name.endswith("__"))]


def names_rows(house: House) -> dict[str, Row]:
    privates = publics = 0
    by_page, before = [], []
    for page in house.rooms:
        flags = [private(name) for name, _, _ in page.defined]
        privates, publics = privates + sum(flags), publics + flags.count(False)
        by_page.append((sum(flags) / max(1, flags.count(False)), f"{page.name}: {sum(flags)} private, {flags.count(False)} public"))
        built = [(name, cell) for name, cell, node in page.defined if isinstance(node, BUILT)]
        first = next((i for i, (name, _) in enumerate(built) if not private(name)), len(built))
        if 0 < first < len(built):
            name, cell = built[first]
            before.append((first, f"{page.name}, cell {cell.number}: {first} privates before {name}"))
    return {
        "ratio": Row(privates / max(1, publics), by_page),
        "before": Row(max((n for n, _ in before), default=0), before),
    }


# ---------------------------------------------------------------- classes


def attached(node: ast.stmt, classes: set[str]) -> list[str]:
    """`X.y = …` of a class X: what it attaches."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    plain = [part for t in targets for part in (t.elts if isinstance(t, ast.Tuple) else [t])]
    members = [t for t in plain if isinstance(t, ast.Attribute) and isinstance(t.value, ast.Name)]
    return [f"{t.value.id}.{t.attr}" for t in members if t.value.id in classes]


def arguments(function: ast.FunctionDef) -> list[tuple[str, str]]:
    """(kind, name) of every argument, as a call that passes all on would write them; kind is '', '*' or '**'."""
    a = function.args
    found = [("", x.arg) for x in (*a.posonlyargs, *a.args)] + ([("*", a.vararg.arg)] if a.vararg else [])
    return found + [("", x.arg) for x in a.kwonlyargs] + ([("**", a.kwarg.arg)] if a.kwarg else [])


def forwards(function: ast.stmt) -> str | None:
    """The function or method that a method only hands its own arguments to, all of them and nothing else."""
    if not isinstance(function, FUNCTION) or not function.args.args:
        return None
    body = [n for n in function.body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))]
    call = getattr(body[0], "value", None) if len(body) == 1 and isinstance(body[0], (ast.Return, ast.Expr)) else None
    if not isinstance(call, ast.Call):
        return None
    passed = []
    for value in call.args:
        inner, kind = (value.value, "*") if isinstance(value, ast.Starred) else (value, "")
        if not isinstance(inner, ast.Name):
            return None
        passed.append((kind, inner.id))
    for keyword in call.keywords:
        if not isinstance(keyword.value, ast.Name) or keyword.arg not in (None, keyword.value.id):
            return None
        passed.append(("**" if keyword.arg is None else "", keyword.value.id))
    target, mine = call.func, arguments(function)
    if isinstance(target, ast.Name):
        return target.id if passed == mine and not hasattr(builtins, target.id) else None
    if not isinstance(target, ast.Attribute) or not isinstance(target.value, ast.Name):
        return None
    own = target.value.id == mine[0][1]
    return f"{target.value.id}.{target.attr}" if passed == (mine[1:] if own else mine) else None


def classes_of(house: House) -> dict[str, set[str]]:
    """Module → names that are classes there: defined in it, or imported from a room that defines them."""
    own = {p.module: {name for name, _, node in p.defined if isinstance(node, ast.ClassDef)} for p in house.rooms}
    known = {p.module: set(own[p.module]) for p in house.rooms}
    for page in house.rooms:
        for target, name, alias, _ in imports(page):
            if name in own.get(target, ()):
                known[page.module].add(alias)
    return known


def class_rows(house: House) -> dict[str, Row]:
    known, hung, forwarding = classes_of(house), [], []
    for page in house.rooms:
        for cell in page.exported:
            for node in cell.tree.body:
                hung += [(1, f"{page.name}, cell {cell.number}: {what}") for what in attached(node, known[page.module])]
                if isinstance(node, ast.ClassDef):
                    found = [(m.name, to) for m in node.body if (to := forwards(m))]
                    forwarding += [(1, f"{page.name}, cell {cell.number}: {node.name}.{m} → {to}") for m, to in found]
    return {"attached": Row(len(hung), hung), "forwarders": Row(len(forwarding), forwarding)}


# ---------------------------------------------------------------- imports


def imports(page: Page) -> list[tuple[str, str, str, Cell]]:
    """(module, name, alias, cell) of everything imported from the package, inside functions too; name '' for a module itself."""
    here, found = [PACKAGE, *page.module.split(".")[:-1]], []
    for cell in page.exported:
        for node in ast.walk(cell.tree):
            if isinstance(node, ast.ImportFrom):
                base = here[: len(here) - node.level + 1] if node.level else []
                dotted = ".".join([*base, *([node.module] if node.module else [])])
                if dotted.split(".")[0] == PACKAGE:
                    below = dotted.partition(".")[2]
                    found += [(below, a.name, a.asname or a.name, cell) for a in node.names]
            elif isinstance(node, ast.Import):
                ours = [a for a in node.names if a.name.split(".")[0] == PACKAGE and a.asname]
                found += [(a.name.partition(".")[2], "", a.asname, cell) for a in ours]
    return found


def import_rows(house: House) -> dict[str, Row]:
    rooms, names, places = {p.module for p in house.rooms}, set(), []
    for page in house.rooms:
        aliases: dict[str, str] = {}
        for module, name, alias, cell in imports(page):
            whole = ".".join(part for part in (module, name) if part)
            if whole in rooms:
                aliases[alias] = whole
            elif private(name) and not name.startswith("__"):
                names.add(f"{module}.{name}")
                places.append((1, f"{page.name}, cell {cell.number}: imports {module}.{name}"))
        for cell in page.exported:
            for node in ast.walk(cell.tree):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in aliases:
                    if private(node.attr) and not node.attr.startswith("__"):
                        names.add(f"{aliases[node.value.id]}.{node.attr}")
                        places.append((1, f"{page.name}, cell {cell.number}: uses {aliases[node.value.id]}.{node.attr}"))
    return {"crossed": Row(len(names), [(1, n) for n in sorted(names)]), "crossings": Row(len(places), places)}


# ---------------------------------------------------------------- sizes


def size_rows(house: House) -> dict[str, Row]:
    long = [(n, f"{module}: {n} lines") for module, n in house.lengths.items() if n > LONG_MODULE]
    share = 100 * sum(n for n, _ in long) / max(1, sum(house.lengths.values()))
    cells = [(len(c.lines), f"{p.name}, cell {c.number}: {len(c.lines)} lines") for p in house.rooms for c in p.exported]
    sizes = [n for n, _ in cells] or [0]
    lines = [(len(line), f"{p.name}, cell {c.number}: {line.strip()[:60]}") for p in house.rooms for c in p.exported for line in c.lines]
    wide = {n: [(size, f"{where} … ({size})") for size, where in lines if size > n] for n in (100, 110)}
    return {
        "long": Row(len(long), long),
        "long_share": Row(share, long),
        "cell": Row(statistics.median(sizes), by_median(house)),
        "longest": Row(max(sizes), cells),
        "over100": Row(100 * len(wide[100]) / max(1, len(lines)), wide[100]),
        "over110": Row(100 * len(wide[110]) / max(1, len(lines)), wide[110]),
    }


def by_median(house: House) -> list[tuple[float, str]]:
    found = [(statistics.median(len(c.lines) for c in p.exported), p.name) for p in house.rooms if p.exported]
    return [(n, f"{name}: median {n:g}") for n, name in found]


# ---------------------------------------------------------------- shown in use


def shown_rows(house: House) -> dict[str, Row]:
    total, hidden, late = 0, [], []
    for page in house.rooms:
        for name, cell, node in page.defined:
            if isinstance(node, BUILT) and not private(name):
                total += 1
                if not any(name in c.names for c in until_next_export(page, cell)):
                    hidden.append((1, f"{page.name}, cell {cell.number}: {name}"))
        public = {name for name, _, _ in page.defined if not private(name)}
        first = [c for c in page.cells if c.number <= FIRST_CELLS and c.kind == "code" and not c.exports and c.has_output]
        if public and not any(public & c.names for c in first):
            late.append((1, f"{page.name}: {first_use(page, public)}"))
    return {"shown": Row(100 * (1 - len(hidden) / max(1, total)), hidden), "late": Row(len(late), late)}


def until_next_export(page: Page, cell: Cell) -> list[Cell]:
    later = [c for c in page.cells if c.number > cell.number and c.kind == "code"]
    return later[: next((i for i, c in enumerate(later) if c.exports), len(later))]


def first_use(page: Page, public: set[str]) -> str:
    used = (c for c in page.cells if c.kind == "code" and not c.exports and c.has_output and public & c.names)
    cell = next(used, None)
    return f"first in cell {cell.number}: {', '.join(sorted(public & cell.names)[:3])}" if cell else "never with an output"


# ---------------------------------------------------------------- prose

FENCE = re.compile(r"^\s*(```|~~~).*?^\s*\1[^\n]*$", re.MULTILINE | re.DOTALL)
FORMULA = re.compile(r"\$\$.*?\$\$|(?<![\\$\w])\$(?!\s)[^$\n]+?(?<!\s)\$(?![\w$])", re.DOTALL)
CODE = re.compile(r"(`+)(?!`)(?:(?!\n\s*\n).)+?(?<!`)\1(?!`)", re.DOTALL)
IMAGE, LINK = re.compile(r"!\[[^\]]*\]\([^)]*\)"), re.compile(r"\[([^\]]*)\]\([^)]*\)")
HTML, ADDRESS, ENTITY = re.compile(r"<!--.*?-->|</?[a-zA-Z][^>]*>", re.DOTALL), re.compile(r"<?https?://[^\s>)]+>?"), re.compile(r"&#?\w+;")
QUOTE, ITEM = re.compile(r"^\s*(?:>\s*)+"), re.compile(r"^\s*(?:>\s*)*(?:[-*+]|\d+[.)])\s+")
LEFT_OUT = re.compile(r"\s*(?:#{1,6}\s|\||:::)")  # headings, tables, callouts' fences
SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)\]*_]*\s+(?=[\"'“‘(\[*_`]*[A-ZÄÖÜ0-9])")
WORD = re.compile(r"[^\W_]+(?:['’.,\-–/][^\W_]+)*")
PERSON = re.compile(r"\b(?:you|your|yours|yourself|we|our|ours|ourselves|us|You|Your|Yours|Yourself|We|Our|Ours|Ourselves|Us)\b")
COLON = re.compile(r":(?=[\"'”’)*_]* )")
STAND_IN = "CODE"  # what stands for a code span or a formula, so that the sentence around it keeps its shape


def prose(text: str) -> list[str]:
    """The running text of a markdown cell, one block (paragraph, list item) a string."""
    text = HTML.sub(" ", FENCE.sub("\n\n", text))
    text = ADDRESS.sub(" ", LINK.sub(r"\1", IMAGE.sub(" ", CODE.sub(STAND_IN, FORMULA.sub(STAND_IN, text)))))
    blocks, open_block = [], False
    for line in ENTITY.sub(" ", text).splitlines():
        if not line.strip() or LEFT_OUT.match(line):
            open_block = False
        elif open_block and not ITEM.match(line):
            blocks[-1] += " " + QUOTE.sub("", line).strip()
        else:
            blocks.append(ITEM.sub("", QUOTE.sub("", line) if not ITEM.match(line) else line).strip())
            open_block = True
    return [b for b in blocks if WORD.search(b)]


def sentences(blocks: list[str]) -> list[str]:
    return [s for b in blocks for s in SENTENCE_END.split(b) if WORD.search(s)]


def words(text: str) -> list[str]:
    """The words of a text; code spans and formulas are none."""
    return [w for w in WORD.findall(text) if w != STAND_IN]


@dataclass
class Prose:
    """What is counted of one page's prose."""

    raw: int  # words as `wc -w` counts
    sentences: int
    words: int
    colons: int
    semicolons: int
    persons: int

    @classmethod
    def of(cls, cells: list[Cell]):
        blocks = [b for c in cells if c.kind == "markdown" for b in prose(c.text)]
        text, parts = "\n".join(blocks), sentences(blocks)
        raw = sum(len(c.text.split()) for c in cells if c.kind == "markdown")
        return cls(raw, len(parts), len(words(text)), len(COLON.findall(text)), text.count(";"), len(PERSON.findall(text)))


def prose_rows(house: House) -> dict[str, Row]:
    by_page = {p.name: Prose.of(list(p.cells)) for p in house.pages}
    total = Prose(*(sum(getattr(x, f) for x in by_page.values()) for f in Prose.__dataclass_fields__))

    def row(of, sign: int = 1, least: int = 20) -> Row:  # least: sentences a page must have to be named
        return Row(of(total), [(sign * of(x), f"{name}: {of(x):.1f}") for name, x in by_page.items() if x.sentences >= least])

    return {
        "colons": row(lambda x: 100 * x.colons / max(1, x.sentences)),
        "semicolons": row(lambda x: 100 * x.semicolons / max(1, x.sentences)),
        "you": row(lambda x: 1000 * x.persons / max(1, x.words), sign=-1),
        "words": Row(total.raw / max(1, len(by_page)), row(lambda x: x.raw, least=1).worst),
        "sentence": row(lambda x: x.words / max(1, x.sentences)),
        "readme": Row(len(house.readme.split())),
    }


# ---------------------------------------------------------------- rules that each page keeps, or is exempt from


def page_of(what: str) -> str:
    """The page that an offender's line begins with, 'readers/kinect' for 'readers/02_kinect, cell 3: …'."""
    return page_name(Path("nbs", re.split(r"[,:]", what, maxsplit=1)[0] + ".ipynb"), Path())


def rules(house: House, rows: dict[str, Row], root: Path = ROOT) -> dict[str, dict[str, list[str]]]:
    """Rule → page → one sentence for each place that breaks it."""

    def of(key: str, advice: str, least: float = 0) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for weight, what in rows[key].worst:
            if weight > least:
                found.setdefault(page_of(what), []).append(f"{what}: {advice}")
        return found

    found = {
        "before": of("before", f"{MOST_BEFORE} at most: let what people came for stand first", MOST_BEFORE),
        "late": of("late", f"use something public, with its output, within {FIRST_CELLS} cells"),
        "attached": of("attached", "let members stand in the body of their class"),
        "crossings": of("crossings", "what is used elsewhere gets a public name"),
        "long": {
            m.replace(".", "/"): [f"{m}: a module of {n} lines, {LONG_MODULE} at most: split it by idea"]
            for m, n in house.lengths.items() if n > LONG_MODULE
        },
        "readme": {},
    }
    if (count := len(house.readme.split())) > README_WORDS:
        found["readme"]["README"] = [f"README: {count} words, {README_WORDS} at most"]
    for path, page in zip(pages(root), house.pages):
        for rule, problems in broken_rules(json.loads(path.read_text(encoding="utf-8"))["cells"]).items():
            found.setdefault(rule, {}).update({page_name(path, root): [f"{page.name}: {p}" for p in problems]} if problems else {})
    return found


def unruly(found: dict[str, dict[str, list[str]]], spared: dict[str, list[str]]) -> list[str]:
    """One sentence for each broken rule of a page that is not exempt, and for each exemption that nobody needs any more."""
    broken = [s for rule, by_page in found.items() for page, said in by_page.items() if page not in spared.get(rule, ()) for s in said]
    kept = [(rule, page) for rule, names in spared.items() for page in names if page not in found.get(rule, {})]
    return broken + [f"{page} keeps the rule `{rule}` by now: run `python tools/house.py --shrink`" for rule, page in kept]


def shrink(found: dict[str, dict[str, list[str]]], root: Path = ROOT) -> int:
    """Write the list of exemptions without the pages that need none; nothing is added (unless there is no list). Returns how many went."""
    before = exempt(root) or {rule: sorted(by_page) for rule, by_page in found.items()}
    after = {rule: [page for page in names if page in found.get(rule, {})] for rule, names in before.items()}
    text = json.dumps({rule: names for rule, names in after.items() if names}, indent=1, ensure_ascii=False)
    (root / "tools" / "exempt.json").write_text(text + "\n", encoding="utf-8")
    return sum(map(len, before.values())) - sum(map(len, after.values()))


# ---------------------------------------------------------------- table


def measure(house: House) -> dict[str, Row]:
    """All rows, in the order of ROWS."""
    parts = (names_rows, class_rows, import_rows, size_rows, shown_rows, prose_rows)
    found = {key: row for part in parts for key, row in part(house).items()}
    return {key: found[key] for key in ROWS}


def shown(figure: float) -> str:
    """Two digits behind the point below 10, one below 100, none above."""
    return f"{figure:.0f}" if float(figure).is_integer() or figure >= 100 else f"{figure:.2f}" if figure < 10 else f"{figure:.1f}"


def rounded(key: str, figure: float) -> float:
    """A figure as a limit: two digits, away from what is better, so that today's figure keeps it."""
    scaled = math.floor(figure * 100) / 100 if key in AT_LEAST else math.ceil(figure * 100) / 100
    return int(scaled) if scaled == int(scaled) else scaled


def broken(rows: dict[str, Row], limits: dict[str, float]) -> list[str]:
    """One sentence for each figure that is worse than its limit."""
    found = []
    for key, limit in limits.items():
        figure = rows[key].figure
        if (figure < limit) if key in AT_LEAST else (figure > limit):
            side = "at least" if key in AT_LEAST else "at most"
            found.append(f"{ROWS[key][0]}: {figure:.2f}, {side} {limit:g}: see `python tools/house.py --worst 10`")
    return found


def worst_of(row: Row, n: int) -> list[str]:
    return [what for _, what in sorted(row.worst, key=lambda x: -x[0])[:n]]


def main(argv: list[str], root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="figures (and offenders) as JSON")
    parser.add_argument("--worst", type=int, default=0, metavar="N", help="name the N worst offenders of each row")
    parser.add_argument("--check", action="store_true", help="exit code 1 where a limit is broken")
    parser.add_argument("--limits", action="store_true", help="today's figures as the table LIMITS")
    parser.add_argument("--shrink", action="store_true", help="take pages out of the list of exemptions that need none")
    chosen = parser.parse_args(argv)
    house = House.read(root)
    rows = measure(house)
    if chosen.shrink:
        print(f"{shrink(rules(house, rows, root), root)} exemptions fewer")
        return 0
    if chosen.json:
        listed = {k: {"figure": round(r.figure, 4), "worst": worst_of(r, chosen.worst)} for k, r in rows.items()}
        print(json.dumps(listed, indent=1, ensure_ascii=False))
    elif chosen.limits:
        print("LIMITS = {\n" + "".join(f'    "{k}": {rounded(k, r.figure)},\n' for k, r in rows.items()) + "}")
    else:
        print(f"{'':<50} {'now':>8} {'limit':>9} {'goal':>7}")
        for key, (what, how, goal) in ROWS.items():
            limit = f"{LIMITS[key]:g}" if key in LIMITS else "–"
            print(f"{what:<50} {shown(rows[key].figure):>8} {limit:>9} {goal:>7}")
            print("".join(f"      {line}\n" for line in [f"({how})", *worst_of(rows[key], chosen.worst)] if chosen.worst), end="")
    problems = broken(rows, LIMITS) + unruly(rules(house, rows, root), exempt(root)) if chosen.check else []
    print("\n".join(problems), end="\n" if problems else "", file=sys.stderr)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
