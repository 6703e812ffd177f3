"""The SavedModel as an expert calls it from a peer's process: the part that is the same for every peer."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# As Stork sets it: no faster for tables, and it sums in another order.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

SIGNATURE = "serving_default"


class SavedModel:
    """
    One signature of the SavedModel in the folder PEER_MODEL, called the way PEER_CALL names.

    `session`: a callable of a session with one thread, as Stork's TensorFlow backend does, the fastest known way.
    `signature`: `loaded.signatures[...]` with one thread, what the handbooks say.
    """

    def __init__(self) -> None:
        folder = Path(os.environ["PEER_MODEL"])
        self.dtypes: dict[str, Any] = {}
        ways = {"session": self._open_session, "signature": self._load_signature}
        self._call = ways[os.environ.get("PEER_CALL", "session")](str(folder))
        self.predict({name: np.ones(1, dtype) for name, dtype in self.dtypes.items()})

    def predict(self, columns: Mapping[str, Any]) -> Any:
        """The model's one output, shape (n,), for columns of shape (n,) of the model's own types."""
        return self._call(columns)

    def predict_rows(self, rows: Sequence[Mapping[str, Any]]) -> Any:
        """The same for instances as JSON has them."""
        return self._call({name: np.array([row[name] for row in rows], dtype) for name, dtype in self.dtypes.items()})

    def _open_session(self, folder: str) -> Any:
        config = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
        session = tf.compat.v1.Session(graph=tf.Graph(), config=config)
        with session.graph.as_default():
            meta_graph = tf.compat.v1.saved_model.load(session, ["serve"], folder)
        signature = meta_graph.signature_def[SIGNATURE]
        self.dtypes = {name: tf.as_dtype(info.dtype).as_numpy_dtype for name, info in signature.inputs.items()}
        options = config_pb2.CallableOptions()
        options.feed.extend(info.name for info in signature.inputs.values())
        options.fetch.extend(info.name for info in signature.outputs.values())
        options.run_options.inter_op_thread_pool = -1  # the caller's own thread
        call = session._make_callable_from_options(options)
        names = list(self.dtypes)
        return lambda columns: call(*[columns[name] for name in names])[0]

    def _load_signature(self, folder: str) -> Any:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        self._loaded = tf.saved_model.load(folder)  # the signature holds it only weakly
        signature = self._loaded.signatures[SIGNATURE]
        inputs = signature.structured_input_signature[1]
        self.dtypes = {name: spec.dtype.as_numpy_dtype for name, spec in inputs.items()}
        (output,) = signature.structured_outputs
        return lambda columns: signature(**{name: tf.constant(columns[name]) for name in inputs})[output].numpy()
