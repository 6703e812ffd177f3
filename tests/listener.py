"""Whoever listens to a run in a test: it keeps what is said."""

from dataclasses import dataclass, field

from stork.store.runs import UNKNOWN, Expected, StepRecord


@dataclass
class Listener:
    """Keeps what a run says, and that no more is done than there is."""

    said: list[str] = field(default_factory=list)

    def begin(self, step: str, expected: Expected = UNKNOWN) -> None:
        self.said.append(step)

    def say(self, line: str) -> None:
        self.said.append(line)

    def progress(self, done: int, total: int) -> None:
        assert 0 <= done <= total

    def end(self, record: StepRecord) -> None:
        self.said.append(record.status)
