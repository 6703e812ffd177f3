"""What is served from static/vendor is what the npm registry serves."""

import hashlib
import re

import pytest

from stork.config import PROJECT

VENDOR = PROJECT / "static" / "vendor"
ROW = re.compile(r"^\| `(?P<name>\S+)` .* \| (?P<bytes>[\d,]+) \| `(?P<sha256>[0-9a-f]{64})` \|$", re.MULTILINE)
ROWS = {row["name"]: row for row in ROW.finditer((VENDOR / "README.md").read_text())}


@pytest.mark.parametrize("name", ROWS)
def test_vendored_files_are_unchanged(name: str) -> None:
    """Size and checksum are those in the README."""
    content = (VENDOR / name).read_bytes()

    assert hashlib.sha256(content).hexdigest() == ROWS[name]["sha256"]
    assert f"{len(content):,}" == ROWS[name]["bytes"]


def test_every_vendored_file_has_its_row() -> None:
    """Nothing is served that the README does not account for."""
    assert {path.name for path in VENDOR.iterdir()} - {"README.md", "LICENSES.txt"} == set(ROWS)
