"""A ramp makes a good candidate stable, and takes a bad one's traffic away by itself."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from deployments import declare_more, publish_copy
from server import BABY, Server, start_server

from stork.config import PROJECT, Settings
from stork.errors import BadRequest, Conflict, VersionBroken
from stork.publishing import ramp
from stork.publishing.ramp import Plan
from stork.publishing.switch import roll_back
from stork.schema.decode import Decoder
from stork.schema.frozen import Schema
from stork.serving.loader import load_local
from stork.store.registry import Registry
from stork.store.traffic import set_traffic

# How long a busy machine takes is no matter here, but to the slow candidate.
LIMITS = "[serving.ramp]\nmin_requests = {requests}\nmin_latency = {latency}\npatience = 10"
QUICK = Plan((10, 50, 100), 0.5)
GOOD, REFUSING, OUT_OF_RANGE, SLOW = 2, 3, 4, 5
EARLY = {**BABY, "gestation_weeks": 27}


@contextlib.contextmanager
def asked_all_the_time(server: Server, **later: int) -> Iterator[list[int]]:
    """Two clients ask without a pause about mothers of all ages, and once traffic is split, of what is `later`."""
    registry = Registry(server.settings)
    statuses: list[int] = []
    stopped = threading.Event()

    def ask() -> None:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)) as connection:
            for number in range(10**6):
                if stopped.is_set():
                    return
                split = later if later and registry.state("babyweight").traffic else {}
                body = json.dumps({**BABY, "mother_age": 15 + number % 40, **split})
                connection.request("POST", "/api/predict", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                statuses.append(answer.status)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a good candidate, one whose schema refuses most mothers, one whose answers are out of range."""
    folder = tmp_path_factory.mktemp("ramp")
    settings = Settings(root=folder / "var", log=str(folder / "log"))
    declare_more(settings, LIMITS.format(requests=20, latency=20_000))
    publish_copy(settings, GOOD)
    publish_copy(settings, REFUSING, mother_age={"range": [10, 30]})
    publish_copy(settings, OUT_OF_RANGE, weight_pounds={"range": [5, 20]})
    with start_server(settings) as running:
        yield running


def climb(settings: Settings, version: int, plan: Plan = QUICK) -> list[str]:
    said: list[str] = []
    ramp.climb(settings, "babyweight", version, plan, said.append)
    return said


def canary_on_record(settings: Settings, version: int) -> str:
    """What the version's own ML Test Score says of a canary."""
    sheet = json.loads((Registry(settings).version_folder("babyweight", version) / "mltest.json").read_bytes())
    return next(str(line["fact"]) for line in sheet["tests"] if line["id"] == "I6")


def test_a_good_candidate_becomes_stable(server: Server) -> None:
    """Step by step, each with its figures, and every request is answered meanwhile; its evidence is made anew."""
    with asked_all_the_time(server) as statuses:
        said = climb(server.settings, GOOD)
    registry = Registry(server.settings)
    state = registry.state("babyweight")
    roll_back(server.settings, "babyweight")

    assert [line.partition(":")[0] for line in said] == [
        "step 10%",
        "step 50%",
        "step 100%",
        "stable of babyweight is now version 2 (before",
    ]
    assert (state.aliases, state.traffic, set(statuses)) == ({"canary": 2, "stable": 2}, None, {200})
    assert canary_on_record(server.settings, GOOD).startswith("a ramp made it stable at ")


def test_a_candidate_that_refuses_loses_its_traffic(server: Server) -> None:
    """In its first step, with the figures of both; stable never moved, and the candidate can be looked into."""
    with asked_all_the_time(server), pytest.raises(VersionBroken) as stopped:
        climb(server.settings, REFUSING)
    registry = Registry(server.settings)

    assert "step 10%: canary" in str(stopped.value) and "error rate: expected at most 1.00%, received" in str(
        stopped.value
    )
    assert "all traffic is on stable (version 1) again, and version 3 stays canary" in str(stopped.value)
    assert (registry.state("babyweight").traffic, registry.aliases("babyweight")) == (None, {"stable": 1, "canary": 3})


def test_a_candidate_out_of_range_loses_its_traffic(server: Server) -> None:
    """What nobody asked before the ramp began: it is finite, so it is answered, and found in the log."""
    early = asked_all_the_time(server, gestation_weeks=28)
    with early, pytest.raises(VersionBroken, match="predictions out of range: expected at most 0"):
        climb(server.settings, OUT_OF_RANGE)

    assert Registry(server.settings).state("babyweight").traffic is None


