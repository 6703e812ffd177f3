"""Training: seeded, stopped early on the eval split, with missing values it has been shown."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stork.data.sources import Rows
from stork.declaration import Training
from stork.errors import DataError
from stork.schema.frozen import Schema, tensor_name
from stork.schema.tensors import Tensors, compile_encoder, encode_columns, encoding_table
from stork.training.model import build_model
from stork.training.transform import Transform

# How often an optional feature that is known is hidden in training: serving may lack what every training row has.
HIDE = 0.25

Progress = Callable[[int, int, float], None]  # epoch (from 1), epochs at most, eval RMSE in the label's unit


@dataclass(frozen=True)
class Trained:
    """A fitted model: raw tensors to the label, in its own unit. `mean` and `sd` are the training labels'."""

    transform: Transform
    net: Any
    mean: float
    sd: float
    range: tuple[float, float]
    epochs: int

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


def encode_rows(schema: Schema, rows: Rows) -> Tensors:
    """The rows as the tensors a request would become."""
    return encode_columns([(f.name, tensor_name(f), compile_encoder(f)) for f in schema.features], rows.columns)


def train_model(schema: Schema, training: Training, train: Rows, stop: Rows, progress: Progress) -> Trained:
    """
    A model fitted on `train`; `stop` decides when to end, and which epoch's weights to keep.

    Raises:
        DataError: a split is empty.
    """
    import keras

    if not len(train) or not len(stop):
        raise DataError(f"expected rows to train on and to stop by, received {len(train)} and {len(stop)}")
    keras.utils.set_random_seed(training.seed)
    transform = Transform(schema, encode_rows(schema, train))
    mean, sd = float(train.label.mean()), float(train.label.std()) or 1.0
    low, high = next(o for o in schema.outputs if o.name == training.label).range or (-np.inf, np.inf)
    wide, deep = transform(encode_rows(schema, stop))
    net = build_model(int(wide.shape[1]), int(deep.shape[1]), training, ((low - mean) / sd, (high - mean) / sd))
    steps = training.epochs * -(-len(train) // training.batch_size)
    rate = keras.optimizers.schedules.CosineDecay(training.learning_rate, steps)
    net.compile(optimizer=keras.optimizers.Adam(rate), loss="mse", metrics=["mse"])
    stopping = keras.callbacks.EarlyStopping(
        "val_mse", mode="min", patience=training.patience, restore_best_weights=True
    )
    told = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: progress(epoch + 1, training.epochs, float(logs["val_mse"]) ** 0.5 * sd)
    )
    history = net.fit(
        make_batches(schema, training, transform, train),
        validation_data=((wide, deep), (stop.label - mean) / sd),
        epochs=training.epochs,
        callbacks=[stopping, told],
        shuffle=False,  # the dataset shuffles
        verbose=0,
    )
    return Trained(transform, net, mean, sd, (low, high), len(history.epoch))


def make_batches(schema: Schema, training: Training, transform: Transform, rows: Rows) -> Any:
    """A dataset of ((wide, deep), label in standard deviations); each epoch shuffles and hides anew."""
    import tensorflow as tf

    target = (rows.label - rows.label.mean()) / (rows.label.std() or 1.0)
    batches = tf.data.Dataset.from_tensor_slices((encode_rows(schema, rows), target.astype(np.float32)))
    batches = batches.shuffle(len(rows), seed=training.seed).batch(training.batch_size)
    hide = hide_some(schema, training.seed)
    return batches.map(lambda tensors, label: (transform(hide(tensors)), label)).prefetch(2)


def hide_some(schema: Schema, seed: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A function that makes some known values of optional features missing, so that the model knows what missing is."""
    import tensorflow as tf

    optional = [feature for feature in schema.features if not feature.required]

    def hide(tensors: dict[str, Any]) -> dict[str, Any]:
        hidden = dict(tensors)
        for index, feature in enumerate(optional):
            column = tensors[tensor_name(feature)]
            missing = tf.constant(encoding_table(feature)[None], column.dtype)
            chosen = tf.random.uniform(tf.shape(column), seed=seed + index) < HIDE
            hidden[tensor_name(feature)] = tf.where(chosen, missing, column)
        return hidden

    return hide
