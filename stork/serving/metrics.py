"""What this process counts of its requests, cheaply enough to count every one, and what state it is in."""

import atexit
import threading
import time
from bisect import bisect_left
from collections.abc import Mapping
from typing import TYPE_CHECKING

from stork.serving.backends.breaker import Breaker
from stork.store.counters import SharedCounters, Table
from stork.store.prediction_log import PredictionLog, Record

if TYPE_CHECKING:
    from stork.serving.routing import Route

PUBLISH_SECONDS = 1.0

# Upper bounds of the histograms' buckets; one more bucket holds what is beyond the last.
SECONDS = (
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    30.0,
)  # fmt: skip
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
MILLISECONDS = tuple(bound * 1000 for bound in SECONDS)

# Of each kind of request one list of numbers: how many there were, then from these places on a histogram each of their
# latency's parts and of the instances they held. A histogram is the sum of what was observed, then how many
# observations fell into each bucket.
WIDTH = len(SECONDS) + 2
TOTAL, QUEUE, MODEL, INSTANCES = (1 + part * WIDTH for part in range(4))

RequestKey = tuple[str, int | None, str, int, str]


class Metrics:
    """
    The counters of one process, safe to use from any thread.

    `routes` and `logs`, by model, are looked at whenever numbers are published.
    """

    def __init__(
        self, shared: SharedCounters, routes: Mapping[str, "Route"], logs: Mapping[str, PredictionLog]
    ) -> None:
        self.shared = shared
        self._routes = routes
        self._logs = logs
        self._lock = threading.Lock()
        # One entry per request: appending and popping are atomic, so counting them takes no lock.
        self._under_way: list[None] = []
        self._arrivals: dict[tuple[str, int], int] = {}
        self._requests: dict[RequestKey, list[float]] = {}
        self._calls: dict[tuple[str, int], list[float]] = {}
        self._alone: dict[tuple[str, int], int] = {}

    def start(self) -> None:
        """Publish every second from a thread of its own, and once more when the process ends."""
        threading.Thread(target=self._publish_always, name="stork-metrics", daemon=True).start()
        atexit.register(self.publish)

    def enter(self) -> None:
        """A request has come to its dialect."""
        self._under_way.append(None)

    def leave(self, dialect: str, status: int) -> None:
        """That request is answered with this HTTP status."""
        self._under_way.pop()
        key = (dialect, status)
        with self._lock:
            self._arrivals[key] = self._arrivals.get(key, 0) + 1

    def count(self, model: str, record: Record) -> None:
        """A request that asked for predictions; `model` is empty where the record names none that exists."""
        key = (model, record.version, record.dialect, record.status, record.origin)
        latency = record.latency
        total, queue, asked = latency["total"], latency.get("queue"), latency.get("model")
        with self._lock:
            numbers = self._requests.get(key)
            if numbers is None:
                numbers = self._requests[key] = [0] * (INSTANCES + len(ROWS) + 2)
            numbers[0] += 1
            numbers[TOTAL] += total
            numbers[TOTAL + 1 + bisect_left(MILLISECONDS, total)] += 1
            if queue is not None:
                numbers[QUEUE] += queue
                numbers[QUEUE + 1 + bisect_left(MILLISECONDS, queue)] += 1
            if asked is not None:
                numbers[MODEL] += asked
                numbers[MODEL + 1 + bisect_left(MILLISECONDS, asked)] += 1
            if record.rows:
                numbers[INSTANCES] += record.rows
                numbers[INSTANCES + 1 + bisect_left(ROWS, record.rows)] += 1

    def count_call(self, model: str, version: int, rows: int) -> None:
        """A backend that answers requests together was asked once, for this many instances."""
        with self._lock:
            numbers = self._calls.get((model, version))
            if numbers is None:
                numbers = self._calls[model, version] = [0] * (len(ROWS) + 2)
            numbers[0] += rows
            numbers[1 + bisect_left(ROWS, rows)] += 1

    def count_alone(self, model: str, version: int) -> None:
        """A backend was asked once, for one request alone."""
        key = (model, version)
        with self._lock:
            self._alone[key] = self._alone.get(key, 0) + 1

    def publish(self) -> None:
        """Let the other processes of the deployment see these numbers."""
        with self._lock:
            counters: Table = {("arrivals", *map(str, key)): [number] for key, number in self._arrivals.items()}
            counters |= {("requests", *map(written, key)): list(numbers) for key, numbers in self._requests.items()}
            counters |= {("calls", *map(str, key)): list(numbers) for key, numbers in self._calls.items()}
            counters |= {("alone", *map(str, key)): [number] for key, number in self._alone.items()}
        counters |= {("log_failures", name): [log.failures] for name, log in list(self._logs.items())}
        gauges: Table = {("processes",): [1], ("under_way",): [len(self._under_way)]}
        for name, route in list(self._routes.items()):
            gauges |= describe(name, route)
        self.shared.publish(counters, gauges)

    def total(self) -> tuple[Table, Table]:
        """Counters and gauges of all processes, this one's as of now."""
        # Published before they are shown: a number once shown is never lost with its process.
        self.publish()
        return self.shared.total()

    def _publish_always(self) -> None:
        while True:
            self.publish()
            time.sleep(PUBLISH_SECONDS)


def written(label: str | int | None) -> str:
    """A label's value; empty where it is not known."""
    return "" if label is None else str(label)


def describe(name: str, route: "Route") -> Table:
    """What a model is like in this process: is it as declared, what do aliases name, what is loaded; breakers."""
    gauges: Table = {("ready", name): [0 if route.problem else 1]}
    gauges |= {("alias", name, alias, str(version)): [1] for alias, version in route.aliases().items()}
    for version, loaded in route.held().items():
        gauges["loaded", name, str(version)] = [1]
        breaker = getattr(loaded.remote, "breaker", None)
        if isinstance(breaker, Breaker):
            gauges["breaker", name, str(version), breaker.state()] = [1]
    return gauges
