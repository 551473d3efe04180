"""A website from the notebooks: what they show is kept as it is, nothing is executed, and the pages need no network.

    python tools/docs.py [--out _docs]

Every link is followed: one that leads nowhere, or a page that loads anything from the web, fails the build.
"""

import argparse
import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parents[1]
# the order of the floors in the menu; a folder that is not named here comes after them
FLOORS = [
    "tutorials", "ground", "readers", "data", "concepts", "models", "losses", "train", "methods", "evaluate", "viz", "app",
    "datasets", "results", "explain",
]  # fmt: skip
ABOUT = ["CONTRIBUTING.md", "CHANGELOG.md"]  # pages of the project that lie beside nbs/
LINK = re.compile(r'(?P<open>\]\(|\b(?:src|href)=")(?P<target>[^)"#\s:]*)(?P<anchor>#[^)"\s]*)?(?P<close>[)"])')
CODE_OR_MATH = re.compile(r"(?P<code>```.*?```|`[^`]+`)|\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^\s$](?:[^$]*[^\s$])?)\$(?!\d)", re.DOTALL)
# what the templates would load from the web: formulas are MathML here, no page draws diagrams, and OFFLINE_JS serves the search
FROM_WEB = re.compile(
    r'<script[^>]*mathjax[^>]*>.*?</script>|<script src="">\s*</script>|<script type="module">(?:(?!</script>).)*mermaid.*?</script>',
    re.DOTALL | re.IGNORECASE,
)
HEADING = re.compile(r'<h([1-6]) id="([^"]*)">(.*?)<a class="anchor-link" href="[^"]*">¶</a></h\1>', re.DOTALL)
WORKER_SHIM = "https://unpkg.com/iframe-worker/shim"
OFFLINE_JS = """// A page opened from a folder may start no worker: run the search in a hidden frame instead.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.waiting = [];
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      const inside = this.frame.contentWindow;
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      inside.__index = window.__index;
      const script = inside.document.createElement("script");
      script.src = new URL(url, location.href);
      script.onload = () => { this.ready = true; this.waiting.splice(0).forEach((data) => this.postMessage(data)); };
      inside.document.body.append(script);
    }
    postMessage(data) {
      if (!this.ready) this.waiting.push(data);
      else this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }));
    }
    terminate() { this.frame.remove(); }
  };
}
"""
STYLE = """
/* The page is as wide as its code; pictures never wider than the page. */
.md-grid { max-width: 78rem; }
.jupyter-wrapper .jp-RenderedHTMLCommon :is(img, svg) { max-width: 100%; height: auto; }
.jupyter-wrapper .jp-RenderedHTMLCommon table { font-size: .7rem; }
.jupyter-wrapper .jp-RenderedHTML { overflow-x: auto; }
[data-md-color-scheme=slate] .jupyter-wrapper .jp-OutputArea :is(svg, iframe):not(.md-icon) { background: #fff; border-radius: 4px; }
.anchor-link::after { content: "¶"; }
math[display=block] { margin: .8em 0; overflow-x: auto; }
"""


def source(cell: dict) -> str:
    return "".join(cell["source"])


def section_of(page: Path) -> str:
    """The floor of `page`, a path below nbs/: its folder, or today's first part of the module's name."""
    if len(page.parts) > 1:
        return page.parts[0]
    module = page.stem.split("_", 1)[-1]
    return module.split(".")[0] if "." in module else "ground"


def title_of(page: dict, otherwise: str) -> str:
    """The first `# Title` of a notebook."""
    texts = (source(c) for c in page["cells"] if c["cell_type"] == "markdown")
    found = next((m for m in (re.search(r"^# +(.+)$", text, re.MULTILINE) for text in texts) if m), None)
    return re.sub(r"[`*]", "", found[1]).strip() if found else otherwise


def menu(pages: dict[Path, dict]) -> list:
    """The navigation of mkdocs: the index first, then one section a floor with its pages by name."""
    floors: dict[str, list] = {}
    for page in sorted(p for p in pages if p.as_posix() != "index.ipynb"):
        floors.setdefault(section_of(page), []).append({title_of(pages[page], page.stem): page.as_posix()})
    order = sorted(floors, key=lambda floor: (FLOORS.index(floor) if floor in FLOORS else len(FLOORS), floor))
    first = [{title_of(pages[Path("index.ipynb")], "Home"): "index.ipynb"}] if Path("index.ipynb") in pages else []
    return first + [{floor.replace("_", " ").capitalize(): floors[floor]} for floor in order]


def mathml(text: str) -> str:
    """Formulas become MathML, which browsers draw by themselves; code is left alone."""
    from latex2mathml.converter import convert

    def drawn(match: re.Match) -> str:
        if match["code"]:
            return match["code"]
        display = "block" if match["block"] else "inline"
        return convert((match["block"] or match["inline"]).strip(), display=display)

    return CODE_OR_MATH.sub(drawn, text)


