"""A remote for the backends that forward, and what they are asked."""

from collections.abc import Iterator

import pytest
from server import BABY
from vertex_server import VertexServer, vertex_server

from stork.schema.decode import Decoder
from stork.schema.frozen import Schema
from stork.schema.tensors import Tensors


@pytest.fixture(scope="package")
def running() -> Iterator[VertexServer]:
    """One server: for each address the client would be built anew."""
    with vertex_server() as server:
        yield server


@pytest.fixture
def remote(running: VertexServer) -> VertexServer:
    """The remote as if it had just started."""
    running.reset()
    return running


@pytest.fixture(scope="session")
def tensors(schema: Schema) -> Tensors:
    """One baby, of whom two things are not known."""
    return Decoder(schema, 10).decode([BABY]).tensors
