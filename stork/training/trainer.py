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
from stork.schema.tensors import Tensors, compile_encoder, encode_columns
from stork.training.model import build_model
from stork.training.transform import Transform

# How often an optional feature that is known is hidden in training: serving may lack what every training row has.
HIDE = 0.1

Progress = Callable[[int, int, float], None]  # epoch (from 1), epochs at most, eval RMSE in the label's unit


@dataclass(frozen=True)
class Trained:
    """A fitted model: raw tensors to the label, in its own unit."""

    transform: Transform
    net: Any
    mean: float
    sd: float
    range: tuple[float, float]
    epochs: int

    def __call__(self, tensors: dict[str, Any]) -> Any:
        """The label, shape (n,), never outside the output's declared range: this function is what is exported."""
        import tensorflow as tf

        standard = self.net(list(self.transform(tensors)), training=False)  # (n, 1)
        return tf.clip_by_value(tf.reshape(standard, [-1]) * self.sd + self.mean, *self.range)

    def predict(self, tensors: Tensors) -> npt.NDArray[np.float32]:
        """The label for raw tensors, shape (n,)."""
        found: npt.NDArray[np.float32] = self(tensors).numpy()
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
    import tensorflow as tf

    if not len(train) or not len(stop):
        raise DataError(f"expected rows to train on and to stop by, received {len(train)} and {len(stop)}")
    keras.utils.set_random_seed(training.seed)
    label = next(o for o in schema.outputs if o.name == training.label)
    raw, raw_stop = encode_rows(schema, train), encode_rows(schema, stop)
    transform = Transform(schema, raw)
    mean, sd = float(train.label.mean()), float(train.label.std()) or 1.0

    target = tf.constant((train.label - mean) / sd, tf.float32)
    batches = tf.data.Dataset.from_tensor_slices((raw, target)).shuffle(len(train), seed=training.seed)
    batches = batches.batch(training.batch_size).map(hide_some(schema, training.seed))
    batches = batches.map(lambda tensors, wanted: (transform(tensors), wanted)).prefetch(2)
    validation = (transform(raw_stop), (stop.label - mean) / sd)
    wide, deep = validation[0]
    low, high = label.range or (float("-inf"), float("inf"))
    net = build_model(int(wide.shape[1]), int(deep.shape[1]), training, ((low - mean) / sd, (high - mean) / sd))
    steps = training.epochs * -(-len(train) // training.batch_size)
    rate = keras.optimizers.schedules.CosineDecay(training.learning_rate, steps)
    net.compile(optimizer=keras.optimizers.Adam(rate), loss="mse", metrics=["mse"])
    stopping = keras.callbacks.EarlyStopping("val_mse", patience=training.patience, restore_best_weights=True)
    told = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: progress(epoch + 1, training.epochs, float(logs["val_mse"]) ** 0.5 * sd)
    )
    history = net.fit(
        batches, validation_data=validation, epochs=training.epochs, verbose=0, shuffle=False,
        callbacks=[stopping, told],
    )  # fmt: skip
    return Trained(transform, net, mean, sd, (low, high), len(history.epoch))


def hide_some(schema: Schema, seed: int) -> Callable[[Any, Any], Any]:
    """A function that makes some known values of optional features missing, so that the model knows what missing is."""
    import tensorflow as tf

    optional = [feature for feature in schema.features if not feature.required]

    def hide(tensors: dict[str, Any], wanted: Any) -> Any:
        hidden = dict(tensors)
        for index, feature in enumerate(optional):
            name = tensor_name(feature)
            column = tensors[name]
            missing = tf.fill(tf.shape(column), tf.constant(feature.tensor.missing, column.dtype))
            hidden[name] = tf.where(tf.random.uniform(tf.shape(column), seed=seed + index) < HIDE, missing, column)
        return hidden, wanted

    return hide
