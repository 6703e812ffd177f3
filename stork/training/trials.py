"""
A worker of `tune`, as a process of its own: it trains the values that come in, a line each, and says how it goes.

It ends when nobody answers any more.
"""

import math
import os
import sys
from pathlib import Path
from typing import BinaryIO

import msgspec

from stork.config import Settings
from stork.data.spans import find_spans, read_split
from stork.declaration import Training
from stork.errors import DataError
from stork.schema.frozen import Schema
from stork.store.registry import Registry
from stork.training.checkpoint import Epoch, smallest_error
from stork.training.trainer import train_model
from stork.training.transform import read_constants
from stork.training.workers import Assignment, Heard


class Pruned(Exception):
    """Nobody wants to know how the trial ends."""


def main() -> None:
    """Train until there is nothing more to read."""
    # Only our own lines go to the pipe; whatever a library prints goes where errors go.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    import keras

    asked = sys.stdin.buffer
    assignment = msgspec.json.decode(asked.readline(), type=Assignment)
    settings = Settings.from_environment()
    limit_threads(assignment.threads)
    declaration = Registry(settings).declaration(assignment.model)
    schema = Schema.of(declaration)
    spans = find_spans(settings, assignment.model, assignment.spans)
    constants = read_constants(Path(assignment.transform), schema, spans)
    train, stop = (read_split(declaration, spans, split) for split in ("train", "eval"))

    def told(epoch: Epoch) -> None:
        if not math.isfinite(epoch.eval_rmse):
            return  # it is the last one
        say(answers, Heard(epoch.number, epoch.eval_rmse))
        if asked.readline() != b"true\n":
            raise Pruned

    while line := asked.readline():
        training = msgspec.json.decode(line, type=Training)
        keras.utils.clear_session()  # what trials before it left in memory
        try:
            trained = train_model(schema, training, constants, train, stop, told)
        except Pruned:
            say(answers, Heard(0))
        except DataError as error:
            say(answers, Heard(0, problem=str(error)))
        else:
            say(answers, Heard(0, smallest_error(trained.history)))


def say(stream: BinaryIO, message: Heard) -> None:
    """Write a line; without a reader the process ends."""
    try:
        stream.write(msgspec.json.encode(message) + b"\n")
        stream.flush()
    except BrokenPipeError:
        os._exit(0)


def limit_threads(count: int) -> None:
    """Have TensorFlow use so many threads, so that workers do not get in each other's way."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(count)
    tf.config.threading.set_inter_op_parallelism_threads(count)


if __name__ == "__main__":
    main()
