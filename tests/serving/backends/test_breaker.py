"""The circuit breaker leaves a failing remote alone, and finds out by one call whether it is back."""

import threading

import pytest
from fakes import Clock

from stork.errors import BackendUnavailable
from stork.serving.backends.breaker import Breaker


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def broken(clock: Clock) -> Breaker:
    """A breaker that has just opened, for 10 seconds."""
    breaker = Breaker(failures=3, seconds=10, clock=clock)
    for _ in range(3):
        breaker.enter()
        breaker.failed()
    return breaker


def lets_through(breaker: Breaker) -> bool:
    try:
        breaker.enter()
    except BackendUnavailable:
        return False
    return True


def test_it_opens_after_failures_in_a_row(broken: Breaker) -> None:
    """The third failure is the last call for a while; the refusal says for how long."""
    with pytest.raises(BackendUnavailable, match=r"after 3 failures in a row; it will be tried again in 10\.0 s"):
        broken.enter()


def test_a_success_in_between_starts_the_count_anew(clock: Clock) -> None:
    """Only failures in a row count."""
    breaker = Breaker(failures=2, seconds=10, clock=clock)
    for _ in range(5):
        breaker.failed()
        breaker.succeeded()

    assert lets_through(breaker)


def test_nothing_goes_through_before_the_pause_is_over(broken: Breaker, clock: Clock) -> None:
    """Not a moment earlier."""
    clock.now = 9.9
    early = lets_through(broken)
    clock.now = 10.0

    assert (early, lets_through(broken)) == (False, True)


def test_exactly_one_call_finds_out(broken: Breaker, clock: Clock) -> None:
    """Of eight threads at once one goes through, and however long it takes no other does."""
    clock.now = 10.0
    start, through = threading.Barrier(8), []

    def ask() -> None:
        start.wait()
        through.append(lets_through(broken))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clock.now = 1000.0

    assert sum(through) == 1
    with pytest.raises(BackendUnavailable, match="one request is finding out"):
        broken.enter()


def test_its_success_closes_the_breaker(broken: Breaker, clock: Clock) -> None:
    """Calls go through again, and a single failure does not open it."""
    clock.now = 10.0
    broken.enter()
    broken.succeeded()
    broken.failed()

    assert lets_through(broken) and lets_through(broken)


def test_its_failure_opens_it_for_another_pause(broken: Breaker, clock: Clock) -> None:
    """One failure is enough then, and one call goes through after it."""
    clock.now = 10.0
    broken.enter()
    broken.failed()
    clock.now = 19.9
    early = lets_through(broken)
    clock.now = 20.0

    assert (early, lets_through(broken), lets_through(broken)) == (False, True, False)


def test_an_abandoned_call_says_nothing_about_the_remote(broken: Breaker, clock: Clock) -> None:
    """It counts neither as a failure nor as a success, and the next call may find out."""
    clock.now = 10.0
    broken.enter()
    broken.abandoned()

    assert (lets_through(broken), lets_through(broken)) == (True, False)
