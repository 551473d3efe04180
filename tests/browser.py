"""A real browser for the tests of the widgets: headless Chromium driven by Playwright, with the network cut off.

    from browser import browser, page      # fixtures
    def test_…(page, tmp_path): open_html(page, html)

`browser` skips with one sentence where Playwright or Chromium is missing. `page` fails its test if the page threw an error, wrote
one to its console, or asked for anything over the network.
"""

import os
import shutil
import time
from pathlib import Path

import pytest

FLAGS = ["--headless", "--no-sandbox", "--disable-background-networking"]
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def missing() -> str | None:
    """Why there is no browser here, in one sentence; None where there is one."""
    try:
        import playwright  # noqa: F401
    except ImportError:
        return "no browser tests: the Python package playwright is not installed (pip install playwright)"
    return None if executable() else ("no browser tests: Chromium is not installed (on Debian: apt-get install chromium), "
                                      "or set C2VL_CHROMIUM to it")


def executable() -> str | None:
    """Where Chromium is: $C2VL_CHROMIUM, or the first of its usual names on the path."""
    chosen = os.environ.get("C2VL_CHROMIUM")
    if chosen:
        return chosen if Path(chosen).exists() else None
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def launch(playwright):
    """A running Chromium."""
    return playwright.chromium.launch(executable_path=executable(), args=FLAGS)


_running: list = []


@pytest.fixture(scope="session")
def browser(request):
    """One Chromium for all tests of a session, however many files import this fixture."""
    if reason := missing():
        pytest.skip(reason)
    if not _running:
        from playwright.sync_api import sync_playwright

        playwright = sync_playwright().start()
        _running.append(launch(playwright))
        request.config.add_cleanup(playwright.stop)
        request.config.add_cleanup(_running[0].close)     # the last one added runs first
    return _running[0]


@pytest.fixture
def page(browser):
    """A tab of 1000 × 800 pixels, offline, light; what goes wrong in it fails the test."""
    with watched(browser, viewport={"width": 1000, "height": 800}) as tab:
        yield tab


class watched:
    """A tab that remembers errors and requests; leaving it raises if there were any."""

    def __init__(self, browser, **settings):
        self.context = browser.new_context(offline=True, **{"color_scheme": "light", **settings})
        self.problems: list[str] = []

    def __enter__(self):
        tab = self.context.new_page()
        tab.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        tab.on("console", lambda m: self.problems.append(f"console: {m.text}")
               if m.type in ("error", "warning") and "willReadFrequently" not in m.text else None)
        tab.on("request", lambda r: self.problems.append(f"request: {r.url}")
               if not r.url.startswith(("file:", "blob:", "data:", "about:")) else None)
        return tab

    def __exit__(self, kind, error, trace):
        self.context.close()
        if kind is None:
            assert not self.problems, "\n".join(self.problems)


def open_html(page, html: str, folder: Path) -> None:
    """Opens a page from a file, as a reader would."""
    file = folder / "page.html"
    file.write_text(html, encoding="utf-8")
    page.goto(file.as_uri())


def until(page, condition: str, seconds: float = 60) -> None:
    """Waits until a JavaScript expression holds (the page's policy forbids eval, which Playwright's own waiting needs)."""
    end = time.monotonic() + seconds
    while not page.evaluate(f"() => !!({condition})"):
        assert time.monotonic() < end, f"never came true: {condition}"
        page.wait_for_timeout(20)


def settle(page):
    """Two pictures have been drawn since."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
