"""A loopback server that behaves like a Vertex AI endpoint and an ML Engine model, or misbehaves as it is told."""

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from loopback import serving

ENDPOINT = "projects/p/locations/us-central1/endpoints/123"
MODEL = "projects/p/models/m/versions/v1"
TOKEN = "loopback-token"


@dataclass
class Seen:
    """A request as it came: the method (`predict` or `rawPredict`), who signed it, the body parsed, its trace."""

    method: str
    authorization: str | None
    body: Any
    traceparent: str | None = None

    @property
    def instances(self) -> list[Any]:
        found: list[Any] = self.body["instances"]
        return found


class VertexServer(ThreadingHTTPServer):
    """
    Answers `answer` (one number per instance) unless `trouble` names something else; `requests` keeps all it saw.

    With `tls` it speaks https, and hands out access tokens at `/token`. Its url is what `STORK_VERTEX_API` takes.
    """

    daemon_threads = True

    def __init__(self, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Endpoint)
        self.lock = threading.Lock()
        self.closed = threading.Event()
        self.reset()
        self.scheme = "https" if tls else "http"
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)

    def reset(self) -> None:
        """Behave, and forget."""
        self.trouble = ""
        self.times = 10**9  # how many requests the trouble lasts
        self.answer = 5.5
        self.requests: list[Seen] = []

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that hangs up in the middle is what some tests are about."""


class Endpoint(BaseHTTPRequestHandler):
    server: VertexServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two packets; the second would wait 40 ms for the first's ACK

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        path = self.path.partition("?")[0]
        if path == "/token":
            self.send(200, {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})
        elif path in (f"/v1/{ENDPOINT}:predict", f"/v1/{ENDPOINT}:rawPredict"):
            self.predict(path.rpartition(":")[2], content)
        elif path == f"/v1/{MODEL}:predict":  # this service hands every body on unread
            self.predict("rawPredict" if b'"signature_name"' in content else "predict", content)
        else:
            self.send(*google_error(404, "NOT_FOUND", "no such endpoint"))

    def predict(self, method: str, content: bytes) -> None:
        try:
            body = read_strictly(content) if method == "predict" else read_as_tensorflow_serving(content)
        except ValueError as error:
            self.send(*google_error(400, "INVALID_ARGUMENT", str(error)))
            return
        with self.server.lock:
            self.server.requests.append(Seen(method, self.headers["Authorization"], body, self.headers["traceparent"]))
            self.server.times -= 1
            trouble = self.server.trouble if self.server.times >= 0 else ""
        rows = len(body["instances"])
        if trouble:
            TROUBLES[trouble](self, rows)
        else:
            self.send(200, predictions([self.server.answer] * rows))

    def send(self, status: int, document: Any, pause: float = 0.0) -> None:
        """One answer; with a pause, byte by byte."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not pause:
            self.wfile.write(body)
            return
        for byte in body:
            self.wfile.write(bytes([byte]))
            time.sleep(pause)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def read_strictly(content: bytes) -> Any:
    """A body as the service reads it: JSON has no NaN."""

    def refuse(name: str) -> None:
        raise ValueError(f"Invalid JSON payload received: {name}")

    return json.loads(content, parse_constant=refuse)


def read_as_tensorflow_serving(content: bytes) -> Any:
    """A body as TensorFlow Serving reads it: NaN is a number, null is none."""
    body = json.loads(content)
    for instance in body["instances"]:
        for name, value in instance.items():
            if value is None:
                raise ValueError(f"key: {name}: JSON Value: null Type: Null is not of expected type: float")
    return body


def predictions(values: list[Any]) -> dict[str, Any]:
    return {"predictions": values, "deployedModelId": "1", "model": "projects/1/locations/us-central1/models/2"}


def google_error(status: int, name: str, message: str) -> tuple[int, dict[str, Any]]:
    return status, {"error": {"code": status, "message": message, "status": name, "details": []}}


TROUBLES = {
    "429": lambda at, rows: at.send(*google_error(429, "RESOURCE_EXHAUSTED", "Model is not yet ready")),
    "503": lambda at, rows: at.send(*google_error(503, "UNAVAILABLE", "try again")),
    "500": lambda at, rows: at.send(*google_error(500, "INTERNAL", "oops")),
    "400": lambda at, rows: at.send(*google_error(400, "INVALID_ARGUMENT", "mother_age: bad")),
    "403": lambda at, rows: at.send(*google_error(403, "PERMISSION_DENIED", "not allowed")),
    "404 page": lambda at, rows: at.send(404, b"<html>not here</html>"),
    "502 odd": lambda at, rows: at.send(502, {"error": {"message": 7}}),
    "hang": lambda at, rows: at.server.closed.wait(30),
    "trickle": lambda at, rows: at.send(200, predictions([1.0] * rows), pause=0.05),
    "close": lambda at, rows: at.connection.shutdown(socket.SHUT_RDWR),
    "garbage": lambda at, rows: at.wfile.write(b"\x15\x03\x01 no HTTP at all\r\n\r\n"),
    "short": lambda at, rows: at.send(200, predictions([1.0] * (rows + 1))),
    "error 200": lambda at, rows: at.send(200, {"error": "Prediction failed: out of memory"}),
    "html": lambda at, rows: at.send(200, b"<html>a proxy</html>"),
    "latin": lambda at, rows: at.send(200, b'{"predictions": ["\xff"]}'),
    "deep": lambda at, rows: at.send(200, b"[" * 200_000),
    "no predictions": lambda at, rows: at.send(200, {}),
    "nan": lambda at, rows: at.send(200, b'{"predictions": [NaN]}'),
    "text": lambda at, rows: at.send(200, predictions(["7.5"] * rows)),
    "true": lambda at, rows: at.send(200, predictions([True] * rows)),
    "null": lambda at, rows: at.send(200, predictions([None] * rows)),
    "list": lambda at, rows: at.send(200, predictions([[1.0, 2.0]] * rows)),
    "beyond float32": lambda at, rows: at.send(200, predictions([1e300] * rows)),
    "400 digits": lambda at, rows: at.send(200, predictions([10**400] * rows)),
}


@contextlib.contextmanager
def vertex_server(tls: ssl.SSLContext | None = None, port: int = 0) -> Iterator[VertexServer]:
    """The server, in a thread of this process, for the length of a block."""
    with serving(VertexServer(tls, port)) as server:
        try:
            yield server
        finally:
            server.closed.set()
