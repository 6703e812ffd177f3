"""A real browser on a real server; skipped, with the reason, where one is missing."""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from server import Server

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
# What Chromium says of a form that comes back with errors, and of a server that a test took away.
EXPECTED = (
    "the server responded with a status of 4",
    "a status of 502",
    "net::ERR_FAILED",
    "htmx:sendError",
    "htmx:afterRequest,",
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, once for all tests."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Any, shared_server: Server) -> Iterator[Callable[..., Any]]:
    """
    A function that opens a page of the server in a window of its own; keywords are the window's.

    The test fails if the browser complained of anything: an error in a script, a file that is not there, a style or
    script that the security policy refused.
    """
    complaints: list[str] = []
    windows: list[Any] = []

    def open_page(path: str = "/", **window: Any) -> Any:
        windows.append(browser.new_context(base_url=shared_server.url, reduced_motion="reduce", **window))
        page = windows[-1].new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path)
        return page

    yield open_page
    for window in windows:
        window.close()
    assert [c for c in complaints if not any(words in c for words in EXPECTED)] == []
