"""What TensorFlow Serving's REST API tells about a model: the state of its versions, and its signatures."""

import contextlib
from collections.abc import Iterator
from typing import Any

from stork.declaration import Feature, Output
from stork.errors import BackendUnavailable, ModelNotFound, VersionBroken, VersionNotFound
from stork.schema.frozen import Schema, tensor_name
from stork.serving.loader import LoadedVersion
from stork.serving.predictor import Predictor
from stork.serving.states import VersionState, version_states
from stork.store.registry import STABLE
from stork.web.dialects import Reply, json_reply

STATES = {"available": "AVAILABLE", "failed": "END", "loading": "LOADING", "excluded": "END", "idle": "START"}

DATA_TYPES = {
    "float32": "DT_FLOAT",
    "float64": "DT_DOUBLE",
    "int32": "DT_INT32",
    "int64": "DT_INT64",
    "uint8": "DT_UINT8",
    "bool": "DT_BOOL",
    "string": "DT_STRING",
}


def find_version(predictor: Predictor, name: str, version: int | None, alias: str | None) -> LoadedVersion:
    """
    Raises:
        StorkError: 404 in TensorFlow Serving's words, then the names there are.
    """
    with in_servings_words(name, version, alias):
        return predictor.version(name, version, alias)


@contextlib.contextmanager
def in_servings_words(name: str, version: int | None, alias: str | None) -> Iterator[None]:
    """
    Raises:
        ModelNotFound, VersionNotFound: that of the block, in TensorFlow Serving's words.
    """
    try:
        yield
    except (ModelNotFound, VersionNotFound) as error:
        asked = f"Specific({name}, {version})" if version is not None else f"Latest({name})"
        if alias:
            asked = f"Label({name}, {alias})"
        error.args = (f"Servable not found for request: {asked}; {error}",)
        raise


def report_status(predictor: Predictor, name: str, version: int | None, alias: str | None) -> Reply:
    """
    The state of every version, newest first, without loading any; or of the one that is asked for, which is loaded.

    200 where what is asked for answers, 503 where it does not: many a client looks no further. `name` and `ready` are
    what KServe's clients look for.
    """
    try:
        states, is_ready = find_states(predictor, name, version, alias)
    except ModelNotFound as error:
        error.args = (f"Could not find any versions of model {name}; {error}",)
        raise
    listed = [describe_state(found, states[found]) for found in sorted(states, reverse=True)]
    return json_reply(200 if is_ready else 503, {"model_version_status": listed, "name": name, "ready": is_ready})


def find_states(
    predictor: Predictor, name: str, version: int | None, alias: str | None
) -> tuple[dict[int, VersionState], bool]:
    """The states to tell of, and whether what is asked for answers."""
    route = predictor.route(name)
    if version is None and alias is None:
        return version_states(route), route.is_ready()
    try:
        return {find_version(predictor, name, version, alias).version: VersionState("available")}, True
    except (VersionBroken, BackendUnavailable) as error:
        number = version if version is not None else predictor.registry.aliases(name)[alias or STABLE]
        return {number: VersionState("failed", str(error))}, False


def describe_state(version: int, found: VersionState) -> dict[str, Any]:
    """A version's state; 64-bit integers are JSON strings, as protobuf writes them."""
    code = "UNKNOWN" if found.state == "failed" else "OK"
    status = {"error_code": code, "error_message": found.reason}
    return {"version": str(version), "state": STATES[found.state], "status": status}


def describe_model(predictor: Predictor, name: str, version: int | None, alias: str | None) -> Reply:
    """The signatures that answer, as TensorFlow Serving describes them."""
    loaded = find_version(predictor, name, version, alias)
    further = {name: (signature.schema, signature.method) for name, signature in loaded.further.listed.items()}
    signatures = {loaded.schema.signature: (loaded.schema, "predict")} | further
    described = {name: describe_signature(schema, method) for name, (schema, method) in signatures.items() if schema}
    document = {
        "model_spec": {"name": name, "signature_name": "", "version": str(loaded.version)},
        "metadata": {"signature_def": {"signature_def": described}},
    }
    return json_reply(200, document)


def describe_signature(schema: Schema, method: str) -> dict[str, Any]:
    return {
        "inputs": {f.name: describe_tensor(f, schema.signature) for f in schema.features},
        "outputs": {o.name: describe_tensor(o, "StatefulPartitionedCall") for o in schema.outputs},
        "method_name": f"tensorflow/serving/{method}",
    }


def describe_tensor(part: Feature | Output, prefix: str) -> dict[str, Any]:
    """A tensor's type and shape."""
    dimensions = [{"size": str(size), "name": ""} for size in part.tensor.shape]
    return {
        "dtype": DATA_TYPES[part.tensor.dtype],
        "tensor_shape": {"dim": dimensions, "unknown_rank": False},
        "name": f"{prefix}_{tensor_name(part)}:0" if isinstance(part, Feature) else f"{prefix}:0",
    }
