"""`/metrics`: what all processes of this deployment counted, in Prometheus' format."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from stork.serving.metrics import INSTANCES, MODEL, QUEUE, ROWS, SECONDS, TOTAL
from stork.store.counters import Pairs, Table, add_up
from stork.web.health import find_predictor

if TYPE_CHECKING:
    from prometheus_client import Metric

blueprint = Blueprint("metrics", __name__)


class Family(NamedTuple):
    """A metric: its name, its labels, what it says, and what it is called in a Table."""

    name: str
    labels: tuple[str, ...]
    help: str
    source: str


COUNTERS = (
    Family(
        "stork_requests", ("model", "version", "dialect", "status", "origin"),
        "Requests for predictions. origin: dynamic, fallback, ...; empty where nothing was answered.", "requests",
    ),
    Family(
        "stork_http_requests", ("dialect", "status"),
        "Requests to any route of a dialect, those included that were refused before a model was asked.", "arrivals",
    ),
    Family("stork_log_failures", ("model",), "Records that the prediction log could not keep.", "log_failures"),
)  # fmt: skip


class Histogram(NamedTuple):
    """A histogram by model and version: where its numbers begin in a Table's entries, its bounds, and their unit."""

    name: str
    help: str
    source: str
    place: int
    bounds: tuple[float, ...]
    unit: float


HISTOGRAMS = (
    Histogram(
        "stork_request_seconds", "A request, from its arrival until it is answered and logged.",
        "requests", TOTAL, SECONDS, 1e-3,
    ),
    Histogram(
        "stork_queue_seconds", "What a request waited of that before it was worked on.",
        "requests", QUEUE, SECONDS, 1e-3,
    ),
    Histogram("stork_model_seconds", "What the backend took of that.", "requests", MODEL, SECONDS, 1e-3),
    Histogram("stork_request_instances", "Instances per request.", "requests", INSTANCES, ROWS, 1),
    Histogram("stork_batch_instances", "Instances per call of a backend that batches.", "calls", 0, ROWS, 1),
)  # fmt: skip

GAUGES = (
    Family("stork_processes", (), "Server processes.", "processes"),
    Family("stork_requests_under_way", (), "Requests that are being answered.", "under_way"),
    Family("stork_ready_processes", ("model",), "Processes that serve the model as its state asks.", "ready"),
    Family(
        "stork_alias_processes", ("model", "alias", "version"), "Processes in which the alias names the version.",
        "alias",
    ),
    Family("stork_loaded_processes", ("model", "version"), "Processes that hold the version loaded.", "loaded"),
    Family(
        "stork_breaker_processes", ("model", "version", "state"),
        "Processes whose circuit breaker before the remote backend is closed, open or half_open.", "breaker",
    ),
)  # fmt: skip


@blueprint.get("/metrics")
def expose() -> ResponseReturnValue:
    """The numbers of all processes, in the text format the caller prefers."""
    # Loaded when first asked for: a service that nobody scrapes starts without it.
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector(*find_predictor().metrics.total()))
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return encode(registry), {"Content-Type": content_type, "Cache-Control": "no-store"}


class Collector:
    """Counters and gauges, summed over the processes, as Prometheus' families."""

    def __init__(self, counters: Table, gauges: Table) -> None:
        self.counters = counters
        self.gauges = gauges

    def collect(self) -> Iterator["Metric"]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for family in COUNTERS:
            yield fill(CounterMetricFamily, family, self.counters)
        yield from map(self._histogram, HISTOGRAMS)
        for family in GAUGES:
            yield fill(GaugeMetricFamily, family, self.gauges)
        alias_version = GaugeMetricFamily("stork_alias_version", ALIAS_VERSION, labels=["model", "alias"])
        for labels, version in most_named(self.gauges).items():
            alias_version.add_metric(labels, version)
        yield alias_version

    def _histogram(self, histogram: Histogram) -> "Metric":
        """By model and version: over dialects, statuses and origins they add up."""
        from prometheus_client.core import HistogramMetricFamily

        family = HistogramMetricFamily(histogram.name, histogram.help, labels=["model", "version"])
        rows: Pairs = [(key[1:3], numbers) for key, numbers in of(histogram.source, self.counters)]
        names = [*map(str, histogram.bounds), "+Inf"]
        first = histogram.place + 1
        for labels, numbers in add_up([rows]).items():
            buckets = accumulate(numbers[first : first + len(names)])
            family.add_metric(labels, list(zip(names, buckets, strict=True)), numbers[histogram.place] * histogram.unit)
        return family


ALIAS_VERSION = "The version that the alias names in most processes."


def of(source: str, table: Table) -> Pairs:
    """The entries of a table under one name, in order."""
    return sorted((key, numbers) for key, numbers in table.items() if key[0] == source)


def fill(kind: Any, family: Family, table: Table) -> "Metric":
    """A family with its samples: the first number under each combination of labels."""
    metric: Metric = kind(family.name, family.help, labels=family.labels)
    for (_, *labels), numbers in of(family.source, table):
        metric.add_metric(labels, numbers[0])  # type: ignore[attr-defined]
    return metric


def most_named(gauges: Table) -> dict[Sequence[str], int]:
    """By model and alias the version it names in most processes; of two named equally often the newer."""
    found: dict[Sequence[str], tuple[float, int]] = {}
    for (_, model, alias, version), (processes,) in of("alias", gauges):
        found[model, alias] = max(found.get((model, alias), (0, 0)), (processes, int(version)))
    return {labels: version for labels, (_, version) in found.items()}
