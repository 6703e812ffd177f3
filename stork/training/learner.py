"""One epoch: the rows in an order of its own, some values hidden, the net a step further with each batch."""

from typing import Any

import numpy as np

from stork.data.sources import Rows
from stork.declaration import Training
from stork.errors import DataError
from stork.schema.frozen import Schema, tensor_name
from stork.schema.tensors import Array, encoding_table
from stork.training.checkpoint import Course, Epoch
from stork.training.transform import Transform, encode_rows

# How often an optional feature that is known is hidden in training: serving may lack what every training row has.
HIDE = 0.25


class Learner:
    """A net, its optimizer, and the rows they learn from and are judged by, as tensors."""

    def __init__(
        self, schema: Schema, training: Training, transform: Transform, net: Any, train: Rows, stop: Rows
    ) -> None:
        import keras
        import tensorflow as tf

        self.schema, self.training, self.transform, self.net = schema, training, transform, net
        self.rows = {name: tf.constant(column) for name, column in encode_rows(schema, train).items()}
        self.scale = transform.constants.label
        self.target = tf.constant(self.scale.standardise(train.label))
        self.weight = tf.constant(relative_weights(train))
        self.stop = list(transform(encode_rows(schema, stop)))
        self.stop_target, self.stop_weight = self.scale.standardise(stop.label), relative_weights(stop)
        batches = -(-len(train) // training.batch_size)
        rate = keras.optimizers.schedules.CosineDecay(training.learning_rate, training.epochs * batches)
        self.optimizer = keras.optimizers.Adam(rate)
        self.optimizer.build(net.trainable_variables)
        self.learn = tf.function(
            self.learn_batch, input_signature=[tf.TensorSpec([None], tf.int64), tf.TensorSpec([2], tf.int64)]
        )

    def run_epoch(self, course: Course) -> Course:
        """The course one epoch further."""
        number = len(course.history) + 1
        order = np.random.default_rng((self.training.seed, number)).permutation(len(self.target))
        losses = []
        for start in range(0, len(order), self.training.batch_size):
            chosen = order[start : start + self.training.batch_size]
            losses.append(float(self.learn(chosen, np.array([number, start]))) * len(chosen))
        eval_loss = self.judge()
        rmse = eval_loss**0.5 * self.scale.sd
        rate = float(self.optimizer.learning_rate)
        epoch = Epoch(number, self.training.epochs, sum(losses) / len(order), eval_loss, rmse, rate)
        weights = self.weights()
        better = not course.history or rmse < course.best_rmse
        best = weights if better else course.best
        return Course(weights, self.slots(), best, [*course.history, epoch])

    def learn_batch(self, chosen: Any, turn: Any) -> Any:
        """
        One step of the optimizer on the rows of these numbers, shape (b,); their weighted mean squared error.

        `turn`, shape (2,), decides what is hidden: no two batches of a training have the same.
        """
        import tensorflow as tf

        tensors = {name: tf.gather(column, chosen) for name, column in self.rows.items()}
        inputs = self.transform(hide_some(self.schema, tensors, self.training.seed, turn))
        with tf.GradientTape() as tape:
            score = tf.reshape(self.net(list(inputs), training=True), [-1])  # (b, 1) -> (b,)
            squared = tf.square(score - tf.gather(self.target, chosen)) * tf.gather(self.weight, chosen)
            loss = tf.reduce_mean(squared)
            penalised = tf.add_n([loss, *self.net.losses])
        variables = [variable.value for variable in self.net.trainable_variables]
        self.optimizer.apply_gradients(
            zip(tape.gradient(penalised, variables), self.net.trainable_variables, strict=True)
        )
        return loss

    def judge(self) -> float:
        """The weighted mean squared error on eval, in squared standard deviations."""
        score = self.net(self.stop, training=False).numpy().ravel()  # (n, 1) -> (n,)
        return float(np.average((score - self.stop_target) ** 2, weights=self.stop_weight))

    def weights(self) -> list[Array]:
        """A copy of the net's weights."""
        found: list[Array] = self.net.get_weights()
        return found

    def slots(self) -> list[Array]:
        """A copy of what the optimizer remembers: how many steps it made, and its moments."""
        return [variable.numpy() for variable in self.optimizer.variables]

    def restore(self, course: Course) -> None:
        """Go back to where a course was left."""
        self.net.set_weights(course.weights)
        for variable, value in zip(self.optimizer.variables, course.slots, strict=True):
            variable.assign(value)


def relative_weights(rows: Rows) -> Array:
    """
    What each row counts, 1 on average, shape (n,).

    Raises:
        DataError: no row counts anything.
    """
    if rows.weights is None:
        return np.ones(len(rows), np.float32)
    if not rows.weights.any():
        raise DataError(f"{'; '.join(rows.source)}: expected a row whose weight is more than 0, received none")
    relative: Array = (rows.weights / rows.weights.mean()).astype(np.float32)
    return relative


def hide_some(schema: Schema, tensors: dict[str, Any], seed: int, turn: Any) -> dict[str, Any]:
    """
    The tensors with some known values of optional features made missing, so that the model knows what missing is.

    Which ones follows from the seed and the turn, two whole numbers.
    """
    import tensorflow as tf

    hidden = dict(tensors)
    optional = [feature for feature in schema.features if not feature.required]
    for index, feature in enumerate(optional):
        column = tensors[tensor_name(feature)]
        missing = tf.constant(encoding_table(feature)[None], column.dtype)
        key = turn * tf.constant([len(optional), 1], tf.int64) + tf.constant([seed + index, 0], tf.int64)
        chosen = tf.random.stateless_uniform(tf.shape(column), seed=key) < HIDE
        hidden[tensor_name(feature)] = tf.where(chosen, missing, column)
    return hidden
