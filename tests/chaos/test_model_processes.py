"""What a client sees, and what stays behind, while TensorFlow's processes and those who ask them are killed."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from load import Load, wait_for
from server import BABY, Server, start_server

from stork.config import Settings
from stork.publishing.swap_report import memory_of, with_children

pytestmark = pytest.mark.tensorflow

PROGRAM = "stork.serving.backends.tensorflow_template"


@pytest.fixture
def server(settings: Settings) -> Iterator[Server]:
    """A server of one worker that answers with TensorFlow."""
    with start_server(settings, STORK_BACKEND="saved_model") as running:
        yield running


def programs(server: Server) -> list[int]:
    """Process ids of the template, then of its copies."""
    return [pid for pid in with_children(server.workers()) if PROGRAM in command_line(pid)]


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_a_model_process_killed_over_and_over_costs_no_request(server: Server) -> None:
    """Eight times kill -9 under load, whenever it answers: every request is answered, and stderr says what happened."""
    with Load(server, 4) as load:
        for _ in range(8):
            wait_for_answers(load)
            os.kill(programs(server)[-1], signal.SIGKILL)
        wait_for_answers(load)

    assert load.failures == []
    assert server.stderr.read_text().count("the process of babyweight version 1 ended (signal 9)") == 8
    assert server.stderr.read_text().count("babyweight version 1 is started anew") == 8


def wait_for_answers(load: Load) -> None:
    """Until there are 50 more."""
    enough = len(load.answers) + 50
    assert wait_for(lambda: len(load.answers) >= enough, 60)


def test_the_server_itself_holds_no_tensorflow(server: Server) -> None:
    """Only its processes do; the memory that a swap report tells is that of all of them."""
    server.predict()
    (worker,), (template, *copies) = server.workers(), programs(server)

    assert "libtensorflow" not in Path(f"/proc/{worker}/maps").read_text()
    assert "libtensorflow" in Path(f"/proc/{template}/maps").read_text() and len(copies) == 1
    assert memory_of([worker]) > memory_alone(worker) + 40


def memory_alone(pid: int) -> float:
    """What a process holds in MB, its children not counted."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) / 1000


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_nothing_stays_behind_a_server(server: Server, number: signal.Signals) -> None:
    """Killed with its workers in the middle of requests, or stopped: TensorFlow's processes end too."""
    every = with_children([server.process.pid])
    assert len(every) == 4
    with Load(server, 2):
        time.sleep(0.3)
        for pid in [server.process.pid, *server.workers()] if number == signal.SIGKILL else [server.process.pid]:
            os.kill(pid, number)
        server.process.wait(10)
        time.sleep(0.3)

    assert wait_for(lambda: not any(map(command_line, every)))


def test_an_unloaded_version_takes_its_process_with_it(settings: Settings) -> None:
    """Loading and unloading it over and over leaves no process and no memory behind in the server."""
    from deployments import publish_copy

    publish_copy(settings, 2)
    with start_server(settings, STORK_BACKEND="saved_model", STORK_ADMIN_KEY="k" * 20) as server:
        (worker,) = server.workers()
        resident = []
        for _ in range(12):
            assert server.predict({"instances": [BABY], "version": 2}).status == 200
            assert len(programs(server)) == 3
            change(server, "unload")
            assert wait_for(lambda: len(programs(server)) == 2)
            change(server, "load")
            resident.append(int(Path(f"/proc/{worker}/statm").read_text().split()[1]))

    assert resident[-1] < resident[2] * 1.05


def change(server: Server, verb: str) -> None:
    body, key = {"parameters": {"version": 2}}, f"Bearer {'k' * 20}"
    answer = server.request("POST", f"/v2/repository/models/babyweight/{verb}", body, Authorization=key)
    assert answer.status == 200, answer.body
