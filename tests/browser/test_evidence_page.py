"""The evidence page in a real browser: it opens from a disk, on a phone and on a desk."""

from pathlib import Path
from typing import Any

import pytest

from stork.config import Settings
from stork.publishing.evidence import gather_evidence
from stork.publishing.evidence_page import write_evidence


@pytest.mark.parametrize("width", [390, 1280])
def test_it_opens_from_a_disk_and_fits(browser: Any, tmp_path: Path, width: int) -> None:
    """Nothing is fetched besides the file itself, and nobody has to scroll sideways to read it."""
    path = tmp_path / "evidence.html"
    write_evidence(gather_evidence(Settings(root=tmp_path / "var", log="off"), "babyweight", 1), path)
    page = browser.new_page(viewport={"width": width, "height": 900})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    needed = page.evaluate("document.documentElement.scrollWidth")
    page.close()

    assert (asked, needed) == ([path.as_uri()], width)
