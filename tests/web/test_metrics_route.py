"""`/metrics` of a real server: what its processes counted together, in Prometheus' own words."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families
from server import Server, start_server

from stork.config import PROJECT, Settings
from stork.web.metrics import Collector

Samples = dict[tuple[str, tuple[str, ...]], float]


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of two processes."""
    folder = tmp_path_factory.mktemp("metrics")
    with start_server(Settings(root=folder / "var", log=str(folder / "log")), workers=2) as server:
        yield server


def scrape(server: Server) -> Samples:
    """Every sample, by its name and its labels' values in the order of the labels' names."""
    text = server.request("GET", "/metrics").body.decode()
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape_until(server: Server, holds: Callable[[Samples], bool], seconds: float = 20.0) -> Samples:
    """The first scrape of which that holds; the last one when the time is over."""
    until = time.monotonic() + seconds
    while not holds(samples := scrape(server)) and time.monotonic() < until:
        time.sleep(0.05)
    return samples


ANSWERED = ("stork_requests_total", ("api", "babyweight", "dynamic", "200", "1"))
LATENCY = ("stork_request_seconds_count", ("babyweight", "1"))


def test_whichever_process_is_asked_the_counts_add_up(two_workers: Server) -> None:
    """40 requests are 40, also seen from the process that answered fewer of them."""
    before = scrape(two_workers).get(ANSWERED, 0)
    for _ in range(40):
        two_workers.predict()
    time.sleep(1.5)  # a process publishes once a second
    samples = scrape(two_workers)

    assert (samples[ANSWERED] - before, samples["stork_processes", ()]) == (40, 2)
    assert scrape(two_workers)[ANSWERED] == samples[ANSWERED] == samples[LATENCY]


def test_a_killed_process_takes_nothing_back(two_workers: Server) -> None:
    """Counters never go down, though a worker is killed and replaced: what was shown once is kept."""
    two_workers.predict()
    shown = scrape(two_workers)
    for victim in two_workers.workers():
        os.kill(victim, signal.SIGKILL)
        time.sleep(0.2)
        now = scrape_until(two_workers, lambda samples: samples["stork_processes", ()] == 2)
        went_back = {
            key: (value, now.get(key)) for key, value in shown.items()
            if key[0].endswith(("_total", "_bucket", "_count", "_sum")) and now.get(key, 0) < value
        }  # fmt: skip
        assert not went_back
        shown = now

    assert shown["stork_processes", ()] == 2


def test_what_is_refused_at_the_door_is_counted_there(two_workers: Server) -> None:
    """A request no model was asked for counts by dialect and status; no client makes up a model's name."""
    two_workers.request("PUT", "/api/predict", {})
    two_workers.request("POST", "/v1/models/made-up:predict", {"instances": [1]})
    refused = {("stork_http_requests_total", labels) for labels in (("api", "405"), ("tensorflow_serving", "404"))}
    samples = scrape_until(two_workers, lambda samples: refused <= samples.keys())

    assert [samples[key] for key in refused] == [1, 1]
    assert not [key for key in samples if "made-up" in key[1]]


def test_versions_and_readiness_are_told(two_workers: Server) -> None:
    """Which version an alias names, in how many processes it is loaded, and whether all is as declared."""
    loaded = ("stork_loaded_processes", ("babyweight", "1"))
    samples = scrape_until(two_workers, lambda samples: samples.get(loaded) == 2)

    assert samples["stork_alias_version", ("stable", "babyweight")] == 1
    assert samples["stork_alias_processes", ("stable", "babyweight", "1")] == 2
    assert samples[loaded] == 2
    assert samples["stork_ready_processes", ("babyweight",)] == 2


def test_the_text_is_what_the_caller_prefers(two_workers: Server) -> None:
    """Prometheus asks for OpenMetrics, and gets it, with its own end mark."""
    two_workers.predict()
    reply = two_workers.request("GET", "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    families = {family.name for family in openmetrics_parser.text_string_to_metric_families(reply.body.decode())}

    assert reply.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert "stork_request_seconds" in families


def test_a_restarted_service_starts_anew(tmp_path_factory: pytest.TempPathFactory) -> None:
    """As Prometheus expects of a counter: it begins at nothing, not at what another run counted."""
    folder = tmp_path_factory.mktemp("restart")
    for _ in range(2):
        with start_server(Settings(root=folder / "var", log=str(folder / "log"))) as server:
            assert scrape(server).get(ANSWERED, 0) == 0
            server.predict()
            assert scrape(server)[ANSWERED] == 1


def test_each_breaker_is_in_one_state() -> None:
    """Of three processes two may have given a remote up: an operator sees how many."""
    gauges = {("breaker", "m", "1", "open"): [2.0], ("breaker", "m", "1", "closed"): [1.0]}
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector({}, gauges))  # type: ignore[arg-type]

    assert 'stork_breaker_processes{model="m",state="open",version="1"} 2.0' in generate_latest(registry).decode()


def test_every_metric_is_documented() -> None:
    """A number nobody can read about is not there; none is documented that is not."""
    names = {family.name + ("_total" if family.type == "counter" else "") for family in Collector({}, {}).collect()}
    documented = set(re.findall(r"`(stork_[a-z_]+)", (PROJECT / "docs" / "observe.md").read_text()))

    assert documented == names
