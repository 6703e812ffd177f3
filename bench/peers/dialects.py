"""How each peer is asked, in the form its own documentation gives, and how its answer is read."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.measure import Body
from bench.peers.rows import Rows

DATATYPES = {"float32": "FP32", "int32": "INT32"}


@dataclass(frozen=True)
class Dialect:
    """Instances to a body, and an answer's body to predictions in the same order."""

    ask: Callable[[Rows], Body]
    read: Callable[[bytes], list[float]]


def ask_stork(rows: Rows) -> Body:
    """One instance as it is, several as a list."""
    return write(rows.instances[0] if len(rows) == 1 else {"instances": rows.instances})


def read_stork(answer: bytes) -> list[float]:
    return [next(iter(prediction.values())) for prediction in json.loads(answer)["predictions"]]


def ask_instances(rows: Rows) -> Body:
    """Instances by row: what TensorFlow Serving and Vertex AI made usual, for peers that leave the body to the user."""
    return write({"instances": rows.instances})


def ask_inputs(rows: Rows) -> Body:
    """MLflow's tensor input: columns by name, which it turns into arrays without pandas."""
    return write({"inputs": {name: column.tolist() for name, column in rows.columns.items()}})


def read_predictions(answer: bytes) -> list[float]:
    predictions: list[float] = json.loads(answer)["predictions"]
    return predictions


def read_list(answer: bytes) -> list[float]:
    predictions: list[float] = json.loads(answer)
    return predictions


def ask_open_inference(rows: Rows) -> Body:
    """Open Inference Protocol in JSON: one tensor of shape [n, 1] per feature."""
    return write({"inputs": [{**head, "data": column.tolist()} for head, column in tensors(rows)]})


def read_open_inference(answer: bytes) -> list[float]:
    data: list[float] = json.loads(answer)["outputs"][0]["data"]
    return data


def ask_binary(rows: Rows) -> Body:
    """The same with Triton's binary tensors, both ways."""
    parts = [(head, column.tobytes()) for head, column in tensors(rows)]
    inputs = [{**head, "parameters": {"binary_data_size": len(data)}} for head, data in parts]
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    return Body(head + b"".join(data for _, data in parts), headers)


def read_binary(answer: bytes) -> list[float]:
    """The output's float32 values, which end the answer; its JSON head says how many bytes they are."""
    head, _ = json.JSONDecoder().raw_decode(answer.decode("latin-1"))
    size = head["outputs"][0]["parameters"]["binary_data_size"]
    values: list[float] = np.frombuffer(answer[-size:], "<f4").tolist()
    return values


def tensors(rows: Rows) -> list[tuple[dict[str, Any], Any]]:
    """What the protocol says of a tensor, beside its values."""
    return [
        ({"name": name, "shape": [len(rows), 1], "datatype": DATATYPES[column.dtype.name]}, column)
        for name, column in rows.columns.items()
    ]


def write(document: Any) -> Body:
    return Body(json.dumps(document).encode())


STORK_JSON = Dialect(ask_stork, read_stork)
INSTANCES = Dialect(ask_instances, read_predictions)
BENTO = Dialect(ask_instances, read_list)
INPUTS = Dialect(ask_inputs, read_predictions)
OPEN_INFERENCE = Dialect(ask_open_inference, read_open_inference)
BINARY = Dialect(ask_binary, read_binary)
