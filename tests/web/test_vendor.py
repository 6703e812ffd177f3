"""What is served from static/vendor is what the npm registry serves."""

import hashlib

import pytest

from stork.config import PROJECT

CHECKSUMS = {
    "pico.min.css": "fbc9a63fc9fc9f72d12fd7fc9806e11fa9f77ae4f9cad146b27003a1119ba3db",
    "htmx.min.js": "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717",
    "vega.min.js": "8f6a3587cf8d4f42c7e08120e3eb05d067e746d554e39d2dcf52acc0bd5ba28f",
    "vega-lite.min.js": "35a9821df838825b05a6a73e9414b58747a1b18321583858ed903c66393a5c7e",
    "vega-interpreter.min.js": "ee191cf04168e0c043214cea7c4e5ef80e908daa0e757c19c8061df5f898cf89",
}


@pytest.mark.parametrize("name", CHECKSUMS)
def test_vendored_files_are_unchanged(name: str) -> None:
    """Nobody edits a vendored file: it is replaced by another release, with its line in the README."""
    content = (PROJECT / "static" / "vendor" / name).read_bytes()

    assert hashlib.sha256(content).hexdigest() == CHECKSUMS[name]
    assert f"{len(content):,}" in (PROJECT / "static" / "vendor" / "README.md").read_text()
