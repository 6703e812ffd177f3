"""A shadow answers copies, and nobody who asks can tell that it is there."""

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import FakeBackend, fake_declaration, fake_version
from server import BABY

from stork.declaration import Declaration, Log
from stork.errors import BackendError, Overloaded
from stork.schema.tensors import Tensors
from stork.serving.ask import Answer, Ask, Context
from stork.serving.loader import LoadedVersion
from stork.serving.predictor import Predictor
from stork.serving.shadow import COPIES, ROWS, Copy, Shadows, ShadowVersion, compare
from stork.store.prediction_log import PredictionLog
from stork.store.shadow_log import KIND, Difference, ShadowTally, Sums


def declare(most: float = 100.0) -> Declaration:
    feature = {"name": "x", "kind": "number", "range": [0, most], "tensor": {"dtype": "float64"}}
    return fake_declaration([feature], [{"name": "y", "tensor": {"dtype": "float64"}}])


def shadow_of(function: Callable[[Tensors], Tensors], most: float = 100.0) -> LoadedVersion:
    return fake_version(declare(most), function)


LIVE = fake_version(declare(), lambda tensors: {"y": tensors["x"]})


def copy_for(shadow: LoadedVersion, *values: float) -> Copy:
    ask = Ask([{"x": value} for value in values])
    return Copy(ask, Answer("a-1", "fake", 3, {"y": list(values)}, LIVE, "dynamic", "fake"), 0.5, shadow)


@pytest.fixture
def shadows(tmp_path: Path) -> Iterator[Shadows]:
    """The copies of a process whose shadow log is in a temporary folder."""
    shadows = Shadows(lambda name: PredictionLog(str(tmp_path), name, Log(), b"", KIND), deadline=5.0)
    yield shadows
    shadows.stop()


def wait_for_sums(tmp_path: Path, copies: int) -> Sums:
    """The sums once this many copies are accounted for."""
    tally, end = ShadowTally(str(tmp_path), "fake"), time.monotonic() + 10
    while time.monotonic() < end:
        for sums in tally.sums() or []:
            if sums.compared + sums.refused + sums.failed + sums.dropped >= copies:
                return sums
        time.sleep(0.01)
    raise AssertionError(f"expected {copies} copies, found {tally.sums()}")


def test_differences_are_logged_and_summed(shadows: Shadows, tmp_path: Path) -> None:
    """Mean and largest absolute difference over all rows."""
    shadow = shadow_of(lambda tensors: {"y": tensors["x"] * 2})
    shadows.offer(copy_for(shadow, 1.0, 2.0, 3.0))
    shadows.offer(copy_for(shadow, 10.0))
    sums = wait_for_sums(tmp_path, 2)

    assert (sums.version, sums.shadow, sums.compared, sums.rows) == (3, 1, 2, 4)
    assert sums.difference == {"y": Difference(mean=4.0, max=10.0)}


def raise_backend_error(tensors: Tensors) -> Tensors:
    raise BackendError("the model is upset")


def raise_overloaded(tensors: Tensors) -> Tensors:
    raise Overloaded("too many wait")


def raise_anything(tensors: Tensors) -> Tensors:
    raise RuntimeError("a defect")


@pytest.mark.parametrize(
    ("shadow", "outcome", "error"),
    [
        (shadow_of(lambda tensors: {"y": tensors["x"]}, most=10), "refused", "expected 0 to 10, received 50"),
        (shadow_of(raise_backend_error), "failed", "the model is upset"),
        (shadow_of(lambda tensors: {"y": np.full(1, np.nan)}), "failed", "not a finite number"),
        (shadow_of(raise_anything), "failed", "a defect"),
        (shadow_of(raise_overloaded), "dropped", "too many wait"),
    ],
)
def test_what_a_shadow_cannot_answer_is_a_finding(
    shadows: Shadows, tmp_path: Path, shadow: LoadedVersion, outcome: str, error: str, capfd: Any
) -> None:
    """Its own schema checks the copy; whatever goes wrong is counted with its reason, and the next copy is answered."""
    shadows.offer(copy_for(shadow, 50.0))
    shadows.offer(copy_for(shadow_of(lambda tensors: {"y": tensors["x"]}), 1.0))
    sums = wait_for_sums(tmp_path, 2)

    assert (getattr(sums, outcome), sums.compared) == (1, 1) and error in sums.last_error


