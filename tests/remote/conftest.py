"""A bucket on loopback."""

from collections.abc import Iterator

import pytest
from storage_server import StorageServer, storage

from stork.remote import bucket as bucket_module


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[StorageServer]:
    """A bucket; who asks it again does so at once."""
    monkeypatch.setattr(bucket_module, "PAUSE", 0.01)
    with storage() as running:
        yield running
