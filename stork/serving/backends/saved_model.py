"""The TensorFlow backend: answers from any SavedModel, also from those that `tf.saved_model.load` refuses."""

import math
from pathlib import Path
from typing import Any

from stork.errors import BackendError, BackendUnavailable, ConfigurationError, ValuesRefused
from stork.schema.frozen import Schema, tensor_name
from stork.schema.tensors import Array, Tensors
from stork.serving.backends.meta_graph import Signature
from stork.serving.backends.tensorflow_library import (
    INVALID_ARGUMENT,
    NOT_INSTALLED,
    TensorFlowError,
    quiet_tensorflow,
)
from stork.serving.backends.tensorflow_session import Call, Session

TAG = "serve"
MESSAGE_LENGTH = 500
HEADING = "Graph execution error:"  # before what TensorFlow has to say


def import_tensorflow() -> Any:
    """
    The module `tensorflow`, quiet.

    Raises:
        ConfigurationError: it is not installed; the message says which command installs it.
    """
    quiet_tensorflow()
    try:
        import tensorflow
    except ImportError as error:
        raise ConfigurationError(NOT_INSTALLED) from error
    tensorflow.get_logger().setLevel("ERROR")
    return tensorflow


class SavedModelBackend:
    """
    One signature of a SavedModel in a session of its own, safe to use from any thread.

    Sessions, as `tf.compat.v1.saved_model.load` opens them too, took 34 of 38 public SavedModels, `tf.saved_model.load`
    25. A call runs in the caller's thread.

    Raises:
        ConfigurationError: TensorFlow is not installed.
        BackendError: the folder cannot be loaded, or has no such signature.
    """

    name = "saved_model"

    def __init__(self, folder: Path, schema: Schema) -> None:
        try:
            session = Session(folder, TAG)
            signature = find_signature(session.signatures, schema.signature)
            names = [tensor_name(feature) for feature in schema.features]
            feeds = [graph_tensor(signature.inputs, name) for name in names]
            self._feeds = [(name, session.rank(feed)) for name, feed in zip(names, feeds, strict=True)]
            outputs = {tensor_name(output): "" for output in schema.outputs}
            outputs = {name: graph_tensor(signature.outputs, name) for name in outputs}
            # A key that is handed through: what is fed need not be fetched.
            self._passed = {name: names[feeds.index(tensor)] for name, tensor in outputs.items() if tensor in feeds}
            self._fetches = [name for name in outputs if name not in self._passed]
            self._call: Call | None = session.call(feeds, [outputs[name] for name in self._fetches])
        except (TensorFlowError, ValueError) as error:
            raise BackendError(f"{folder} cannot be loaded: {first_line(error)}") from error

    def predict(self, tensors: Tensors, deadline: float = math.inf) -> Tensors:
        """
        Every output by tensor name, as the model gives it.

        Raises:
            ValuesRefused: the model does not take these values.
            BackendError: it failed otherwise.
        """
        call = self._call
        if call is None:
            raise BackendUnavailable("this version was let go")
        try:
            answered = call([with_rank(tensors[name], rank) for name, rank in self._feeds])
        except TensorFlowError as error:
            if error.code == INVALID_ARGUMENT:
                raise ValuesRefused(f"the model does not take these values: {first_line(error)}") from error
            raise BackendError(f"the model failed: {first_line(error)}") from error
        except (TypeError, KeyError) as error:
            raise BackendError(f"the model failed: {first_line(error)}") from error
        fetched = dict(zip(self._fetches, answered, strict=True))
        return fetched | {output: tensors[name] for output, name in self._passed.items()}

    def close(self) -> None:
        """Let the session go; calls under way finish, the last of them frees it."""
        self._call = None


def find_signature(signatures: dict[str, Signature], name: str) -> Signature:
    """
    The signature of this name.

    Raises:
        ValueError: there is none; the message names those there are.
    """
    if name not in signatures:
        raise ValueError(f"the model has no signature {name!r}; it has {', '.join(sorted(signatures)) or 'none'}")
    return signatures[name]


def graph_tensor(side: dict[str, str], name: str) -> str:
    """
    The name in the graph of a signature's input or output.

    Raises:
        ValueError: there is none, or it is no plain tensor.
    """
    if name not in side:
        raise ValueError(f"the signature has no {name!r}; it has {', '.join(sorted(side)) or 'none'}")
    if not side[name]:
        raise ValueError(f"{name!r} is a sparse or composite tensor; expected a plain one")
    return side[name]


def with_rank(array: Array, rank: int | None) -> Array:
    """The same values as (n,) or (n, 1)."""
    if rank is None or array.ndim == rank:
        return array
    return array.reshape(-1, 1) if rank == 2 else array.reshape(-1)


def first_line(error: BaseException) -> str:
    """What TensorFlow says, without the graph it says it about."""
    text = str(getattr(error, "message", "") or error).removeprefix(HEADING).strip()
    return (text.splitlines() or [type(error).__name__])[0][:MESSAGE_LENGTH]
