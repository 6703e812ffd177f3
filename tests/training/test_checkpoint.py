"""A training that was interrupted goes on as if it had not been."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from parcels import parcel_rows, parcels

from stork.schema.frozen import Schema
from stork.training.checkpoint import Checkpoint, Course, Epoch
from stork.training.trainer import Trained, train_model
from stork.training.transform import fit_constants

SCHEMA = Schema.of(parcels())
TRAINING = msgspec.structs.replace(parcels().training, epochs=6)
ROWS = parcel_rows(300)


class Interrupted(Exception):
    """What ends a training early."""


def train(path: Path, until: int = 99) -> Trained:
    """Train with a checkpoint, and be interrupted after so many epochs."""

    def told(epoch: Epoch) -> None:
        if epoch.number == until:
            raise Interrupted

    stop = parcel_rows(100, seed=1)
    return train_model(SCHEMA, TRAINING, fit_constants(SCHEMA, "cost", ROWS), ROWS, stop, told, Checkpoint(path))


@pytest.mark.tensorflow
@pytest.mark.parametrize("until", [1, 4])
def test_an_interrupted_training_ends_with_the_same_model(tmp_path: Path, until: int) -> None:
    """Weights and every figure of every epoch are those of a training that nobody interrupted, bit for bit."""
    whole = train(tmp_path / "whole.npz")
    with pytest.raises(Interrupted):
        train(tmp_path / "lost.npz", until)
    resumed = train(tmp_path / "lost.npz")

    pairs = zip(resumed.net.get_weights(), whole.net.get_weights(), strict=True)
    assert all((one == other).all() for one, other in pairs)
    assert resumed.history == whole.history


def course(*errors: float) -> Course:
    """A course with these errors on eval."""
    return Course([], [], [], [Epoch(i + 1, 60, 0.1, 0.1, error, 0.01) for i, error in enumerate(errors)])


@pytest.mark.parametrize(
    ("errors", "over"),
    [
        ((), False),
        ((3, 2, 1), False),
        ((1, 2, 3), True),
        ((3, 1, 2), False),
        ((1, 2, float("nan")), True),
        ((2, 2, 2), True),
    ],
)
def test_early_stopping_follows_from_the_history(errors: tuple[float, ...], over: bool) -> None:
    """Two epochs without a better one end it (patience 2), as does no number; an equal error is no better."""
    assert course(*errors).is_over(msgspec.structs.replace(TRAINING, epochs=60, patience=2)) is over


def test_the_last_epoch_is_the_last() -> None:
    """A training that ran its epochs is over, however well it goes."""
    assert course(3, 2, 1).is_over(msgspec.structs.replace(TRAINING, epochs=3))


def test_a_checkpoint_keeps_a_course(tmp_path: Path) -> None:
    """What is loaded is what was saved, arrays of every shape and figures to the last bit."""
    kept = Course([np.ones((2, 3), np.float32)], [np.int64(7)], [np.zeros(4)], course(0.1, 1 / 3).history)
    Checkpoint(tmp_path / "kept.npz").save(kept)
    found = Checkpoint(tmp_path / "kept.npz").load()
    assert found is not None and found.history == kept.history
    assert (found.slots[0], found.weights[0].tolist(), found.best[0].shape) == (7, [[1.0] * 3] * 2, (4,))