class Site:
    """Collects what the pages of `root` need in the folder `stage`, from which mkdocs builds."""

    def __init__(self, root: Path, stage: Path):
        self.root, self.stage, self.problems = root, stage, []
        self.pages: dict[Path, dict] = {}

    def link(self, page: Path, target: str) -> str:
        """Where a link of `page` leads on the site: notebooks and Markdown are .html there, files beside nbs/ lie in project/."""
        nbs = self.root / "nbs"
        aim = Path(os.path.normpath(nbs / page.parent / unquote(target)))
        if not aim.exists() or not aim.is_relative_to(self.root):
            self.problems.append(f"nbs/{page}: links to {target}, which is not there")
            return target
        at = aim.relative_to(nbs) if aim.is_relative_to(nbs) else Path("project") / aim.relative_to(self.root)
        if aim.is_file() and aim.suffix != ".ipynb":
            (self.stage / at).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(aim, self.stage / at)
        if aim.suffix in {".ipynb", ".md"}:
            at = at.with_name(f"{at.stem}.html")
        return os.path.relpath(at, page.parent)

    def moved(self, page: Path, match: re.Match) -> str:
        """A link of `page` as the site writes it; Jupyter names a heading `Two-words`, the site `two-words`."""
        target = self.link(page, match["target"]) if match["target"] else ""
        return match["open"] + target + (match["anchor"] or "").lower() + match["close"]

    def cell(self, page: Path, cell: dict) -> dict | None:
        """One cell as the site shows it: without nbdev's directives; None if it says only those, or to hide it."""
        text = source(cell)
        if cell["cell_type"] == "raw" or re.search(r"^\s*#\|\s*hide\b", text, re.MULTILINE):
            return None
        if cell["cell_type"] == "markdown":
            return cell | {"source": mathml(LINK.sub(lambda m: self.moved(page, m), text))}
        code = re.sub(r"^\s*#\|.*\n?", "", text, flags=re.MULTILINE).strip()
        return cell | {"source": code} if code else None

    def add(self, file: Path) -> None:
        """Reads one notebook and writes what the site shows of it."""
        page = file.relative_to(self.root / "nbs")
        nb = json.loads(file.read_text(encoding="utf-8"))
        nb["cells"] = [shown for shown in (self.cell(page, c) for c in nb["cells"]) if shown]
        self.pages[page] = nb
        (self.stage / page).parent.mkdir(parents=True, exist_ok=True)
        (self.stage / page).write_text(json.dumps(nb), encoding="utf-8")


def settings(nav: list, stage: Path, out: Path, root: Path) -> dict:
    """The configuration of mkdocs: everything lies on the site itself, and pages open from a folder too."""
    ini = configparser.ConfigParser(delimiters=["="], interpolation=None)
    ini.read(root / "settings.ini", encoding="utf-8")
    said = ini["DEFAULT"]
    shades = [("light", "default", "night"), ("dark", "slate", "sunny")]
    palette = [
        {"media": f"(prefers-color-scheme: {light})", "scheme": scheme, "primary": "indigo",
         "toggle": {"icon": f"material/weather-{icon}", "name": "Light or dark"}}
        for light, scheme, icon in shades
    ]  # fmt: skip
    features = ["navigation.top", "navigation.footer", "toc.follow", "search.highlight", "search.suggest", "content.code.copy"]
    return {
        "site_name": said["title"], "site_description": said["description"], "copyright": f"© {said['copyright']}",
        "extra": {"social": [{"icon": "fontawesome/brands/github", "link": said["git_url"]}], "generator": False},
        "docs_dir": str(stage), "site_dir": str(out), "nav": nav,
        "theme": {"name": "material", "font": False, "palette": palette, "features": features},
        "use_directory_urls": False, "extra_css": ["style.css"], "markdown_extensions": ["admonition", "attr_list", "tables"],
        "hooks": [str(Path(__file__).resolve())],
        "plugins": ["search", "offline", {"mkdocs-jupyter": {"execute": False, "cache": False, "theme": "auto", "no_prompt": True}}],
        "validation": {"nav": {"omitted_files": "warn"}, "links": {"not_found": "warn", "anchors": "warn"}},
    }  # fmt: skip


IMPORTED = re.compile(r"""\b(?:import|from|importScripts)\s*\(?\s*["'](https?://[^"']+)""")


