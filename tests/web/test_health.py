"""Alive and ready, told apart, by a real server: what orchestrators of other servers were misled by."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from load import freeze
from server import BABY, Server, start_server, wait_until_ready

from stork.config import PROJECT, Settings
from stork.store.version import Manifest

SHIPPED = PROJECT / "model" / "babyweight"


@dataclass
class Loading:
    """A server of two models, one of which loads until `finish` is called: its golden requests are a pipe."""

    server: Server
    golden: Path

    def finish(self) -> None:
        self.golden.write_bytes((SHIPPED / "1" / "golden.json").read_bytes())


def add_slow_model(models: Path) -> Path:
    """A copy of the shipped model under a name that comes first; the pipe that its loading waits for."""
    home = models / "a_slow_one"
    shutil.copytree(SHIPPED, home)
    declaration = home / "model.toml"
    declaration.write_text(declaration.read_text().replace('name = "babyweight"', 'name = "a_slow_one"', 1))
    golden = home / "1" / "golden.json"
    golden.unlink()
    path = home / "1" / "manifest.json"
    manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    files = {name: facts for name, facts in manifest.files.items() if name != "golden.json"}
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, files=files)))
    os.mkfifo(golden)
    return golden


@pytest.fixture(scope="module")
def loading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loading]:
    """That server, one model still loading."""
    folder = tmp_path_factory.mktemp("loading")
    shutil.copytree(SHIPPED, folder / "models" / "babyweight")
    golden = add_slow_model(folder / "models")
    settings = Settings(models=folder / "models", root=folder / "var", log=str(folder / "log"), model="babyweight")
    with start_server(settings, until="/healthz") as server:
        yield Loading(server, golden)


def test_alive_does_not_depend_on_a_model(loading: Loading) -> None:
    """A process that only loads slowly must not be restarted for it (tensorflow/serving#671)."""
    assert loading.server.request("GET", "/healthz").status == 200


def test_a_model_that_loads_is_503_with_its_reason(loading: Loading) -> None:
    """Not 200 because another one is ready (kubeflow#2987), and with the name of the one that is not."""
    reply = loading.server.request("GET", "/readyz")

    assert (reply.status, reply.json["ready"]) == (503, False)
    assert reply.json["problems"]["a_slow_one"] == "not loaded yet"


def test_other_models_answer_while_one_loads(loading: Loading) -> None:
    """Also the first request after the start is answered, or would be told to come again: never a 400 (kserve#2882)."""
    assert loading.server.predict().status == 200
    reply = loading.server.predict({"instances": [BABY], "model": "a_slow_one"})
    assert (reply.status, reply.json["error"]) == (
        503, "model 'a_slow_one' is still loading; try again in a moment",
    )  # fmt: skip


def test_more_callers_than_threads_wait_for_no_loading_model_for_long(loading: Loading) -> None:
    """Those who ask for a model that is not there yet do not keep the others' from answering."""
    body = {"instances": [BABY], "model": "a_slow_one"}
    callers = [threading.Thread(target=loading.server.predict, args=[body]) for _ in range(8)]
    for caller in callers:
        caller.start()
    status = loading.server.predict().status
    for caller in callers:
        caller.join(20)

    assert status == 200


def test_it_is_ready_once_all_is_loaded(loading: Loading) -> None:
    """Nobody needs to restart or ask anything."""
    loading.finish()
    wait_until_ready(loading.server)

    assert loading.server.predict({"instances": [BABY], "model": "a_slow_one"}).status == 200


def test_without_a_process_nothing_answers(settings: Settings) -> None:
    """ "Healthy" with zero workers is what litserve#532 and #663 met: here the question itself stays unanswered."""
    with start_server(settings) as server:
        freeze(server.process.pid)  # so that it replaces nobody
        for worker in server.workers():
            os.kill(worker, signal.SIGKILL)
        for path in ("/healthz", "/readyz"):
            with pytest.raises(OSError):
                server.request("GET", path, timeout=0.5)
        os.kill(server.process.pid, signal.SIGCONT)

        assert server.predict().status == 200


def test_the_first_request_after_a_crash_is_answered(tmp_path: Path) -> None:
    """A worker is replaced, and the caller of the moment waits for the new one's model instead of getting an error."""
    golden = add_slow_model(tmp_path / "models")
    settings = Settings(models=tmp_path / "models", root=tmp_path / "var", log=str(tmp_path / "log"))

    def feed(seconds: float = 0.0) -> None:
        with golden.open("wb") as pipe:  # once it is being loaded
            time.sleep(seconds)
            pipe.write((SHIPPED / "1" / "golden.json").read_bytes())

    threading.Thread(target=feed, daemon=True).start()
    with start_server(settings) as server, ThreadPoolExecutor(3) as pool:
        os.kill(server.workers()[0], signal.SIGKILL)
        answers = [pool.submit(server.predict) for _ in range(3)]
        feed(0.4)

        assert {answer.result().status for answer in answers} == {200}