def test_a_shadow_that_sleeps_delays_nobody_and_its_copies_are_dropped(shadows: Shadows, tmp_path: Path) -> None:
    """While one copy hangs, as many wait as there is room for; the rest is counted, and offering never blocks."""
    release = threading.Event()

    def sleep(tensors: Tensors) -> Tensors:
        release.wait(10)
        return {"y": tensors["x"]}

    shadow = shadow_of(sleep)
    for _ in range(COPIES + 40):
        shadows.offer(copy_for(shadow, 1.0))
    shadows.flush()
    stuck = wait_for_sums(tmp_path, 39)
    release.set()
    everything = wait_for_sums(tmp_path, COPIES + 40)

    assert stuck.compared == 0 and 39 <= stuck.dropped <= 40
    assert everything.compared + everything.dropped == COPIES + 40


def test_waiting_copies_are_bounded_in_rows_too(shadows: Shadows, tmp_path: Path) -> None:
    """A few huge bodies must not fill the memory that 64 small ones would not."""
    shadows.offer(copy_for(shadow_of(lambda tensors: {"y": tensors["x"]}), *[1.0] * (ROWS + 1)))
    shadows.flush()

    assert wait_for_sums(tmp_path, 1).dropped == 1


def test_under_pressure_copies_are_dropped_first(shadows: Shadows, tmp_path: Path) -> None:
    """Once live requests queue up, the copy of each is left, and so are those that wait."""
    release = threading.Event()

    def hold(tensors: Tensors) -> Tensors:
        release.wait(10)
        return {"y": tensors["x"]}

    for _ in range(5):
        shadows.offer(copy_for(shadow_of(hold), 1.0))
    shadows.offer(copy_for(shadow_of(hold), 1.0), busy=True)
    shadows.flush()
    release.set()
    shadows.offer(copy_for(shadow_of(hold), 1.0))
    sums = wait_for_sums(tmp_path, 7)

    assert 5 <= sums.dropped <= 6 and sums.dropped + sums.compared == 7


def test_requests_are_answered_while_the_shadow_hangs(predictor: Predictor) -> None:
    """Every request of a predictor whose shadow sleeps gets its answer; what was not copied is counted."""
    route, release = predictor.route("babyweight"), threading.Event()
    route.follow()

    def hang(tensors: Tensors) -> Tensors:
        release.wait(10)
        raise RuntimeError("woken")

    hanging = dataclasses.replace(route.resolve(), version=2, local=FakeBackend(hang))
    route.shadow = ShadowVersion(hanging, 100)
    answers = {predictor.predict(Ask([BABY])).version for _ in range(COPIES + 10)}
    waiting = Context(waiting=predictor.settings.queue)
    answers.add(predictor.predict(Ask([BABY], context=waiting)).version)
    predictor.shadows.flush()
    sums = ShadowTally(predictor.settings.log, "babyweight").sums()
    release.set()

    assert answers == {1}
    assert sums is not None and sums[0].dropped >= COPIES + 10  # the last request found a queue: all but one


@pytest.mark.parametrize(
    ("answered", "shadowed", "expected"),
    [
        ([1.0, 2.0], [1.5, 2.0], Difference(0.25, 0.5)),
        ([[1.0, 5.0]], [[1.5, 2.0]], Difference(3.0, 3.0)),
        (["a", "b"], ["a", "c"], Difference(0.5, 1.0)),
        ([[1.0]], [[1.0, 2.0]], Difference(1.0, 1.0)),
    ],
)
def test_predictions_of_every_kind_have_a_difference(
    answered: list[Any], shadowed: list[Any], expected: Difference
) -> None:
    """Numbers by how far, lists by their farthest element, anything else by whether they are equal."""
    assert compare(answered, shadowed) == expected
