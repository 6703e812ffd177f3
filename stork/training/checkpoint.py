"""How far a training came, and the file that keeps it, so that it goes on after a kill as if there had been none."""

import io
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from stork.declaration import Training
from stork.schema.tensors import Array
from stork.store.files import write_atomically

LISTS = ("weights", "slots", "best")  # of arrays, in a course


@dataclass(frozen=True)
class Epoch:
    """
    What came of an epoch: its number, from 1, of at most `epochs`.

    `train_loss` and `eval_loss` are mean squared errors in squared standard deviations of the label, the first taken
    while learning, of rows some of whose values were hidden. `eval_rmse` is in the label's unit; `learning_rate` that
    of the last batch.
    """

    number: int
    epochs: int
    train_loss: float
    eval_loss: float
    eval_rmse: float
    learning_rate: float


@dataclass(frozen=True)
class Course:
    """
    All that decides how a training goes on: weights, the optimizer's slots, the best weights so far, what was seen.

    Early stopping has no state of its own: it follows from the history.
    """

    weights: list[Array]
    slots: list[Array]
    best: list[Array]
    history: list[Epoch]

    @property
    def best_rmse(self) -> float:
        """The smallest error on eval so far."""
        return smallest_error(self.history)

    def is_over(self, training: Training) -> bool:
        """Whether it ran its epochs, did not get better for `patience` of them, or has nothing finite left to learn."""
        if not self.history:
            return False
        errors = [epoch.eval_rmse for epoch in self.history]
        if len(errors) >= training.epochs or not np.isfinite(errors[-1]):
            return True
        return len(errors) - 1 - int(np.argmin(errors)) >= training.patience


def smallest_error(history: Iterable[Epoch]) -> float:
    """The smallest RMSE on eval; NaN where there was none, or none was finite."""
    return min((epoch.eval_rmse for epoch in history if np.isfinite(epoch.eval_rmse)), default=float("nan"))


class Checkpoint:
    """One file of arrays (.npz), replaced after every epoch in one step; `found` is what an earlier try left in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, course: Course) -> None:
        """Keep a course."""
        arrays = {f"{name} {i:03}": array for name in LISTS for i, array in enumerate(getattr(course, name))}
        stream = io.BytesIO()
        np.savez(stream, history=np.array([astuple(epoch) for epoch in course.history]), **arrays)
        write_atomically(self.path, stream.getvalue())

    @cached_property
    def found(self) -> Course | None:
        """What was kept before this try, read once."""
        return self.load()

    def load(self) -> Course | None:
        """What was kept last; None where nothing was."""
        if not self.path.is_file():
            return None
        with np.load(self.path, allow_pickle=False) as kept:
            lists = {name: [kept[key] for key in sorted(kept) if key.startswith(name)] for name in LISTS}
            rows = kept["history"].tolist()
        return Course(history=[Epoch(int(number), int(epochs), *rest) for number, epochs, *rest in rows], **lists)

    def remove(self) -> None:
        """What it kept is not needed any more."""
        self.path.unlink(missing_ok=True)
