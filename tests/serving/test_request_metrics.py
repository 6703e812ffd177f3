"""What one process counts."""

import functools
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeBackend

from stork.errors import StorkError
from stork.schema.instances import Columns
from stork.serving.ask import Ask
from stork.serving.batching import BatchingBackend
from stork.serving.metrics import INSTANCES, MODEL, ROWS, SECONDS, TOTAL, Metrics
from stork.serving.predictor import Predictor
from stork.store.counters import SharedCounters, Table

ONE = b'{"mother_race": 1, "mother_age": 28, "gestation_weeks": 39, "plurality": 1}'


def counted(predictor: Predictor) -> Table:
    """The kinds of requests there were."""
    counters, _ = predictor.metrics.total()
    return {key[1:]: numbers for key, numbers in counters.items() if key[0] == "requests"}


def test_a_request_is_counted_once_with_every_part_of_its_latency(predictor: Predictor) -> None:
    """Each histogram holds as many observations as there were requests."""
    for _ in range(3):
        predictor.predict(Ask(b"[" + ONE + b", " + ONE + b"]"))
    numbers = counted(predictor)["babyweight", "1", "api", "200", "dynamic"]

    assert numbers[0] == 3
    for part in (TOTAL, MODEL):
        assert sum(numbers[part + 1 : part + 2 + len(SECONDS)]) == 3 and numbers[part] > 0
    assert numbers[INSTANCES : INSTANCES + 2 + len(ROWS)] == [6, 0, 3] + [0] * (len(ROWS) - 1)


@pytest.mark.parametrize(
    ("ask", "key"),
    [
        (Ask(b"[]"), ("babyweight", "1", "api", "400", "")),
        (Ask(b"[]", version=9), ("babyweight", "", "api", "404", "")),
        (Ask(b"[]", model="a name that a client made up"), ("", "", "api", "404", "")),
    ],
)
def test_a_refused_request_is_counted_under_names_of_ours_only(
    predictor: Predictor, ask: Ask, key: tuple[str, ...]
) -> None:
    """No client can make the number of series grow."""
    with pytest.raises(StorkError):
        predictor.predict(ask)

    assert list(counted(predictor)) == [key]


def test_a_defect_of_ours_is_counted_as_500(predictor: Predictor) -> None:
    """What no error of the tree explains is no success."""
    with pytest.raises(TypeError):
        predictor.predict(Ask(Columns({"mother_age": 3})))  # type: ignore[dict-item]

    assert [key[3] for key in counted(predictor)] == ["500"]


def test_log_records_that_were_lost_are_counted(predictor: Predictor) -> None:
    """A log that cannot be written is something to be woken for."""
    Path(predictor.settings.log).touch()
    predictor.predict(Ask(ONE, path="$", single=True))

    assert predictor.metrics.total()[0]["log_failures", "babyweight"] == [1]


def test_calls_for_several_requests_are_counted_as_they_are_made(tmp_path: Path) -> None:
    """What batching is worth shows in how many instances a call holds."""
    metrics = Metrics(SharedCounters(tmp_path), {}, {})
    batching = BatchingBackend(FakeBackend(lambda tensors: tensors), max_waiting=1)
    batching.note_call = functools.partial(metrics.count_call, "m", 1)
    for rows in (1, 3, 10_000):
        batching.predict({"x": np.zeros(rows)})

    assert metrics.total()[0]["calls", "m", "1"] == [10_004, 1, 0, 1, *[0] * (len(ROWS) - 3), 1]
