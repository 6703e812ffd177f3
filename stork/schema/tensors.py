"""From checked columns to the arrays a model's signature takes, and from its arrays back to predictions."""

import array
import base64
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from stork.declaration import Feature, Output
from stork.errors import BackendError
from stork.schema.decimals import list_values
from stork.schema.frozen import NUMPY_DTYPES, Schema, numeric_limits, tensor_name

Array = npt.NDArray[Any]
Tensors = dict[str, Array]  # tensor name -> array of the declared dtype and shape, first axis one row per instance
Column = list[Any]  # one feature's values, one per instance; None or UNSET where missing
Encode = Callable[[Column], Array]
Restore = Callable[[Column], Column]

SHORT_RANGE = 1000
SHORT = 256  # values that are quicker to look at as Python's than in several passes of numpy
EXACT = 2**53  # a float64 holds every whole number below


def compile_encoder(feature: Feature, table: Mapping[Any, Any] | None = None) -> Encode:
    """
    A function from a feature's column to its tensor, shape (n,) or (n, 1); `table` None: its `encoding_table`.

    It raises KeyError, TypeError, ValueError or OverflowError on a value that the feature does not take: the sign
    for the caller to check value by value.
    """
    dtype = NUMPY_DTYPES[feature.tensor.dtype]
    table = encoding_table(feature) if table is None else table
    encode: Encode
    if feature.kind == "boolean" or feature.values or is_short_range(feature):
        encode = compile_lookup(table, dtype)
    elif feature.kind == "string":
        encode = lambda column: np.array([encode_text(table, v) for v in column], dtype)  # noqa: E731
    else:
        encode = compile_number(feature, table)
    if len(feature.tensor.shape) == 1:
        return encode
    return lambda column: encode(column).reshape(-1, 1)  # (n,) -> (n, 1)


def encode_text(table: Mapping[Any, Any], value: Any) -> Any:
    """
    What a string tensor holds for a value: as the table says, else its UTF-8; bytes are held as they are.

    Raises:
        TypeError: it is no string.
    """
    if value in table:
        return table[value]
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    raise TypeError(value)


def compile_lookup(table: Mapping[Any, Any], dtype: Any) -> Encode:
    """The encoder of a feature whose every value is known: a request of one instance finds its array ready made."""
    ready = {value: np.array([held], dtype) for value, held in table.items()}
    for one in ready.values():
        one.flags.writeable = False  # shared by all requests
    # Looked up all at once and joined: numpy would ask every Python number what it is.
    packed = {} if dtype is np.object_ else {value: one.tobytes() for value, one in ready.items()}

    def encode(column: Column) -> Array:
        if len(column) == 1:
            return ready[column[0]]
        if not packed:
            return np.array([table[value] for value in column], dtype)
        return np.frombuffer(b"".join(operator.itemgetter(*column)(packed)), dtype)

    return encode


def compile_number(feature: Feature, table: Mapping[Any, Any]) -> Encode:
    """The encoder of a number or an integer without a vocabulary: range and integrality are checked on the way."""
    dtype = NUMPY_DTYPES[feature.tensor.dtype]
    low, high = numeric_limits(feature)
    whole = feature.kind == "integer"

    def encode(column: Column) -> Array:
        if len(column) >= SHORT and dtype is not np.object_:
            found = encode_numbers(column, low, high, whole)
            if found is not None:
                return found.astype(dtype)
        held = []
        for value in column:
            if value in table:
                value = table[value]
            elif not low <= value <= high or (whole and value != int(value)):
                raise ValueError(value)
            held.append(value)
        if whole and dtype in (np.int32, np.int64, np.uint8):
            held = [int(value) for value in held]
        return np.array(held, dtype)

    return encode


def encode_numbers(column: Column, low: float, high: float, whole: bool) -> Array | None:
    """The column as float64; None where some value is no number of the range, or may be none that a float64 holds."""
    try:
        numbers = np.frombuffer(array.array("d", column))
    except (TypeError, OverflowError):
        return None
    least, most = numbers.min().item(), numbers.max().item()  # NaN if one is
    if not (low <= least and most <= high and max(-least, most) < EXACT):
        return None
    return None if whole and (np.trunc(numbers) != numbers).any() else numbers


def is_short_range(feature: Feature) -> bool:
    """Whether an integer takes so few values that looking one up is cheaper than comparing it with both ends."""
    low, high = numeric_limits(feature)
    return feature.kind == "integer" and not feature.values and high - low < SHORT_RANGE


