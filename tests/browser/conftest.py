"""A real Chromium without a window, in front of a real service; skipped where there is none."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="`playwright` is not installed")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--disable-background-networking", "--disable-component-update", "--disable-gpu", "--disable-quic",
    "--disable-sync", "--no-first-run",
]  # fmt: skip
PATIENCE = 120_000
"""Milliseconds that anything on a page may take on a machine that does much else."""

WIDTHS, THEMES = (1280, 390), ("light", "dark")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/tests/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)


@dataclass
class Visit:
    """A page and what went wrong on it: messages of the console, errors of scripts, requests to other hosts."""

    page: Any
    base: str
    troubles: list[str] = field(default_factory=list)

    def open(self, path: str) -> Any:
        self.page.goto(f"{self.base}{path}")
        return self.page

    @property
    def spills(self) -> bool:
        """Whether the page can be scrolled sideways."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > innerWidth"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine; `apt-get install chromium`")
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0  # as which Chromium has no sandbox
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS, chromium_sandbox=not is_root)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any, service: Any) -> Iterator[Callable[..., Visit]]:
    """`visit(token, width, theme, ...)` -> a new browser window that is signed in; nothing may go wrong in it."""
    opened: list[Visit] = []

    def start(token: str = "", width: int = 1280, theme: str = "light", at: Any = None, **options: Any) -> Visit:
        asked = at or service
        base = f"http://127.0.0.1:{asked.port}"
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=theme, **options)
        context.set_default_timeout(PATIENCE)
        new = Visit(context.new_page(), base)
        new.page.on("console", lambda said: new.troubles.append(f"console: {said.text}"))
        new.page.on("pageerror", lambda error: new.troubles.append(f"script: {error}"))
        new.page.on("request", lambda request: _is_ours(request, base) or new.troubles.append(f"asks {request.url}"))
        new.open(f"/?token={token or asked.act}")
        opened.append(new)
        return new

    yield start
    troubles = [trouble for one in opened for trouble in one.troubles]
    for one in opened:
        one.page.context.close()
    assert not troubles


def _is_ours(request: Any, base: str) -> bool:
    return bool(request.url.startswith((base, "data:", "blob:")))
