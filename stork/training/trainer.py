"""
Training: seeded, stopped early on the eval split, with missing values it has been shown.

Between two epochs all that decides how it goes on is in a `Course`, which a checkpoint keeps; the order of the rows and
what is hidden from the net follow from the seed and the epoch's number. So a training that was killed goes on to the
same weights that it would have reached.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stork.data.sources import Rows
from stork.declaration import Training
from stork.errors import DataError
from stork.schema.frozen import Schema
from stork.schema.tensors import Tensors
from stork.training.checkpoint import Checkpoint, Course, Epoch
from stork.training.learner import Learner
from stork.training.model import build_model
from stork.training.transform import Constants, Transform, encode_rows

Told = Callable[[Epoch], None]


@dataclass(frozen=True)
class Trained:
    """A fitted model: raw tensors to the label, in its own unit. `mean` and `sd` are the training labels'."""

    transform: Transform
    net: Any
    mean: float
    sd: float
    range: tuple[float, float]
    history: tuple[Epoch, ...]

    def __call__(self, tensors: dict[str, Any]) -> Any:
        """The label, shape (n,), never outside the output's declared range: this function is what is exported."""
        import tensorflow as tf

        score = self.net(list(self.transform(tensors)), training=False)  # (n, 1)
        return tf.clip_by_value(tf.reshape(score, [-1]) * self.sd + self.mean, *self.range)  # (n, 1) -> (n,)

    def predict(self, tensors: Tensors) -> npt.NDArray[np.float32]:
        """The label for raw tensors, shape (n,)."""
        import tensorflow as tf

        found: npt.NDArray[np.float32] = self({name: tf.constant(value) for name, value in tensors.items()}).numpy()
        return found


def train_model(
    schema: Schema,
    training: Training,
    constants: Constants,
    train: Rows,
    stop: Rows,
    told: Told = lambda epoch: None,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """
    A model fitted on `train`; `stop` decides when to end, and which epoch's weights to keep.

    `told` hears of every epoch when it is over, and may end the training by raising. Where the checkpoint holds a
    course, it goes on from there.

    Raises:
        DataError: a split is empty, or the error on `stop` was no finite number from the first epoch on.
    """
    import keras

    if not len(train) or not len(stop):
        raise DataError(f"expected rows to train on and to stop by, received {len(train)} and {len(stop)}")
    keras.utils.set_random_seed(training.seed)
    transform, scale = Transform(schema, constants), constants.label
    low, high = next(o for o in schema.outputs if o.name == scale.name).range or (-np.inf, np.inf)
    wide, deep = transform(encode_rows(schema, stop.select(np.arange(len(stop)) < 1)))
    limits = (low - scale.mean) / scale.sd, (high - scale.mean) / scale.sd
    net = build_model(int(wide.shape[1]), int(deep.shape[1]), training, limits)
    learner = Learner(schema, training, transform, net, train, stop)
    course = checkpoint.found if checkpoint else None
    if course:
        learner.restore(course)
    course = course or Course(learner.weights(), learner.slots(), learner.weights(), [])
    while not course.is_over(training):
        course = learner.run_epoch(course)
        if checkpoint:
            checkpoint.save(course)
        told(course.history[-1])
    if not np.isfinite(course.best_rmse):
        raise DataError(
            f"expected a finite error on eval, received {course.best_rmse} in every epoch; "
            f"[training] learning_rate {training.learning_rate} may be too large"
        )
    net.set_weights(course.best)
    return Trained(transform, net, scale.mean, scale.sd, (low, high), tuple(course.history))
