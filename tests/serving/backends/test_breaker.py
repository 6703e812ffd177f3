"""The circuit breaker leaves a failing remote alone, and finds out by one call whether it is back."""

import pytest

from stork.errors import BackendUnavailable
from stork.serving.backends.breaker import Breaker


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def broken(clock: Clock) -> Breaker:
    breaker = Breaker(failures=3, seconds=10, clock=clock)
    for _ in range(3):
        breaker.enter()
        breaker.failed()
    return breaker


def test_it_opens_after_failures_in_a_row() -> None:
    """The third failure is the last call for a while; the refusal says for how long."""
    with pytest.raises(BackendUnavailable, match=r"3 failures in a row; it will be tried again in 10\.0 s"):
        broken(Clock()).enter()


def test_a_success_in_between_starts_the_count_anew() -> None:
    """Only failures in a row count."""
    breaker = Breaker(failures=2, seconds=10)
    for _ in range(5):
        breaker.failed()
        breaker.succeeded()

    breaker.enter()
    assert breaker._failed == 0


def test_one_call_goes_through_after_the_pause() -> None:
    """The others go on waiting for what that one finds."""
    clock = Clock()
    breaker = broken(clock)
    clock.now = 10.1
    breaker.enter()

    with pytest.raises(BackendUnavailable):
        breaker.enter()


@pytest.mark.parametrize("recovers", [True, False])
def test_that_call_decides(recovers: bool) -> None:
    """Its success closes the breaker, its failure opens it for another pause."""
    clock = Clock()
    breaker = broken(clock)
    clock.now = 10.1
    breaker.enter()
    (breaker.succeeded if recovers else breaker.failed)()

    if recovers:
        breaker.enter()
    else:
        with pytest.raises(BackendUnavailable):
            breaker.enter()
    assert breaker._failed == (0 if recovers else 4)
