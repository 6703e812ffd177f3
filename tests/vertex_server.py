"""A loopback server that behaves like a Vertex AI endpoint, or misbehaves as it is told."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ENDPOINT = "projects/p/locations/us-central1/endpoints/123"
PATH = f"/v1/{ENDPOINT}:predict"


class VertexServer(ThreadingHTTPServer):
    """
    Answers `answer` (one number per instance) unless `trouble` names something else; `requests` keeps every body.

    Its url is what `STORK_VERTEX_API` takes.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Endpoint)
        self.trouble = ""
        self.times = 10**9  # how many requests the trouble lasts
        self.answer = 5.5
        self.requests: list[Any] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Endpoint(BaseHTTPRequestHandler):
    server: VertexServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])), parse_constant=forbid)
        with self.server.lock:
            self.server.requests.append(body)
            self.server.times -= 1
            trouble = self.server.trouble if self.server.times >= 0 else ""
        if self.path.partition("?")[0] != PATH:
            self.send(*google_error(404, "NOT_FOUND", "no such endpoint"))
        elif trouble:
            TROUBLES[trouble](self, len(body["instances"]))
        else:
            self.send(200, predictions([self.server.answer] * len(body["instances"])))

    def send(self, status: int, document: Any) -> None:
        self.send_bytes(status, document if isinstance(document, bytes) else json.dumps(document).encode())

    def send_bytes(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def forbid(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def predictions(values: list[Any]) -> dict[str, Any]:
    return {"predictions": values, "deployedModelId": "1", "model": "projects/1/locations/us-central1/models/2"}


def google_error(status: int, name: str, message: str) -> tuple[int, dict[str, Any]]:
    return status, {"error": {"code": status, "message": message, "status": name, "details": []}}


TROUBLES = {
    "429": lambda handler, rows: handler.send(*google_error(429, "RESOURCE_EXHAUSTED", "Model is not yet ready")),
    "503": lambda handler, rows: handler.send(*google_error(503, "UNAVAILABLE", "try again")),
    "500": lambda handler, rows: handler.send(*google_error(500, "INTERNAL", "oops")),
    "400": lambda handler, rows: handler.send(*google_error(400, "INVALID_ARGUMENT", "mother_age: bad")),
    "hang": lambda handler, rows: time.sleep(3),
    "close": lambda handler, rows: handler.connection.shutdown(socket.SHUT_RDWR),
    "short": lambda handler, rows: handler.send(200, predictions([1.0] * (rows + 1))),
    "error 200": lambda handler, rows: handler.send(200, {"error": "Prediction failed: out of memory"}),
    "html": lambda handler, rows: handler.send(200, b"<html>a proxy</html>"),
    "nan": lambda handler, rows: handler.send(200, b'{"predictions": [NaN]}'),
    "text": lambda handler, rows: handler.send(200, predictions(["seven"] * rows)),
    "true": lambda handler, rows: handler.send(200, predictions([True] * rows)),
    "null": lambda handler, rows: handler.send(200, predictions([None] * rows)),
    "list": lambda handler, rows: handler.send(200, predictions([[1.0, 2.0]] * rows)),
    "no predictions": lambda handler, rows: handler.send(200, {}),
}


@contextlib.contextmanager
def vertex_server() -> Iterator[VertexServer]:
    """The server, in a thread of this process, for the length of a block."""
    server = VertexServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
