"""A circuit breaker: after enough failures in a row a remote is left alone for a while, then asked once."""

import threading
import time
from collections.abc import Callable
from typing import Literal

from stork.errors import BackendUnavailable


class Breaker:
    """
    Closed: all calls go through. Open, after `failures` failures in a row: none for `seconds`. Then exactly one goes
    through: its success closes the breaker, its failure opens it for another `seconds`. Safe to use from any thread.
    """

    def __init__(self, failures: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.failures = failures
        self.seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._failed = 0
        self._probe_at = 0.0  # when the next call may go through, once the breaker is open
        self._probing = False

    def enter(self) -> None:
        """
        Ask to make a call; whoever is let through says `succeeded`, `failed` or `abandoned` afterwards.

        Raises:
            BackendUnavailable: the breaker is open; the message says for how much longer.
        """
        with self._lock:
            if self._failed < self.failures:
                return
            left = self._probe_at - self._clock()
            if left > 0:
                raise BackendUnavailable(f"{self._refusal()}; it will be tried again in {left:.1f} s")
            if self._probing:
                raise BackendUnavailable(f"{self._refusal()}; one request is finding out whether it is back")
            self._probing = True

    def succeeded(self) -> None:
        """The remote answered: all is well again."""
        with self._lock:
            self._failed = 0
            self._probing = False

    def failed(self) -> None:
        """The remote did not answer, or answered something that is no answer."""
        with self._lock:
            self._failed += 1
            self._probing = False
            self._probe_at = self._clock() + self.seconds

    def abandoned(self) -> None:
        """The caller stopped waiting before the remote was late: that says nothing about the remote."""
        with self._lock:
            self._probing = False

    def state(self) -> Literal["closed", "open", "half_open"]:
        """What the next call would meet; half open: one call is finding out, or may."""
        with self._lock:
            if self._failed < self.failures:
                return "closed"
            return "half_open" if self._probing or self._probe_at <= self._clock() else "open"

    def _refusal(self) -> str:
        return f"not asked, after {self._failed} failures in a row"
