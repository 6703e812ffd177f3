"""What a person at a terminal sees of a run: a line for all that is said, and how far a step that takes longer is."""

import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from stork.store.runs import UNKNOWN, Expected, StepRecord

PATIENCE = 1.0  # seconds a step may take before it shows how far it is
REDRAWN = 0.2
WIDTH = 20  # of a bar, in characters: all of it fits a terminal of 80
ERASE = "\r\x1b[2K"


class Terminal:
    """
    A line per step and per thing said; below it, of a step that takes longer than a second, a bar with an estimate.

    Where stderr is no terminal there are the lines only, and no control character.
    """

    def __init__(self, margin: str = "  ") -> None:
        self.margin = margin  # of lines and bars, below the step's name
        self.lock = threading.Lock()
        self.shows = sys.stderr.isatty()
        self.step, self.began, self.expected = "", 0.0, UNKNOWN
        self.part = Part()
        self.over = threading.Event()
        self.ticking: threading.Thread | None = None
        self.drawn = False

    def begin(self, step: str, expected: Expected = UNKNOWN) -> None:
        click.echo(click.style(step, bold=True))
        self.start(step, expected)

    def start(self, step: str, expected: Expected) -> None:
        """Show from now on how far it is."""
        self.step, self.began, self.expected, self.part = step, time.monotonic(), expected, Part()
        if self.shows:
            self.over = threading.Event()
            self.ticking = threading.Thread(target=self.tick, args=(self.over,), daemon=True)
            self.ticking.start()

    def say(self, line: str) -> None:
        with self.lock:
            self.erase()
            click.echo(f"{self.margin}{line}")

    def progress(self, done: int, total: int) -> None:
        with self.lock:
            self.part = self.part.reached(done, total, time.monotonic())

    def stop(self) -> None:
        """Show nothing more, and leave nothing of the bar."""
        self.over.set()
        if self.ticking is not None:
            self.ticking.join()
        self.erase()

    def end(self, record: StepRecord) -> None:
        self.stop()
        if record.status == "skipped":
            click.echo(f"  skipped: the same was done in run {record.run}")
        elif record.status == "succeeded":
            click.echo(f"  done in {record.seconds:.1f} s")

    def tick(self, over: threading.Event) -> None:
        """Draw anew until the step is over."""
        while not over.wait(REDRAWN):
            with self.lock:
                now = time.monotonic()
                if now - self.began > PATIENCE and not over.is_set():
                    line = f"{self.margin}{self.step}  {self.part.text(now, now - self.began, self.expected)}"
                    sys.stderr.write(ERASE + line[: shutil.get_terminal_size().columns - 1])
                    sys.stderr.flush()
                    self.drawn = True

    def erase(self) -> None:
        """Make room for a line where the bar is."""
        if self.drawn:
            sys.stdout.flush()
            sys.stderr.write(ERASE)
            sys.stderr.flush()
            self.drawn = False


class Part:
    """How much of a part of a step is done, as the step says; a step has one part after the other, or tells of none."""

    def __init__(
        self, done: int = 0, total: int = 0, first: int = 0, began: float = 0.0, at: float | None = None
    ) -> None:
        self.done, self.total, self.first, self.began = done, total, first, began
        self.at = began if at is None else at  # when so much was done

    def reached(self, done: int, total: int, now: float) -> "Part":
        """The same part further on; another one where less is done than before, or of something else."""
        if total != self.total or done < self.done:
            return Part(done, total, done, now)
        return Part(done, total, self.first, self.began, now if done > self.done else self.at)

    def left(self, now: float) -> float | None:
        """
        Seconds, at the pace so far, of which none before the first piece is done.

        While a piece takes its time they run down, but not below what those after it will take.

        >>> [Part(2, 4, 0, 0.0, 20.0).left(now) for now in (20.0, 25.0, 90.0)]
        [20.0, 15.0, 10.0]
        """
        gained = self.done - self.first
        if not gained:
            return None
        pace = (self.at - self.began) / gained
        return max(pace * (self.total - self.done) - (now - self.at), pace * (self.total - self.done - 1))

    def text(self, now: float, seconds: float, expected: Expected) -> str:
        """
        A bar and an estimate, after so many seconds of the step: by what it said, else by what is `expected` of it.

        >>> last, guess = Expected(8.0, "last time"), Expected(8.0)
        >>> Part(5, 10, 0, 100.0, 103.0).text(103.0, 4.0, guess)
        '[##########----------]  50%  about 3 s left'
        >>> Part().text(103.0, 4.0, last)
        '[##########----------]  50%  about 4 s left, by last time'
        >>> Part().text(103.0, 4.0, guess)
        '[##########----------]  50%  about 4 s left, by a guess'
        >>> Part().text(103.0, 9.0, last)
        '9 s, by last time it would take 8 s'
        """
        usual, by = expected
        left = self.left(now) if self.done < self.total else None
        if left is None and seconds < usual:
            return f"{bar(seconds / usual, usual - seconds)}, by {by}"
        if 0 < self.done < self.total:
            return bar(self.done / self.total, left)
        return f"{seconds:.0f} s, by {by} it would take {told(usual)}" if usual else f"{seconds:.0f} s"


def bar(share: float, left: float | None) -> str:
    """A share from 0 to 1 as a picture, and the seconds that are left, where they are known."""
    full = round(share * WIDTH)
    estimate = "" if left is None else f"  about {told(left)} left"
    return f"[{'#' * full}{'-' * (WIDTH - full)}] {share:4.0%}{estimate}"


def told(seconds: float) -> str:
    """
    A time as a person says it.

    >>> told(7.6), told(200.0), told(9000.0)
    ('8 s', '3 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@contextmanager
def waiting(what: str, expected: Expected) -> Iterator[Terminal]:
    """A verb that is no step: the same bar while it is at work; what is said meanwhile has no margin."""
    terminal = Terminal(margin="")
    terminal.start(what, expected)
    try:
        yield terminal
    finally:
        terminal.stop()


class Silence:
    """A program, which reads the record at the end."""

    def begin(self, step: str, expected: Expected = UNKNOWN) -> None:
        pass

    def say(self, line: str) -> None:
        pass

    def progress(self, done: int, total: int) -> None:
        pass

    def end(self, record: StepRecord) -> None:
        pass
