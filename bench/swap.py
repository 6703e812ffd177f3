"""
What loading a TensorFlow version does to another model's latency: `make bench-swap`.

A server of one worker answers a steady load on a model with a LiteRT twin (with `STORK_BACKEND=saved_model` TensorFlow
answers it too). Then ten versions of another model, which TensorFlow answers, are asked for by number for the first
time, and so loaded by that server, one after the other: of a single one's 0.1 s the p99 would be the slowest request.
Latencies are the clients'.
"""

import contextlib
import http.client
import json
import math
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))
ROUNDS = 3
PHASE = 4.0  # seconds before and after
PAUSE = 0.002  # between two requests of a client
LOADED = range(2, 12)  # versions of the other model


def make_root(root: Path) -> None:
    """Two models: the shipped one, and the same under another name, which TensorFlow answers."""
    from stork.schema.frozen import load_schema
    from stork.store.version import Twin, write_manifest

    shipped = next(path.parent for path in (PROJECT / "model").glob("*/model.toml"))
    other = root / "models" / "other"
    shutil.copytree(shipped, other)
    text = (other / "model.toml").read_text()
    (other / "model.toml").write_text(text.replace(f'name = "{shipped.name}"', 'name = "other"', 1))
    for version in LOADED:
        shutil.copytree(other / "1", other / str(version))
    for folder in (path.parent for path in other.glob("*/schema.json")):
        (folder / "schema.json").write_text((folder / "schema.json").read_text().replace(shipped.name, "other"))
        proved = folder.name == "1"
        write_manifest(
            folder, load_schema(folder / "schema.json"), Twin(proved=proved, rows=1, reason="" if proved else "x")
        )


class Client(threading.Thread):
    """Asks the shipped model at a steady pace; (moment, milliseconds) of each answer."""

    def __init__(self, port: int, body: bytes) -> None:
        super().__init__()
        self.port, self.body = port, body
        self.stopped = threading.Event()
        self.took: list[tuple[float, float]] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            while not self.stopped.wait(PAUSE):
                began = time.monotonic()
                connection.request("POST", "/api/predict", self.body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    raise SystemExit(f"the model under load was answered {answer.status}")
                self.took.append((began, (time.monotonic() - began) * 1000))


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[math.ceil(share * len(values)) - 1]


def one_round(body: bytes) -> tuple[dict[str, tuple[float, float]], float]:
    """p50 and p99 before, while loading and after; and the seconds that loading took."""
    with tempfile.TemporaryDirectory() as scratch, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        root = Path(scratch) / "var"
        make_root(root)
        environment = {**os.environ, "STORK_ROOT": str(root), "STORK_LOG": f"{scratch}/log", "STORK_WORKERS": "1"}
        command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "-b", f"127.0.0.1:{port}", "main:app"]
        server = subprocess.Popen(command, cwd=PROJECT, env=environment)
        try:
            wait_until_ready(port)
            clients = [Client(port, body) for _ in range(2)]
            for client in clients:
                client.start()
            time.sleep(PHASE)
            began = time.monotonic()
            for version in LOADED:
                ask_other(port, body, version)
            ended = time.monotonic()
            time.sleep(PHASE)
            for client in clients:
                client.stopped.set()
                client.join()
        finally:
            server.terminate()
            server.wait(20)
    took = [pair for client in clients for pair in client.took]
    phases = {
        "before": [ms for moment, ms in took if moment < began],
        "loading": [ms for moment, ms in took if began <= moment < ended],
        "after": [ms for moment, ms in took if moment >= ended],
    }
    return {name: (percentile(v, 0.5), percentile(v, 0.99)) for name, v in phases.items()}, ended - began


def ask_other(port: int, body: bytes, version: int) -> None:
    """Ask for a version that only TensorFlow answers, by its number."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    with contextlib.closing(connection):
        asked = {"instances": [json.loads(body)], "model": "other", "version": version}
        connection.request("POST", "/api/predict", json.dumps(asked), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise SystemExit(f"TensorFlow's version {version} was answered {answer.status}: {answer.read().decode()}")


def wait_until_ready(port: int) -> None:
    for _ in range(1000):
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            with contextlib.closing(connection):
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    return
        time.sleep(0.02)
    raise SystemExit("the server is not ready")


def main() -> None:
    """Print the table; medians over the rounds."""
    from stork.config import Settings
    from stork.schema.decode import example_of
    from stork.schema.frozen import Schema
    from stork.store.registry import Registry

    registry = Registry(Settings())
    body = json.dumps(example_of(Schema.of(registry.declaration(registry.models()[0])))).encode()
    rounds = [one_round(body) for _ in range(ROUNDS)]
    found = {name: [median(r[0][name][i] for r in rounds) for i in (0, 1)] for name in rounds[0][0]}
    print(f"{'':<10}{'p50 ms':>10}{'p99 ms':>10}{'x before':>10}")
    for name, (p50, p99) in found.items():
        print(f"{name:<10}{p50:>10.2f}{p99:>10.2f}{p99 / found['before'][1]:>10.2f}")
    print(f"loading {len(LOADED)} versions took {median(r[1] for r in rounds):.1f} s (medians of {ROUNDS} rounds)")


if __name__ == "__main__":
    main()
