"""What a client sees while things break: processes, disks, files, clocks, the service behind."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from load import Load, freeze, wait_for
from server import BABY, start_server
from vertex_server import ENDPOINT, vertex_server

from stork.config import Settings
from stork.store.prediction_log import read_records
from stork.store.registry import Registry

SECONDS_OF_KILLING = 30


def logged_ids(settings: Settings) -> set[str]:
    return {record["id"] for record in read_records(Path(settings.log) / "babyweight")}


def answered_ids(load: Load) -> set[str]:
    return {json.loads(body)["id"] for _, body in load.answers}


def test_workers_killed_every_second_cost_only_what_was_in_their_hands(settings: Settings) -> None:
    """Thirty times kill -9: a client loses at most one request a kill, gets no error, and no answer is unlogged."""
    clients = 4
    with start_server(settings, workers=2) as server, Load(server, clients) as load:
        for kill in range(SECONDS_OF_KILLING):
            time.sleep(1.0)
            workers = server.workers()
            os.kill(workers[kill % len(workers)], signal.SIGKILL)
        time.sleep(1.0)
        recovered = wait_for(lambda: len(server.workers()) == 2)

    assert recovered and len(load.answers) > 100 * SECONDS_OF_KILLING / 10
    assert len(load.failures) <= clients * SECONDS_OF_KILLING
    assert not [failure for failure in load.failures if failure.startswith("{")], "an HTTP error was answered"
    assert answered_ids(load) <= logged_ids(settings)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, which soon is full."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting a small file system needs root and the right to mount")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("clear", [lambda path: os.truncate(path, 0), os.unlink], ids=["emptied", "removed"])
def test_a_full_disk_for_the_log_fails_no_prediction(
    tmp_path: Path, small_disk: Path, clear: Callable[[Path], None]
) -> None:
    """Predictions go on, the lost records are counted, and logging goes on when there is room again."""
    settings = Settings(root=tmp_path / "var", log=str(small_disk))
    with start_server(settings) as server:
        statuses = {server.predict().status for _ in range(400)}
        lost = server.request("GET", "/readyz")
        for segment in (small_disk / "babyweight").glob("*.jsonl"):
            clear(segment)
        again = wait_for(lambda: server.predict().json["id"] in logged_ids(settings), seconds=20)

    assert statuses == {200} and again
    assert (lost.status, lost.json["log_failures"] > 0) == (200, True)


def tear(path: Path) -> None:
    path.write_text(path.read_text()[:20])


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "harm", [tear, lambda path: path.write_text(""), lambda path: path.unlink()], ids=["torn", "emptied", "deleted"]
)
def test_a_harmed_serving_state_changes_nobodys_answer(two_versions: Settings, harm: object) -> None:
    """The last good state keeps serving and /readyz says what is wrong; the next switch mends it."""
    registry = Registry(two_versions)
    registry.move_alias("babyweight", "stable", 2, by="test")
    with start_server(two_versions) as server:
        harm(registry.state_path("babyweight"))  # type: ignore[operator]
        told = wait_for(lambda: server.request("GET", "/readyz").status == 503)
        served = server.predict().json["version"]
        registry.state_path("babyweight").unlink(missing_ok=True)
        registry.move_alias("babyweight", "stable", 1, by="test")
        mended = wait_for(lambda: server.request("GET", "/readyz").status == 200)

        assert (told, served, mended) == (True, 2, True)
        assert server.predict().json["version"] == 1


def test_files_deleted_below_a_running_server_are_missed_by_nobody(settings: Settings) -> None:
    """What is loaded keeps answering; a version that is gone is 404 to who asks for it by number for the first time."""
    models = settings.root / "models" / "babyweight"
    shutil.copytree(Registry(settings).version_folder("babyweight", 1), models / "2")
    shutil.copytree(models / "2", models / "3")
    Registry(settings).move_alias("babyweight", "stable", 2, by="test")
    with start_server(settings) as server:
        shutil.rmtree(models)
        pinned = server.predict({"instances": [BABY], "version": 3})

        assert (server.predict().status, server.predict().json["version"]) == (200, 2)
        assert (pinned.status, "has no version 3" in pinned.json["error"]) == (404, True)


CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t id, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(id, now);
    FILE *file = id == CLOCK_REALTIME ? fopen(getenv("CLOCK_FILE"), "r") : NULL;
    long seconds = 0;
    if (file && fscanf(file, "%ld", &seconds) == 1) now->tv_sec += seconds;
    if (file) fclose(file);
    return failed;
}
"""


@pytest.fixture
def wall_clock(tmp_path: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """A file of seconds that a process started with this environment adds to the time of day."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("moving one process's clock needs a C compiler")
    source, library, seconds = tmp_path / "clock.c", tmp_path / "clock.so", tmp_path / "seconds"
    source.write_text(CLOCK)
    seconds.write_text("0")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    yield seconds, {"LD_PRELOAD": str(library), "CLOCK_FILE": str(seconds)}


def test_a_clock_that_jumps_back_stops_nothing(settings: Settings, wall_clock: tuple[Path, dict[str, str]]) -> None:
    """A day back in the middle: deadlines and durations do not notice, records are written, switches are followed."""
    seconds, environment = wall_clock
    with start_server(settings, **environment) as server:
        before = server.predict()
        seconds.write_text("-86400")
        after = server.predict()
        Registry(settings).move_alias("babyweight", "stable", 1, by="test")
        followed = Registry(settings).wait_for_followers("babyweight", 1, seconds=10)
    records = {record["id"]: record for record in read_records(Path(settings.log) / "babyweight")}

    assert (before.status, after.status, followed) == (200, 200, (1, 1))
    assert records[after.json["id"]]["time"] < records[before.json["id"]]["time"]
    assert 0 <= records[after.json["id"]]["latency"]["total"] < 10_000


def test_a_service_that_comes_and_goes_is_answered_for(settings: Settings) -> None:
    """While the service behind flaps, every client gets an answer, from there or from the local version."""
    with vertex_server() as vertex:
        forwarding = {
            "STORK_BACKEND": "vertex",
            "STORK_VERTEX_ENDPOINT": ENDPOINT,
            "STORK_VERTEX_API": vertex.url,
        }
        with start_server(settings, **forwarding) as server, Load(server) as load:
            for trouble in ("503", "", "500", "", "429", ""):
                vertex.trouble = trouble
                time.sleep(1.0)
            # The circuit breaker asks the service again when its ten seconds are over.
            wait_for(lambda: json.loads(load.answers[-1][1]).get("origin") is None, seconds=15)
    origins = [json.loads(body).get("origin", "dynamic") for _, body in load.answers]

    assert load.failures == [] and set(origins) == {"dynamic", "fallback"}
    assert origins[-1] == "dynamic"


def test_a_worker_that_hangs_is_asked_by_nobody_new(settings: Settings) -> None:
    """Who connects while one of two workers stands still is answered by the other; killed, it is replaced."""
    with start_server(settings, workers=2) as server:
        hanging = server.workers()[0]
        freeze(hanging)
        statuses = {server.request("POST", "/api/predict", BABY, timeout=5).status for _ in range(40)}
        os.kill(hanging, signal.SIGKILL)
        replaced = wait_for(lambda: len(server.workers()) == 2 and hanging not in server.workers())

    assert (statuses, replaced) == ({200}, True)
