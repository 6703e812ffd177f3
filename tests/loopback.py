"""Servers that are threads of the process that tests."""

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from typing import TypeVar

AnyServer = TypeVar("AnyServer", bound=socketserver.BaseServer)


@contextlib.contextmanager
def serving(server: AnyServer) -> Iterator[AnyServer]:
    """The server while a block runs."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
