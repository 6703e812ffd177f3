"""`push --canary` end to end: a candidate climbs to stable on a real server that is asked all the time."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from parcels import parcel_rows, write_csv, write_parcels
from server import Server, start_server

from stork.config import PROJECT, Settings
from stork.store.registry import Registry

pytestmark = pytest.mark.tensorflow

PARCEL = {"kilograms": 3.0, "zone": 2, "service": "fast", "insured": True, "shop": "north"}
# The latency of a machine that does other things too is no matter here, nor whether the second model is the better one.
LIMITS = """
[serving.ramp]
min_requests = 20
min_latency = 5000
patience = 20
"""


def run(settings: Settings, *words: str) -> str:
    """What `stork pipeline run parcels` says."""
    command = [sys.executable, "-m", "stork", "pipeline", "run", "parcels", *words]
    environment = {**os.environ, **settings.environment()}
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextlib.contextmanager
def asked_all_the_time(server: Server) -> Iterator[Counter[tuple[int, str]]]:
    """Two clients; what they got, as (status, version)."""
    got: Counter[tuple[int, str]] = Counter()
    stopped = threading.Event()

    def ask() -> None:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)) as connection:
            while not stopped.wait(0.01):
                connection.request("POST", "/api/predict", json.dumps(PARCEL), {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                got[answer.status, answer.headers["X-Model-Version"]] += 1

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield got
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


def test_a_canary_climbs_to_stable(tmp_path: Path) -> None:
    """From 10% step by step; no request fails, both versions answer meanwhile, and in the end the new one is stable."""
    settings = Settings(models=tmp_path / "model", root=tmp_path / "var", log=str(tmp_path / "log"))
    write_parcels(settings.models)
    path = settings.models / "parcels" / "model.toml"
    path.write_text(path.read_text() + LIMITS)
    first, second = (str(write_csv(tmp_path / f"{rows}.csv", parcel_rows(rows))) for rows in (400, 500))
    run(settings, "--data", first, "--alias", "stable")
    with start_server(settings) as server, asked_all_the_time(server) as got:
        said = run(settings, "--data", second, "--waive", "a test", "--canary", "10", "--every", "1s")
    state = Registry(settings).state("parcels")

    assert [f"step {share}%: canary" in said for share in (10, 25, 100)] == [True, True, True]
    assert "stable of parcels is now version 2 (before: 1)" in said
    assert (state.aliases["stable"], state.traffic) == (2, None)
    assert set(got) == {(200, "1"), (200, "2")}