def encoding_table(feature: Feature) -> dict[Any, Any]:
    """What the tensor holds for each declared value and for a missing one; JSON's null, "" and absence are one."""
    text = feature.tensor.dtype == "string"

    def held(value: Any, encoded: Any) -> Any:
        chosen = value if encoded is None else encoded
        if not text:
            return chosen
        return (str(chosen).lower() if isinstance(chosen, bool) else str(chosen)).encode()

    table: dict[Any, Any] = {value.value: held(value.value, value.encoded) for value in feature.values}
    if is_short_range(feature):
        low, high = numeric_limits(feature)
        table = {value: held(value, None) for value in range(math.ceil(low), math.floor(high) + 1)} | table
    if feature.kind == "boolean":
        table = {flag: table.get(flag, held(flag, None)) for flag in (True, False)}
    if not feature.required:
        missing = held(feature.tensor.missing, None)
        table |= {None: missing, msgspec.UNSET: missing, "": missing}
    return table


def compile_restorer(feature: Feature) -> Restore | None:
    """
    The inverse of the encoder, for callers that send what the model's tensor holds: 1.0 for true, NaN for missing.

    None where a feature's values are held as they are. A value that stands for nothing is left as it is, for the check
    to refuse.
    """
    held_by: dict[Any, Any] = {}
    for value, held in encoding_table(feature).items():
        if value is not None and value is not msgspec.UNSET and value != "":
            held_by[held.decode() if isinstance(held, bytes) else held] = value
    missing = feature.tensor.missing
    if not feature.required and missing == missing:
        held_by.setdefault(missing, None)
    # True is held as True, which finds 1.0 too: that is the one value to be restored that looks the same.
    held_by = {held: value for held, value in held_by.items() if held is not value or isinstance(value, bool)}
    if feature.required and not held_by:
        return None

    def restore(column: Column) -> Column:
        try:
            values = list(map(held_by.get, column, column))
        except TypeError:  # what cannot be looked up (a JSON object) is no value of any feature
            values = [value if value.__hash__ is None else held_by.get(value, value) for value in column]
        if not feature.required and any(map(operator.ne, values, values)):  # NaN is not equal to itself
            values = [None if value != value else value for value in values]
        return values

    return restore


def encode_columns(encoders: Iterable[tuple[str, str, Encode]], columns: Mapping[str, Column]) -> Tensors:
    """All tensors of a request: `encoders` are (feature name, tensor name, encoder)."""
    return {tensor: encode(columns[name]) for name, tensor, encode in encoders}


def concatenate_rows(tensors: Iterable[Tensors]) -> Tensors:
    """Tensors of several requests as one, in order."""
    parts = list(tensors)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def check_predictions(schema: Schema, tensors: Mapping[str, Array], rows: int) -> dict[str, Array]:
    """
    A backend's answer by output name, one row per instance, of the declared dtype and shape.

    Raises:
        BackendError: an output is missing, has another number of rows, or holds NaN or infinity.
    """
    checked = {}
    for output in schema.outputs:
        name = tensor_name(output)
        if name not in tensors:
            raise BackendError(f"the model answered without its output {name!r}; it has {', '.join(tensors) or 'none'}")
        values = tensors[name]
        if values.shape[:1] != (rows,):
            raise BackendError(f"output {name!r}: expected {rows} rows, received shape {list(values.shape)}")
        if values.dtype.kind == "f" and not is_finite(values):
            raise BackendError(f"output {name!r}: the model answered a value that is not a finite number")
        checked[output.name] = values
    return checked


def is_finite(values: Array) -> bool:
    """Whether no value is NaN or infinite."""
    if values.size < SHORT:
        return all(map(math.isfinite, values.ravel().tolist()))
    return bool(np.isfinite(values).all())


def plain_values(output: Output, values: Array) -> list[Any]:
    """
    An output's array (n,), (n, 1) or (n, k) as n plain values: a number, a string, or a list of k of them.

    Floats are the shortest decimals that give the same float32 (or float64) back. Bytes are text; {"b64": ...} where
    they are no UTF-8, and all of an output whose name ends in `_bytes`, as in TensorFlow Serving.
    """
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]  # (n, 1) -> (n,)
    cells = values if values.ndim == 1 else values.ravel()
    flat: list[Any]
    if values.dtype.char not in "OS":
        flat = list_values(cells)
    elif tensor_name(output).endswith("_bytes"):
        flat = list(map(as_base64, cells))
    else:
        flat = [plain_bytes(value) if isinstance(value, bytes) else str(value) for value in cells]
    if values.ndim == 1:
        return flat
    width = values.shape[1]
    return [flat[start : start + width] for start in range(0, len(flat), width)]


def plain_bytes(value: bytes) -> str | dict[str, str]:
    """Bytes as JSON can hold them: their text, or `{"b64": ...}` where they are no UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return as_base64(value)


def as_base64(value: bytes) -> dict[str, str]:
    """Bytes as TensorFlow Serving writes them."""
    return {"b64": base64.b64encode(value).decode()}
