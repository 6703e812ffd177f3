"""The gunicorn worker around the desk: what of it needs no server."""

import os
import signal
import time

from stork.web.worker import WATCH_SECONDS, DeskWorker


def test_signals_wake_the_worker_and_never_hang_it() -> None:
    """Thousands of them, wherever they meet it; afterwards it sleeps as before."""
    worker = DeskWorker.__new__(DeskWorker)
    worker.PIPE = os.pipe()
    for end in worker.PIPE:
        os.set_blocking(end, False)
    before = signal.signal(signal.SIGALRM, worker.handle_exit)
    woken = signal.set_wakeup_fd(worker.PIPE[1])
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
    try:
        until, rounds = time.monotonic() + 1.0, 0
        while time.monotonic() < until:
            worker._sleep()
            rounds += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.set_wakeup_fd(woken)
        signal.signal(signal.SIGALRM, before)
    worker._sleep()
    began = time.monotonic()
    worker._sleep()
    slept = time.monotonic() - began
    for end in worker.PIPE:
        os.close(end)

    assert rounds > 200 and slept > WATCH_SECONDS / 2 and worker.alive is False
