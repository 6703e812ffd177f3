"""TensorFlow in a process of its own: it answers as it would here, and its end costs nobody an answer."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import savedmodels
from deployments import SHIPPED
from load import freeze, wait_for
from server import BABY

from stork.errors import BackendError, BackendUnavailable, DeadlineExceeded
from stork.schema.decode import Decoder
from stork.schema.frozen import load_schema
from stork.schema.tensors import Tensors
from stork.serving.backends import saved_model_process
from stork.serving.backends import template as template_module
from stork.serving.backends.saved_model_process import ProcessBackend
from stork.serving.backends.template import Template
from stork.serving.batching import BatchingBackend

pytestmark = pytest.mark.tensorflow

FOLDER = SHIPPED / "1"
SCHEMA = load_schema(FOLDER / "schema.json")
ROWS = Decoder(SCHEMA, 200).decode([{**BABY, "mother_age": 15 + n % 40} for n in range(200)]).tensors


def rows(start: int, count: int = 1) -> Tensors:
    return {name: tensor[start : start + count] for name, tensor in ROWS.items()}


@pytest.fixture(scope="module")
def template() -> Template:
    """TensorFlow is loaded once for all tests."""
    return Template()


@pytest.fixture
def backend(template: Template) -> Iterator[ProcessBackend]:
    backend = ProcessBackend(FOLDER, SCHEMA, template)
    yield backend
    backend.close()


def is_gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def test_it_answers_as_it_would_here(backend: ProcessBackend) -> None:
    """One row, a few and many: the same numbers as in this process, in order."""
    from stork.serving.backends.saved_model import SavedModelBackend

    here = SavedModelBackend(FOLDER, SCHEMA).predict(ROWS)["weight_pounds"]
    for count in (1, 3, 200):
        # Not to the bit: this process may have loaded TensorFlow before a test set TF_ENABLE_ONEDNN_OPTS.
        np.testing.assert_allclose(backend.predict(rows(0, count))["weight_pounds"], here[:count], rtol=1e-6)


def test_its_end_costs_nobody_an_answer(backend: ProcessBackend) -> None:
    """kill -9 five times under four threads: every call has its own rows, or is told to try again in a moment."""
    expected = backend.predict(ROWS)["weight_pounds"]
    stopped = threading.Event()

    def ask(start: int) -> int:
        count = 0
        while not stopped.is_set():
            with contextlib.suppress(BackendUnavailable):  # a busy machine starts a process in more than a second
                answered = backend.predict(rows(start), time.monotonic() + 30)["weight_pounds"]
                assert answered[0] == pytest.approx(expected[start])
                count += 1
        return count

    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(ask, number) for number in range(4)]
        try:
            for _ in range(5):
                time.sleep(0.4)
                killed = backend.pid
                os.kill(killed, signal.SIGKILL)
                assert wait_for(lambda killed=killed: backend.pid != killed, seconds=30)
        finally:
            stopped.set()
        assert all(future.result() > 10 for future in asked)


def test_without_the_template_another_is_started(
    backend: ProcessBackend, template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What runs goes on; what ends meanwhile is there again once TensorFlow is loaded, for which nobody waits long."""
    monkeypatch.setattr(saved_model_process, "PATIENCE", 0.1)
    process = template._process
    assert process is not None
    process.kill()
    assert backend.predict(rows(0))
    os.kill(backend.pid, signal.SIGKILL)

    assert not answers(backend)
    assert wait_for(lambda: answers(backend), seconds=30)


def answers(backend: ProcessBackend) -> bool:
    try:
        return bool(backend.predict(rows(0)))
    except BackendUnavailable:
        return False


def test_a_deadline_is_kept_and_the_late_answer_is_nobodys(backend: ProcessBackend) -> None:
    """Who asks next gets the answer to their own rows."""
    expected, stopped = backend.predict(ROWS)["weight_pounds"], backend.pid
    freeze(stopped)
    for start in (0, 1):
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            backend.predict(rows(start), began + 0.2)
        assert time.monotonic() - began < 10
    os.kill(stopped, signal.SIGCONT)

    assert backend.predict(rows(2))["weight_pounds"] == pytest.approx(expected[2]) and backend.pid == stopped


def test_one_that_hangs_is_ended(template: Template) -> None:
    """After its time, and the question is asked again."""
    backend = ProcessBackend(FOLDER, SCHEMA, template, call_seconds=0.5)
    hung = backend.pid
    freeze(hung)

    assert backend.predict(rows(0), time.monotonic() + 30) and backend.pid != hung and is_gone(hung)


def test_a_request_that_kills_its_process_kills_no_others(template: Template, tmp_path: Path) -> None:
    """It is 503; those who ask at the same time, even in the same batch, are answered."""
    schema = savedmodels.export_aborting(tmp_path / "model" / "1")
    batching = BatchingBackend(ProcessBackend(tmp_path / "model" / "1", schema, template), 64)

    def ask(value: float) -> float | str:
        while True:
            try:
                return float(batching.predict({"x": np.array([value], np.float32)}, time.monotonic() + 30)["y"][0])
            except BackendUnavailable as error:
                if "try again" not in str(error):  # as on a busy machine, where starting a process takes a second
                    return str(error)

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(ask, [1.0, 2.0, -1.0, 3.0, 4.0, 5.0, 6.0, 7.0]))

    assert [answer for answer in found if answer != found[2]] == [2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0]
    assert "ended" in str(found[2]) and ask(8.0) == 16.0


def test_one_that_only_dies_is_given_pauses(template: Template, tmp_path: Path) -> None:
    """A model that ends its process each time is not loaded over and over."""
    backend = ProcessBackend(tmp_path / "model" / "1", savedmodels.export_aborting(tmp_path / "model" / "1"), template)
    refusals = []
    for _ in range(12):
        with pytest.raises(BackendUnavailable) as refused:
            backend.predict({"x": np.array([-1.0], np.float32)})
        refusals.append(str(refused.value))

    assert any("is started anew in" in refusal for refusal in refusals)


def test_a_folder_that_cannot_be_loaded_is_said(template: Template, tmp_path: Path) -> None:
    """With TensorFlow's own words, and no process stays behind."""
    with pytest.raises(BackendError, match="cannot be loaded: Could not find SavedModel"):
        ProcessBackend(tmp_path, SCHEMA, template)


@pytest.mark.parametrize("end", [lambda backend: backend.close(), lambda backend: None], ids=["closed", "forgotten"])
def test_it_ends_with_its_owner(template: Template, end: Callable[[ProcessBackend], None]) -> None:
    """Told to, or when nobody holds it any more; TensorFlow with the last one who can ask for it."""
    own = Template()
    backend = ProcessBackend(FOLDER, SCHEMA, own)
    assert own._process is not None
    pids = [backend.pid, own._process.pid]
    end(backend)
    del backend, own

    assert wait_for(lambda: all(map(is_gone, pids)))


def test_where_no_copy_can_be_made_each_model_loads_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a system whose libraries forbid it: here a library's thread does."""
    monkeypatch.setattr(template_module, "ONE_THREAD", {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"})
    template = Template()
    backend = ProcessBackend(FOLDER, SCHEMA, template)
    killed = backend.pid
    os.kill(killed, signal.SIGKILL)

    assert template._process is None and [process.pid for process in template._used] == [killed]
    assert wait_for(lambda: answers(backend), seconds=30) and backend.pid != killed
