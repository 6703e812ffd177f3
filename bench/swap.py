"""
What loading TensorFlow versions does to another model's latency: `make bench-swap`.

A server of one worker answers wrk on a model with a LiteRT twin (with `STORK_BACKEND=saved_model` TensorFlow answers
it too): two connections that pause for 2 ms, 32 that pause for 16, and 32 that never do. Meanwhile versions of another
model, which TensorFlow answers, are asked for by number, more of them than are kept: each is loaded by that very
server, and another one unloaded. First one a second, more often than anybody pushes; then one after the other, as when
callers of many old versions take turns. (Of one load alone, a tenth of a second, p99 would be the slowest request.)
"""

import argparse
import contextlib
import http.client
import itertools
import json
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.measure import PAUSE, PROJECT, Body, Running, Unfit, end_once, load, require_wrk, start, stork_server

LOADED = range(2, 12)  # versions of the other model
LOADS = ((2, 2), (32, PAUSE), (32, 0))  # connections, and milliseconds after each answer
# Name of a phase -> seconds from the start of a load to that of the next; None where nothing is loaded.
PHASES = {"before": None, "one a second": 1.0, "one by one": 0.0, "after": None}


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


class Loading(threading.Thread):
    """Asks for one version after the other, at most one in `every` seconds; `count` is how many were loaded."""

    def __init__(self, server: Running, instance: object, every: float = 0.0) -> None:
        super().__init__()
        self.count = 0
        self._every = every
        self._server = server
        self._instance = instance
        self._stopped = threading.Event()
        self._problem = ""

    def run(self) -> None:
        for version in itertools.cycle(LOADED):
            if self._stopped.is_set() or self._problem:
                return
            began = time.monotonic()
            self.ask(version)
            self.count += 1
            self._stopped.wait(max(0.0, began + self._every - time.monotonic()))

    def ask(self, version: int) -> None:
        """Ask for one version by its number."""
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=120)
        with contextlib.closing(connection):
            asked = {"instances": [self._instance], "model": "other", "version": version}
            connection.request("POST", "/api/predict", json.dumps(asked), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            if answer.status != 200:
                self._problem = f"version {version} was answered {answer.status}: {answer.read()[:500]!r}"

    def stop(self) -> None:
        """
        End after the version that is asked for now.

        Raises:
            Unfit: one was not answered.
        """
        self._stopped.set()
        if self.is_alive():
            self.join()
        if self._problem:
            raise Unfit(self._problem)


def measure(server: Running, body: Body, connections: int, pause: int, seconds: int) -> dict[str, dict[str, float]]:
    """What wrk saw in each phase, and how many versions were loaded in it."""
    found = {}
    for phase, every in PHASES.items():
        loading = Loading(server, json.loads(body.content), every or 0.0)
        if every is not None:
            loading.start()
        try:
            found[phase] = load(server, body, connections, seconds, pause)
        finally:
            loading.stop()
        found[phase]["loaded"] = loading.count
    return found


def main() -> None:
    """Print a table per load; medians over the rounds, and the range of the ratio."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=5, help="length of a phase")
    options.add_argument("--rounds", type=int, default=3, help="how often all is measured, each time by a new server")
    given = options.parse_args()
    require_wrk()
    end_once()
    body = Body(json.dumps(example()).encode())
    rounds: dict[tuple[int, int], list[dict[str, dict[str, float]]]] = {one: [] for one in LOADS}
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory() as scratch:
            make_root(Path(scratch) / "var")
            places = {"STORK_ROOT": f"{scratch}/var", "STORK_LOG": f"{scratch}/log", "STORK_WORKERS": "1"}
            with start(stork_server(sys.executable, places), body) as server:
                print_first(server, body)
                for connections, pause in LOADS:
                    rounds[connections, pause].append(measure(server, body, connections, pause, given.seconds))
    for (connections, pause), found in rounds.items():
        print_load(f"{connections} conn., {pause} ms", found)


def print_first(server: Running, body: Body) -> None:
    """Let TensorFlow be loaded, and three more versions; print how long that took, and what the server then held."""
    from stork.publishing.swap_report import memory_of

    loading = Loading(server, json.loads(body.content))
    print(f"memory {memory_of([server.pid]):.0f} MB", end="")
    for version in LOADED[-4:]:
        began = time.monotonic()
        loading.ask(version)
        print(f", +1 version after {time.monotonic() - began:.2f} s: {memory_of([server.pid]):.0f} MB", end="")
    print()
    loading.stop()


def print_load(title: str, rounds: list[dict[str, dict[str, float]]]) -> None:
    print(f"{title:<18}{'loaded':>8}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'p99 x before':>24}")
    for phase in PHASES:
        columns = ("loaded", "per_second", "p50_ms", "p99_ms")
        figures = [median(found[phase][column] for found in rounds) for column in columns]
        ratios = sorted(found[phase]["p99_ms"] / found["before"]["p99_ms"] for found in rounds)
        told = "" if phase == "before" else f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        print(f"{phase:<18}{figures[0]:>8.0f}{figures[1]:>9.0f}{figures[2]:>9.2f}{figures[3]:>9.2f}{told:>24}")
    print()


def example() -> dict[str, object]:
    """An instance that the shipped model takes."""
    from stork.config import Settings
    from stork.schema.decode import example_of
    from stork.schema.frozen import Schema
    from stork.store.registry import Registry

    registry = Registry(Settings())
    return example_of(Schema.of(registry.declaration(registry.models()[0])))


if __name__ == "__main__":
    main()
