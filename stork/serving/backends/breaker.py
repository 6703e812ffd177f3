"""A circuit breaker: after enough failures in a row a remote is left alone for a while, then asked once."""

import threading
import time
from collections.abc import Callable

from stork.errors import BackendUnavailable


class Breaker:
    """
    Closed: all calls go through. Open, after `failures` failures in a row: none for `seconds`. Then one goes through:
    its success closes the breaker, its failure opens it again. Safe to use from any thread.
    """

    def __init__(self, failures: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.failures = failures
        self.seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._failed = 0
        self._closed_at = 0.0  # until then no call goes through, once `_failed` has reached `failures`

    def enter(self) -> None:
        """
        Ask to make a call; whoever is let through says `succeeded` or `failed` afterwards.

        Raises:
            BackendUnavailable: the breaker is open; the message says for how much longer.
        """
        with self._lock:
            if self._failed < self.failures:
                return
            left = self._closed_at - self._clock()
            if left > 0:
                raise BackendUnavailable(
                    f"not asked: {self._failed} failures in a row; it will be tried again in {left:.1f} s"
                )
            self._closed_at = self._clock() + self.seconds  # this caller is the one try; the others wait for it

    def succeeded(self) -> None:
        """The remote answered: all is well again."""
        with self._lock:
            self._failed = 0

    def failed(self) -> None:
        """The remote did not answer, or answered something that is no answer."""
        with self._lock:
            self._failed += 1
            if self._failed >= self.failures:
                self._closed_at = self._clock() + self.seconds
