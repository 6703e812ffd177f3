"""A real server process for tests: gunicorn as `make run` starts it, on loopback, ended by its process id."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stork.config import PROJECT, Settings
from stork.store.registry import Registry

BABY = {
    "mother_race": 1,
    "mother_age": 28,
    "gestation_weeks": 39,
    "plurality": 1,
    "is_male": True,
    "mother_married": True,
    "cigarette_use": None,
    "alcohol_use": None,
}


@dataclass
class Response:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body, parse_constant=lambda name: f"not JSON: {name}")


@dataclass
class Server:
    """A running server: its port, its process, and its settings."""

    port: int
    process: subprocess.Popen[bytes]
    settings: Settings
    stderr: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def request(self, method: str, path: str, body: Any = None, timeout: float = 30, **headers: str) -> Response:
        """One request on a connection of its own; a body is JSON: bytes as they are, other values encoded."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            headers.setdefault("Content_Type", "application/json")
        try:
            connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
            answer = connection.getresponse()
            return Response(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def predict(self, body: Any = BABY) -> Response:
        """Ask `/api/predict`."""
        return self.request("POST", "/api/predict", body)

    def workers(self) -> list[int]:
        """Process ids of the gunicorn workers."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def start_server(settings: Settings, workers: int = 1, until: str = "/readyz", **environment: str) -> Iterator[Server]:
    """A server whose every worker serves and that answers 200 at `until`; ended with them when the block ends."""
    port = free_port()
    stderr = settings.root.parent / f"stderr-{port}"
    stderr.parent.mkdir(parents=True, exist_ok=True)
    values = {**os.environ, **settings.environment(), "STORK_WORKERS": str(workers), **environment}
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "-b", f"127.0.0.1:{port}", "main:app"]
    with stderr.open("wb") as stream:
        process = subprocess.Popen(command, cwd=PROJECT, env=values, stderr=stream, start_new_session=True)
    server = Server(port, process, settings, stderr)
    try:
        wait_until_ready(server, workers, until)
        yield server
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server and its workers, if it has not ended."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal_number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
            return


def wait_until_ready(server: Server, workers: int = 1, path: str = "/readyz", seconds: float = 30.0) -> None:
    """Wait for every worker to serve and `path` to answer 200; what the server said on stderr when they do not."""
    deadline = time.monotonic() + seconds
    registry = Registry(server.settings)
    while time.monotonic() < deadline and server.process.poll() is None:
        with contextlib.suppress(OSError):
            ready = server.request("GET", path).status == 200
            if ready and (workers == 1 or registry.wait_for_followers("babyweight", 0, seconds=0)[0] >= workers):
                return
        time.sleep(0.02)
    raise RuntimeError(f"the server is not ready:\n{server.stderr.read_text()}")
