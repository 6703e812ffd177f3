"""Batching: everybody gets their own rows, nobody waits for company, and there is an end to the queue."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from fakes import FakeBackend
from hypothesis import given, settings
from hypothesis import strategies as st

from stork.errors import BackendError, DeadlineExceeded, Overloaded, ValuesRefused
from stork.schema.tensors import Tensors
from stork.serving.batching import BatchingBackend


def doubled(tensors: Tensors) -> Tensors:
    """Twice the key, after a moment in which others arrive."""
    time.sleep(0.001)
    return {"y": tensors["key"] * 2}


@given(st.lists(st.integers(1, 5), min_size=2, max_size=24), st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_rows_are_never_crossed(sizes: list[int], max_rows: int) -> None:
    """Every caller gets the answers to its own unique keys, whatever the others ask at the same time."""
    backend = FakeBackend(doubled)
    batching = BatchingBackend(backend, max_waiting=100, max_rows=max_rows)
    starts = np.cumsum([0, *sizes[:-1]])
    calls = [{"key": np.arange(start, start + size)} for start, size in zip(starts, sizes, strict=True)]
    with ThreadPoolExecutor(len(calls)) as pool:
        answers = list(pool.map(batching.predict, calls))

    assert all((answer["y"] == call["key"] * 2).all() for call, answer in zip(calls, answers, strict=True))
    assert sum(backend.rows) == sum(sizes) and max(backend.rows) <= max(max_rows, *sizes)


class Gate:
    """A backend function that says when it is entered, and waits to be let on."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()

    def __call__(self, tensors: Tensors) -> Tensors:
        self.entered.release()
        assert self.open.wait(10)
        if (tensors["key"] < 0).any():
            raise ValuesRefused("negative")
        return {"y": tensors["key"]}


def key(*values: int) -> Tensors:
    return {"key": np.array(values)}


def wait_until(batching: BatchingBackend, waiting: int) -> None:
    deadline = time.monotonic() + 5
    while len(batching._waiting) < waiting and time.monotonic() < deadline:
        time.sleep(0.001)


def test_who_waits_is_answered_together() -> None:
    """One call under way, five behind it: two calls in all."""
    gate = Gate()
    backend = FakeBackend(gate)
    batching = BatchingBackend(backend, max_waiting=10)
    with ThreadPoolExecutor(6) as pool:
        calls = [pool.submit(batching.predict, key(0))]
        gate.entered.acquire(timeout=5)
        calls += [pool.submit(batching.predict, key(n, n)) for n in range(1, 6)]
        wait_until(batching, 5)
        gate.open.set()
        answers = [call.result()["y"].tolist() for call in calls]

    assert answers == [[0], *([n, n] for n in range(1, 6))]
    assert backend.rows == [1, 10]


def test_an_idle_backend_is_asked_at_once() -> None:
    """A caller alone goes straight through: its very arrays reach the backend."""
    seen: list[Tensors] = []
    batching = BatchingBackend(
        FakeBackend(lambda tensors: seen.append(tensors) or {"y": tensors["key"]}), max_waiting=10
    )
    asked = key(1)

    assert batching.predict(asked)["y"].tolist() == [1] and seen[0] is asked


def test_one_callers_bad_value_is_nobody_elses_error() -> None:
    """A batch that fails is asked again caller by caller."""
    gate = Gate()
    batching = BatchingBackend(FakeBackend(gate), max_waiting=10)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(batching.predict, key(0))
        gate.entered.acquire(timeout=5)
        good, bad, other = (pool.submit(batching.predict, key(n)) for n in (1, -1, 2))
        wait_until(batching, 3)
        gate.open.set()

        assert [call.result()["y"].tolist() for call in (first, good, other)] == [[0], [1], [2]]
        assert isinstance(bad.exception(), ValuesRefused)


def test_the_queue_has_an_end_and_a_deadline_is_kept_in_it() -> None:
    """One too many is told so at once; one whose time is over leaves without having been asked for."""
    gate = Gate()
    backend = FakeBackend(gate)
    batching = BatchingBackend(backend, max_waiting=1)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(batching.predict, key(0))
        gate.entered.acquire(timeout=5)
        late = pool.submit(batching.predict, key(1), time.monotonic() + 0.2)
        wait_until(batching, 1)
        with pytest.raises(Overloaded):
            batching.predict(key(2))
        assert isinstance(late.exception(5), DeadlineExceeded)
        gate.open.set()
        first.result(5)

    assert backend.rows == [1]
    assert batching.predict(key(3))["y"].tolist() == [3]


def test_an_output_that_has_not_a_row_per_instance_is_asked_for_alone() -> None:
    """Such answers cannot be told apart: each caller gets the backend's own, for its check to refuse."""
    gate = Gate()
    batching = BatchingBackend(FakeBackend(lambda tensors: gate(tensors) and {"y": np.zeros(1)}), max_waiting=10)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(batching.predict, key(0))
        gate.entered.acquire(timeout=5)
        others = [pool.submit(batching.predict, key(n, n)) for n in (1, 2)]
        wait_until(batching, 2)
        gate.open.set()

        assert [call.result()["y"].shape for call in (first, *others)] == [(1,)] * 3


def test_a_failing_backend_is_left_idle() -> None:
    """After an error the next caller finds the backend free."""

    def fail(tensors: Tensors) -> Tensors:
        raise BackendError("no")

    batching = BatchingBackend(FakeBackend(fail), max_waiting=1)
    for _ in range(3):
        with pytest.raises(BackendError, match="no"):
            batching.predict(key(1))