class Page(HTMLParser):
    """The anchors of a page, the places it links to and the places it loads from."""

    LOADS = {("link", "href"), ("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("video", "src")}

    def __init__(self, text: str):
        super().__init__()
        self.anchors, self.links, self.loads = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        said = dict(attrs)
        self.anchors |= {said[key] for key in ("id", "name") if said.get(key)}
        if tag == "a" and said.get("href"):
            self.links.append(said["href"])
        if tag == "link" and said.get("rel") in {"canonical", "prev", "next", "alternate"}:
            return
        self.loads += [said[key] for t, key in self.LOADS if t == tag and said.get(key)]


def broken(site: Path) -> list[str]:
    """One sentence for each link that leads nowhere and for each page that loads anything from the web."""
    pages = {f: Page(f.read_text(encoding="utf-8")) for f in sorted(site.rglob("*.html"))}
    found = []
    for file, page in pages.items():
        where = file.relative_to(site)
        if file.name == "404.html":  # shown at any address, so its links are written from the top
            continue
        loads = [*page.loads, *IMPORTED.findall(file.read_text(encoding="utf-8"))]
        found += [f"{where}: loads {t} from the web" for t in loads if re.match(r"(https?:)?//", t)]
        for target in [*page.links, *page.loads]:
            if re.match(r"\w+:|//|runs/", target):  # runs/ is what a page writes when you run it
                continue
            path, _, anchor = unquote(target).partition("#")
            aim = Path(os.path.normpath(file.parent / path.split("?")[0])) if path else file
            aim = aim / "index.html" if aim.is_dir() else aim
            if not aim.exists():
                found.append(f"{where}: links to {target}, which is not there")
            elif anchor and aim in pages and anchor not in pages[aim].anchors:
                found.append(f"{where}: links to {target}, but {aim.name} has no such heading")
    for style in sorted(site.rglob("*.css")):
        if re.search(r"url\([\"']?(https?:)?//", style.read_text(encoding="utf-8")):
            found.append(f"{style.relative_to(site)}: loads from the web")
    return found


def without_web(site: Path) -> None:
    """Takes out what the templates of mkdocs would load from the web."""
    (site / "assets/offline.js").write_text(OFFLINE_JS, encoding="utf-8")
    for file in site.rglob("*.html"):
        text = FROM_WEB.sub("", file.read_text(encoding="utf-8"))
        file.write_text(text.replace(WORKER_SHIM, os.path.relpath(site / "assets/offline.js", file.parent)), encoding="utf-8")


def on_page_content(html: str, page, **_) -> str:
    """mkdocs calls this for each page: every heading gets a name of its own, and the contents list what is on the page."""
    from markdown.extensions.toc import nest_toc_tokens
    from mkdocs.structure.toc import get_toc

    seen, headings = Counter(), []

    def named(match: re.Match) -> str:
        level, name, words = match.groups()
        own = f"{name}_{seen[name]}" if seen[name] else name
        seen[name] += 1
        headings.append({"level": int(level), "id": own, "name": re.sub(r"<[^>]+>", "", words)})
        return f'<h{level} id="{own}">{words}<a class="anchor-link" href="#{own}" aria-label="Link to this place"></a></h{level}>'

    html = HEADING.sub(named, html)
    if headings:
        page.toc = get_toc(nest_toc_tokens(headings))
    return html


def build(root: Path = ROOT, out: Path | None = None) -> list[str]:
    """Makes the site of the notebooks below `root`/nbs in `out`. Returns one sentence for each thing that is wrong."""
    out = out or root / "_docs"
    with tempfile.TemporaryDirectory(prefix="docs-") as tmp:
        stage = Path(tmp) / "pages"
        site = Site(root, stage)
        for file in sorted((root / "nbs").rglob("*.ipynb")):
            if not any(part.startswith((".", "_")) for part in file.relative_to(root).parts):
                site.add(file)
        (stage / "style.css").write_text(STYLE, encoding="utf-8")
        nav = menu(site.pages)
        about = [f for f in ABOUT if (root / f).exists()]
        if about:
            (stage / "project").mkdir(exist_ok=True)
            for name in about:
                shutil.copy(root / name, stage / "project" / name)
            nav.append({"About": [{Path(name).stem.capitalize(): f"project/{name}"} for name in about]})
        config = Path(tmp) / "mkdocs.yml"
        config.write_text(json.dumps(settings(nav, stage, out.resolve(), root)), encoding="utf-8")  # JSON is YAML
        command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--config-file", str(config)]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"})
        if done.returncode:
            return [*site.problems, f"mkdocs failed:\n{done.stdout}{done.stderr}".strip()]
    without_web(out)
    return site.problems + broken(out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "_docs", help="folder of the site (default _docs)")
    target = parser.parse_args().out
    problems = build(ROOT, target)
    print("\n".join(problems) if problems else f"{len(list(target.rglob('*.html')))} pages: open {target.name}/index.html")
    sys.exit(bool(problems))
