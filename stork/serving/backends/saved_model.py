"""The TensorFlow backend: answers from any SavedModel, also from those that `tf.saved_model.load` refuses."""

import importlib.util
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from stork.errors import BackendError, BackendUnavailable, ConfigurationError, ValuesRefused
from stork.schema.frozen import Schema, tensor_name
from stork.schema.tensors import Array, Tensors

TAG = "serve"
MESSAGE_LENGTH = 500
HEADING = "Graph execution error:"  # before what TensorFlow has to say
NOT_INSTALLED = "this needs TensorFlow, which is not installed here: pip install -r requirements-tensorflow.txt"


def import_tensorflow() -> Any:
    """
    The module `tensorflow`, quiet.

    Raises:
        ConfigurationError: it is not installed; the message says which command installs it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # No faster for tables (measured), says so on stderr at each start, and sums in another order than LiteRT.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    try:
        import tensorflow
    except ImportError as error:
        raise ConfigurationError(NOT_INSTALLED) from error
    tensorflow.get_logger().setLevel("ERROR")
    return tensorflow


def require_tensorflow() -> None:
    """
    Make sure that TensorFlow is installed, without loading it.

    Raises:
        ConfigurationError: it is not; the message says which command installs it.
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise ConfigurationError(NOT_INSTALLED)


class SavedModelBackend:
    """
    One signature of a SavedModel in a session of its own, safe to use from any thread.

    The old way of loading takes 34 of 38 public SavedModels where the new one takes 25, and a call costs 56 us instead
    of 1077: https://www.tensorflow.org/api_docs/python/tf/compat/v1/saved_model/load. A call runs in the caller's
    thread.

    Raises:
        ConfigurationError: TensorFlow is not installed.
        BackendError: the folder cannot be loaded, or has no such signature.
    """

    name = "saved_model"

    def __init__(self, folder: Path, schema: Schema) -> None:
        tensorflow = import_tensorflow()
        self._refusal = tensorflow.errors.InvalidArgumentError
        self._errors = (tensorflow.errors.OpError, ValueError, TypeError, KeyError, RuntimeError, OSError)
        try:
            session = open_session(tensorflow)
            with session.graph.as_default():
                meta_graph = tensorflow.compat.v1.saved_model.load(session, [TAG], str(folder))
            signature = find_signature(meta_graph, schema.signature)
            names = [tensor_name(feature) for feature in schema.features]
            self._feeds = [(name, feed_rank(session.graph, signature.inputs, name)) for name in names]
            outputs = [tensor_name(output) for output in schema.outputs]
            self._passed = passed_through(signature, names, outputs)
            self._fetches = [output for output in outputs if output not in self._passed]
            self._call: Any = make_call(session, signature, names, self._fetches)
        except self._errors as error:
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
            answered = call(*[with_rank(tensors[name], rank) for name, rank in self._feeds])
        except self._refusal as error:
            raise ValuesRefused(f"the model does not take these values: {first_line(error)}") from error
        except self._errors as error:
            raise BackendError(f"the model failed: {first_line(error)}") from error
        fetched = dict(zip(self._fetches, map(np.asarray, answered), strict=True))
        return fetched | {output: tensors[name] for output, name in self._passed.items()}

    def close(self) -> None:
        """Let the session go; calls under way finish, the last of them frees it."""
        self._call = None


def open_session(tensorflow: Any) -> Any:
    """
    A session on a graph of its own.

    Models of this size gain nothing from a second thread; a graph pinned to a GPU runs here nevertheless.
    """
    config = tensorflow.compat.v1.ConfigProto(
        allow_soft_placement=True,
        device_count={"GPU": 0},
        intra_op_parallelism_threads=1,
        inter_op_parallelism_threads=1,
        use_per_session_threads=True,
    )
    return tensorflow.compat.v1.Session(graph=tensorflow.Graph(), config=config)


def find_signature(meta_graph: Any, name: str) -> Any:
    """
    The signature of this name.

    Raises:
        ValueError: there is none; the message names those there are.
    """
    if name not in meta_graph.signature_def:
        known = ", ".join(sorted(meta_graph.signature_def)) or "none"
        raise ValueError(f"the model has no signature {name!r}; it has {known}")
    return meta_graph.signature_def[name]


def make_call(session: Any, signature: Any, inputs: list[str], outputs: list[str]) -> Any:
    """
    A function from the inputs' arrays, in order, to the outputs' arrays.

    Raises:
        ValueError: the signature has not all of these, or one of them is no plain tensor.
    """
    from tensorflow.core.protobuf import config_pb2

    options = config_pb2.CallableOptions()
    options.feed.extend(graph_tensor(signature.inputs, name) for name in inputs)
    options.fetch.extend(graph_tensor(signature.outputs, name) for name in outputs)
    options.run_options.inter_op_thread_pool = -1  # the caller's own thread: no handing over
    return session._make_callable_from_options(options)


def passed_through(signature: Any, inputs: list[str], outputs: list[str]) -> dict[str, str]:
    """Outputs that are an input unchanged, as a key that is handed through: a session does not fetch what it is fed."""
    fed = {graph_tensor(signature.inputs, name): name for name in inputs}
    tensors = {output: graph_tensor(signature.outputs, output) for output in outputs}
    return {output: fed[tensor] for output, tensor in tensors.items() if tensor in fed}


def graph_tensor(side: Any, name: str) -> str:
    """The name in the graph of a signature's input or output."""
    if name not in side:
        raise ValueError(f"the signature has no {name!r}; it has {', '.join(sorted(side)) or 'none'}")
    if side[name].WhichOneof("encoding") != "name":
        raise ValueError(f"{name!r} is a sparse or composite tensor; expected a plain one")
    return str(side[name].name)


def feed_rank(graph: Any, side: Any, name: str) -> int | None:
    """The rank the graph takes, which is not always the one that the signature declares; None where it takes any."""
    rank: int | None = graph.get_tensor_by_name(graph_tensor(side, name)).shape.rank
    return rank


def with_rank(array: Array, rank: int | None) -> Array:
    """The same values as (n,) or (n, 1)."""
    if rank is None or array.ndim == rank:
        return array
    return array.reshape(-1, 1) if rank == 2 else array.reshape(-1)


def first_line(error: BaseException) -> str:
    """What TensorFlow says, without the graph it says it about."""
    text = str(getattr(error, "message", "") or error).removeprefix(HEADING).strip()
    return (text.splitlines() or [type(error).__name__])[0][:MESSAGE_LENGTH]