def export_slow(folder: Path, schema: Schema) -> Path:
    """A version of which an early baby takes a processor half a second, five times what the limits allow."""
    from versions import export_version

    export_version(folder / "100", schema, pounds=7.5, products=100)
    backend, tensors = load_local("litert", folder / "100", schema), Decoder(schema, 1).decode([EARLY]).tensors
    began = time.process_time()  # whoever else is at work on this machine
    backend.predict(tensors)
    export_version(folder / "slow", schema, pounds=7.5, products=round(100 * 0.5 / (time.process_time() - began)))
    return folder / "slow"


@pytest.fixture
def hurried(server: Server) -> Iterator[Server]:
    """The same server, where an answer may take a tenth of a second, or half as long again as stable's."""
    declare_more(server.settings, LIMITS.format(requests=5, latency=100))
    yield server
    declare_more(server.settings, LIMITS.format(requests=20, latency=20_000))


@pytest.mark.tensorflow
def test_a_slow_candidate_loses_its_traffic(hurried: Server, schema: Schema, tmp_path: Path) -> None:
    """Found when its step is over."""
    shutil.copytree(export_slow(tmp_path, schema), hurried.settings.root / "models" / "babyweight" / str(SLOW))
    asked = asked_all_the_time(hurried, gestation_weeks=EARLY["gestation_weeks"])
    with asked, pytest.raises(VersionBroken, match=r"p99 latency: expected at most \d+\.\d ms"):
        climb(hurried.settings, SLOW, Plan((50,), 2.0))


def test_too_few_requests_judge_nobody(server: Server) -> None:
    """A candidate that nobody asked is not made stable: the ramp says what it waited for."""
    with pytest.raises(Conflict, match="expected 20 requests for canary to judge it by, received 0 in"):
        climb(server.settings, GOOD, Plan((10,), 0.2))

    assert Registry(server.settings).aliases("babyweight")["stable"] == 1


def test_somebody_else_s_change_ends_the_ramp_and_stands(server: Server) -> None:
    """The ramp overwrites nothing."""
    registry = Registry(server.settings)

    def meddle() -> None:
        while registry.state("babyweight").traffic is None:
            threading.Event().wait(0.05)
        set_traffic(registry, "babyweight", {"stable": 60, "canary": 40}, "somebody")

    meddler = threading.Thread(target=meddle)
    meddler.start()
    with pytest.raises(Conflict, match="overwrites nothing: traffic is stable=60 canary=40"):
        climb(server.settings, GOOD)
    meddler.join()
    standing = registry.state("babyweight").traffic
    with pytest.raises(Conflict, match="first: stork traffic babyweight --off"):
        climb(server.settings, GOOD)
    set_traffic(registry, "babyweight", None, "test")

    assert standing == {"stable": 60, "canary": 40}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_ramp_that_is_told_to_stop_goes_back(server: Server, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM leave all traffic on stable, say so, and are no success."""
    registry = Registry(server.settings)
    generation = registry.state("babyweight").generation
    command = [sys.executable, "-m", "stork", "ramp", "babyweight", str(GOOD), "--steps", "5,100", "--every", "10m"]
    environment = {**os.environ, **server.settings.environment()}
    with subprocess.Popen(command, cwd=PROJECT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(400):
            if registry.state("babyweight").traffic is not None:
                break
            threading.Event().wait(0.05)
        process.send_signal(number)
        _, said = process.communicate(timeout=20)

    assert process.returncode == 1 and "the ramp was stopped; all traffic is on stable (version 1) again" in said
    assert (registry.state("babyweight").traffic, registry.state("babyweight").generation) == (None, generation + 3)


@pytest.mark.parametrize("log", ["stdout", "off"])
def test_without_a_log_in_files_there_is_nothing_to_judge_by(settings: Settings, log: str) -> None:
    """As on App Engine: the reason is said, and nothing is changed."""
    here = Settings(root=settings.root, log=log)
    publish_copy(here, 2)

    with pytest.raises(Conflict, match=f"STORK_LOG is '{log}' here"):
        climb(here, 2)
    assert Registry(here).state("babyweight").generation == 0


@pytest.mark.parametrize("steps", [(), (0, 100), (5, 5), (50, 20), (50, 101)])
def test_steps_rise(steps: tuple[int, ...]) -> None:
    """From 1 to at most 100 percent."""
    with pytest.raises(BadRequest, match="expected rising percents from 1 to 100"):
        Plan(steps, 1.0)


def test_what_is_stable_is_not_ramped(settings: Settings) -> None:
    """There is nothing to do, and the alias of a ramp is not stable."""
    with pytest.raises(Conflict, match="version 1 of model 'babyweight' is stable already"):
        climb(settings, 1)
    with pytest.raises(BadRequest, match="expected another than stable"):
        Plan((100,), 1.0, alias="stable")
