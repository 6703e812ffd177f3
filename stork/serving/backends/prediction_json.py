"""What is sent to an online prediction service, as the container behind it reads JSON, and what comes back."""

import base64
import reprlib
from collections.abc import Callable
from typing import Any

import numpy as np

from stork.declaration import Container, Feature, Output, Tensor
from stork.errors import BackendError
from stork.schema.decimals import list_values
from stork.schema.feature import is_missing
from stork.schema.frozen import NUMPY_DTYPES, Schema, dtype_limits, tensor_name
from stork.schema.tensors import Array, Tensors, encoding_table, plain_bytes

Body = dict[str, Any]

# How errors show what came: neither its length nor its depth matters.
SHOWN = reprlib.Repr()
SHOWN.maxstring = SHOWN.maxother = 200


def compile_body(schema: Schema, container: Container) -> Callable[[Tensors], Body]:
    """A function from a request's tensors to the body its container reads, one object per instance."""
    if container == "tensorflow":
        # TensorFlow Serving reads the token NaN, refuses null, and takes the signature's name beside the instances.
        # Source: tensorflow_serving/util/json_tensor.cc
        return lambda tensors: {"signature_name": schema.signature, "instances": rows_of(tensors, nan=float("nan"))}
    if container == "stork":
        columns = [(f.name, tensor_name(f), compile_values(f)) for f in schema.features]
        return lambda tensors: {
            "instances": zip_rows({name: values_of(tensors[key]) for name, key, values_of in columns})
        }
    return lambda tensors: {"instances": rows_of(tensors, nan=None)}


def rows_of(tensors: Tensors, nan: float | None) -> list[dict[str, Any]]:
    """Tensors of shape (n,) or (n, 1) as n objects by tensor name; a value of shape (1,) is a list of one."""
    return zip_rows({name: [sendable(value, nan) for value in tensor.tolist()] for name, tensor in tensors.items()})


def zip_rows(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def sendable(value: Any, nan: float | None) -> Any:
    """A tensor's value as JSON can hold it."""
    if isinstance(value, list):
        return [sendable(inner, nan) for inner in value]
    if isinstance(value, bytes):
        return plain_bytes(value)
    return nan if value != value else value


def compile_values(feature: Feature) -> Callable[[Array], list[Any]]:
    """
    A function from a feature's tensor back to its values, None where missing.

    Two values that are encoded alike (a missing one as 0, say, and 0) come back as either: the model cannot tell.
    """
    table = encoding_table(feature)
    encoded = list_values(np.array(list(table.values()), NUMPY_DTYPES[feature.tensor.dtype]))
    known = {held: None if is_missing(value) else value for value, held in zip(table, encoded, strict=True)}
    whole = feature.kind == "integer"

    def value_of(held: Any) -> Any:
        if held != held or held in known:
            return known.get(held)
        return int(held) if whole else sendable(held, nan=None)

    return lambda tensor: [value_of(held) for held in list_values(tensor.ravel())]  # (n,) or (n, 1) -> (n,)


def read_predictions(schema: Schema, answer: Any, rows: int) -> Tensors:
    """
    The outputs in an answer: predictions are objects by output, or the bare value where there is one output.

    Raises:
        BackendError: the answer is an error with status 200, has another length, or holds something else.
    """
    if not isinstance(answer, dict) or "error" in answer or not isinstance(answer.get("predictions"), list):
        raise BackendError(f"expected an answer with predictions, received {SHOWN.repr(answer)}")
    predictions = answer["predictions"]
    if len(predictions) != rows:
        raise BackendError(f"expected {rows} predictions, received {len(predictions)}")
    alone = len(schema.outputs) == 1
    return {tensor_name(o): read_output(o, [pick(o, p, alone) for p in predictions]) for o in schema.outputs}


def pick(output: Output, prediction: Any, alone: bool) -> Any:
    """One output's value in one prediction; None where there is none."""
    if isinstance(prediction, dict) and "b64" not in prediction:
        return prediction.get(tensor_name(output), prediction.get(output.name))
    return prediction if alone else None


def read_output(output: Output, values: list[Any]) -> Array:
    """An output's values, each a scalar or a list of the declared width, as an array of the declared shape."""
    tensor = output.tensor
    width = tensor.shape[1] if len(tensor.shape) == 2 else 1
    read = compile_cell(tensor)
    cells = []
    for row, value in enumerate(values):
        found = value if isinstance(value, list) else [value]
        try:
            if len(found) != width:
                raise ValueError
            cells += [read(cell) for cell in found]
        except ValueError:
            listed = "" if width == 1 else f"a list of {width}, each "
            raise BackendError(
                f"prediction {row}: expected {tensor_name(output)!r} to be {listed}a {tensor.dtype}, "
                f"received {SHOWN.repr(value)}"
            ) from None
    return np.array(cells, NUMPY_DTYPES[tensor.dtype]).reshape(len(values), *tensor.shape[1:])


def compile_cell(tensor: Tensor) -> Callable[[Any], Any]:
    """A function from a JSON value to one that the tensor holds exactly or rounded; ValueError for any other."""
    low, high = dtype_limits(tensor)
    whole = tensor.dtype in ("int32", "int64", "uint8")

    def read_number(cell: Any) -> Any:
        # NaN is not between anything, and an integer of 400 digits compares without becoming a float.
        if isinstance(cell, bool) or not isinstance(cell, int | float) or not low <= cell <= high:
            raise ValueError
        if whole and cell != int(cell):
            raise ValueError
        return int(cell) if whole else cell

    return {"bool": read_bool, "string": read_text}.get(tensor.dtype, read_number)


def read_bool(cell: Any) -> bool:
    if not isinstance(cell, bool):
        raise ValueError
    return cell


def read_text(cell: Any) -> bytes:
    """A string, or TensorFlow Serving's {"b64": ...} for bytes that are no text."""
    if isinstance(cell, dict) and isinstance(cell.get("b64"), str):
        return base64.b64decode(cell["b64"], validate=True)
    if not isinstance(cell, str):
        raise ValueError
    return cell.encode()
