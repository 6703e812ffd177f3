"""Tensors of the Open Inference Protocol, as JSON or as bytes after it, to feature values and back."""

import base64
import itertools
import struct
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from stork.declaration import Feature, Output, Tensor
from stork.errors import BadRequest
from stork.schema.decimals import list_values
from stork.schema.decode import Decoder
from stork.schema.feature import describe
from stork.schema.frozen import NUMPY_DTYPES
from stork.schema.held import HeldColumns
from stork.schema.instances import Columns
from stork.schema.tensors import Array, as_base64

DATATYPES = {
    "float32": "FP32", "float64": "FP64", "int32": "INT32", "int64": "INT64", "uint8": "UINT8", "bool": "BOOL",
    "string": "BYTES",
}  # fmt: skip
# Little-endian, as the protocol's binary extension has it.
BINARY = {
    "BOOL": "?", "UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "i1", "INT16": "<i2",
    "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
LENGTH = struct.Struct("<I")
BASE64 = "base64"  # the parameter content_type of a BYTES tensor whose JSON is that of bytes. Source: MLServer's codecs

Values = list[Any]


class Input(msgspec.Struct):
    """An input tensor of a request; without `data` it is among the bytes after the JSON."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any] | None = None
    parameters: dict[str, Any] = {}


class Numbers(Input):
    """One whose data is a plain list of numbers, as most are, or follows the JSON: msgspec has seen to it."""

    data: list[int | float | None] | None = None


def read_columns(decoder: Decoder, inputs: Sequence[Input], binary: bytes) -> Columns | HeldColumns:
    """
    The instances of a request, by feature; `binary` is what follows the JSON.

    Held where all of it is in the datatypes of the model's own tensors, as bytes or as plain numbers.

    Raises:
        BadRequest: a tensor is not of its own shape or type, they are not all of one number of rows, one is there
            twice, or the bytes are not those announced.
    """
    values: dict[str, Values | Array] = {}
    start = 0
    for tensor in inputs:
        if tensor.name in values:
            raise BadRequest(f"inputs: expected each input once, received {describe(tensor.name)} twice")
        cells: Values | Array
        if tensor.data is None:
            size = binary_size(tensor)
            cells = read_binary(tensor, binary[start : start + size], size)
            start += size
        else:
            cells = tensor.data if isinstance(tensor, Numbers) else list(flat(tensor.data))
            if tensor.parameters.get("content_type") == BASE64:
                cells = [read_base64(tensor.name, cell) for cell in cells]
        check_shape(tensor, len(cells))
        values[tensor.name] = cells
    if start != len(binary):
        raise BadRequest(f"expected {start} bytes of tensors after the JSON, received {len(binary)}")
    rows = {name: len(cells) for name, cells in values.items()}
    if len(set(rows.values())) != 1 or 0 in rows.values():
        received = ", ".join(f"{name}: {count}" for name, count in rows.items()) or "no inputs"
        raise BadRequest(f"inputs: expected one number of rows, at least 1, received {received}")
    if all(is_held(decoder, tensor) for tensor in inputs):
        return HeldColumns(values, decoder.restorers)
    return Columns({tensor.name: restore(decoder, tensor, values[tensor.name]) for tensor in inputs})


def is_own(decoder: Decoder, tensor: Input) -> bool:
    """Whether a tensor is of the datatype that the model's own has."""
    feature = decoder.features.get(tensor.name)
    return feature is not None and tensor.datatype == DATATYPES[feature.tensor.dtype]


def is_held(decoder: Decoder, tensor: Input) -> bool:
    """Whether a tensor is what the model's own holds, as bytes or as numbers: no text, nothing nested."""
    is_plain = tensor.data is None or isinstance(tensor, Numbers)
    return is_plain and tensor.datatype != "BYTES" and is_own(decoder, tensor)


def restore(decoder: Decoder, tensor: Input, cells: Values | Array) -> Values:
    """
    Feature values: those sent, or, in the datatype of the feature's own tensor, those that it stands for.

    So 1.0 is true and NaN is not known where the model's tensor says so.
    """
    listed = list_values(cells) if isinstance(cells, np.ndarray) else cells
    back = decoder.restorers[tensor.name] if is_own(decoder, tensor) else None
    return back(listed) if back else listed


def check_shape(tensor: Input, cells: int) -> None:
    """
    Raises:
        BadRequest: the shape is not [n] or [n, 1], or not that of the data.
    """
    if not tensor.shape or tensor.shape[1:] not in ([], [1]):
        raise BadRequest(f"input {tensor.name!r}: expected shape [n] or [n, 1], received {tensor.shape}")
    if tensor.shape[0] != cells:
        raise BadRequest(
            f"input {tensor.name!r}: expected {tensor.shape[0]} values, as its shape says, received {cells}"
        )
    if tensor.datatype != "BYTES" and tensor.datatype not in BINARY:
        known = ", ".join([*BINARY, "BYTES"])
        raise BadRequest(f"input {tensor.name!r}: expected a datatype of {known}, received {describe(tensor.datatype)}")


def flat(data: Values) -> Values:
    """Data in row-major order, however nested; no deeper than a shape can be."""
    if list in set(map(type, data)):  # three times as quick as asking each cell
        return list(itertools.chain.from_iterable(cell if isinstance(cell, list) else [cell] for cell in data))
    return data


def binary_size(tensor: Input) -> int:
    """
    How many bytes after the JSON are this tensor's.

    Raises:
        BadRequest: it says neither data nor a size.
    """
    size = tensor.parameters.get("binary_data_size")
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise BadRequest(
            f"input {tensor.name!r}: expected `data`, or `parameters.binary_data_size`, received {describe(size)}"
        )
    return size


def read_binary(tensor: Input, content: bytes, size: int) -> Values | Array:
    """A tensor's values from its bytes."""
    if len(content) != size:
        raise BadRequest(f"input {tensor.name!r}: expected {size} bytes, received {len(content)}")
    if tensor.datatype == "BYTES":
        return read_strings(tensor.name, content)
    dtype = np.dtype(BINARY.get(tensor.datatype, "V1"))
    if len(content) % dtype.itemsize:
        raise BadRequest(f"input {tensor.name!r}: {size} bytes are no whole number of {tensor.datatype}")
    return np.frombuffer(content, dtype)


def read_base64(name: str, cell: Any) -> str | bytes | None:
    """
    What base64 stands for: text where it is UTF-8.

    Raises:
        BadRequest: it is none.
    """
    try:
        return None if cell is None else text_or_bytes(base64.b64decode(cell, validate=True))
    except (TypeError, ValueError):
        raise BadRequest(f"input {name!r}: expected base64, as its content_type says") from None


def text_or_bytes(content: bytes) -> str | bytes:
    """Bytes as a feature's value: text where they are UTF-8."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


def read_strings(name: str, content: bytes) -> Values:
    """
    BYTES elements: each a length of four bytes, then as many bytes: text, where they are UTF-8.

    Raises:
        BadRequest: one is cut short.
    """
    found: Values = []
    place = 0
    while place < len(content):
        end = place + LENGTH.size
        text = b""
        if end <= len(content):
            (length,) = LENGTH.unpack_from(content, place)
            place, end = end, end + length
            text = content[place:end]
        if end > len(content):
            raise BadRequest(
                f"input {name!r}: element {len(found)} is cut short: {end - len(content)} bytes are missing"
            )
        place = end
        found.append(text_or_bytes(text))
    return found


def describe_tensor(part: Feature | Output) -> dict[str, Any]:
    """A tensor as the model's metadata lists it, under the name that requests and answers give it."""
    return {"name": part.name, "datatype": DATATYPES[part.tensor.dtype], "shape": list(part.tensor.shape)}


def shape_of(tensor: Tensor, rows: int) -> list[int]:
    return [rows, *tensor.shape[1:]]


def flat_values(column: Values) -> Values:
    """An output's values in row-major order."""
    return list(itertools.chain.from_iterable(column)) if column and isinstance(column[0], list) else column


def write_json(column: Values) -> dict[str, Any]:
    """
    An output's values as its entry in the JSON has them.

    Where some are bytes that are no text all are base64, and a parameter says so, as MLServer's does.
    """
    cells = flat_values(column)
    if not any(isinstance(cell, dict) for cell in cells):
        return {"data": cells}
    data = [(as_base64(cell.encode()) if isinstance(cell, str) else cell)["b64"] for cell in cells]
    return {"parameters": {"content_type": BASE64}, "data": data}


def write_binary(output: Output, column: Values) -> bytes:
    """An output's values as bytes."""
    cells = flat_values(column)
    if output.tensor.dtype != "string":
        array: Array = np.array(cells, NUMPY_DTYPES[output.tensor.dtype])
        return array.astype(BINARY[DATATYPES[output.tensor.dtype]]).tobytes()
    texts = [base64.b64decode(cell["b64"]) if isinstance(cell, dict) else cell.encode() for cell in cells]
    return b"".join(LENGTH.pack(len(text)) + text for text in texts)
