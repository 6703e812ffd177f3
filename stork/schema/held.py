"""
Instances as what the model's own tensors hold, from clients that send those: arrays, checked without a Python object
per value, or lists of numbers, encoded as they are.

A check here only says yes. Where it does not, the values go the road of every other instance, which words the problem,
or accepts what is rare.
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stork.declaration import Feature
from stork.errors import PayloadTooLarge
from stork.schema.decimals import shortest_decimals
from stork.schema.decode import Decoder, types_of
from stork.schema.frozen import NUMPY_DTYPES, numeric_limits, tensor_name
from stork.schema.instances import Columns, Instances
from stork.schema.tensors import (
    Array,
    Column,
    Encode,
    Restore,
    Tensors,
    compile_encoder,
    compile_restorer,
    encoding_table,
)

Accepts = Callable[[Array], bool]
SHORT = 256  # values that are quicker to look at as Python's than in several passes of numpy
WIDEST = 4096  # between the least and the greatest code that are looked up in a table
EXACT = 2**53  # a float64 holds every whole number below


@dataclass(frozen=True, slots=True)
class HeldColumns:
    """
    Instances by column: feature name -> array of shape (n,), n at least 1, of the feature's tensor's dtype.

    Or a list of n numbers, none of them True or False, as JSON holds what the tensor does; None is JSON's null.
    `restorers` are those of the decoder they were read for.
    """

    values: dict[str, Array | Column]
    restorers: Mapping[str, Restore | None]

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def __getitem__(self, wanted: slice) -> list[dict[str, Any]]:
        """Some instances as dicts of the features given: what the log keeps."""
        return self.listed(wanted)[:]

    def listed(self, wanted: slice = slice(None)) -> Columns:
        """The features' values that the arrays and lists stand for."""
        found: dict[str, Column] = {}
        for name, given in self.values.items():
            values = given[wanted] if isinstance(given, list) else list_values(given[wanted])
            restore = self.restorers[name]
            found[name] = restore(values) if restore else values
        return Columns(found)


def list_values(array: Array) -> Column:
    """An array's values; a float32 as its shortest decimal, 0.1 and not 0.10000000149: it may be the end of a range."""
    if array.dtype == np.float32 and len(array) and np.isfinite(array).all():
        return shortest_decimals(array)
    values: Column = array.tolist()
    return values


class HeldDecoder:
    """What checks arrays against one schema, as its `decoder` checks everything else."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self.features = [(f, tensor_name(f)) for f in decoder.schema.features]
        self.checks = {f.name: compile_check(f) for f in decoder.schema.features}
        self.encoders = {f.name: compile_held(f) for f in decoder.schema.features}
        self.missing = {f.name: encoding_table(f)[None] for f in decoder.schema.features if not f.required}

    def decode(self, held: HeldColumns, path: str) -> Instances:
        """
        The checked instances; they are not copied where that can be helped.

        Raises:
            InvalidInstances: the schema refuses them; each problem is located as `$.inputs.age[3]`.
            PayloadTooLarge: more instances than allowed.
        """
        rows, limit = len(held), self.decoder.max_instances
        if rows > limit:
            raise PayloadTooLarge(f"{path}: expected at most {limit} instances, received {rows}")
        tensors: Tensors = {}
        for feature, name in self.features:
            tensor = self._tensor(feature, held.values.get(feature.name), rows)
            if tensor is None:
                return self.decoder.decode_columns(held.listed(), path)
            tensors[name] = tensor
        if not held.values.keys() <= self.decoder.features.keys():
            return self.decoder.decode_columns(held.listed(), path)
        return Instances(held, tensors)

    def _tensor(self, feature: Feature, given: Array | Column | None, rows: int) -> Array | None:
        """What the model takes; None where the values must be looked at one by one."""
        dtype = NUMPY_DTYPES[feature.tensor.dtype]
        if isinstance(given, list):
            encode = self.encoders[feature.name]
            with contextlib.suppress(KeyError, TypeError, ValueError, OverflowError):
                return encode(given) if encode else None
            return None
        if given is None:
            if feature.required:
                return None
            given = np.full(rows, self.missing[feature.name], dtype)
        else:
            accepts = self.checks[feature.name]
            if given.dtype != dtype or accepts is None or not accepts(given):
                return None
        return given.reshape(rows, *feature.tensor.shape[1:])  # (n,) -> (n,) or (n, 1)


def compile_held(feature: Feature) -> Encode | None:
    """The encoder of numbers that stand for the feature's values, or are its values; None for text."""
    if feature.tensor.dtype == "string":
        return None
    table, restore = encoding_table(feature), compile_restorer(feature)
    if restore is None:
        return compile_encoder(feature, table)
    numbers = [number for number in (*table, *table.values()) if isinstance(number, (int, float))]
    numbers = [number + 0 for number in numbers]  # True is 1
    restored = zip([None, *numbers], restore([None, *numbers]), strict=True)
    kinds = types_of(feature)
    return compile_encoder(
        feature, {number: table[value] for number, value in restored if type(value) in kinds and value in table}
    )


def compile_check(feature: Feature) -> Accepts | None:
    """Whether every value of an array of the feature's tensor is one that the feature encodes to; None for text."""
    if feature.tensor.dtype == "string":
        return None
    if feature.kind == "boolean" or feature.values:
        return among(list(encoding_table(feature).values()))
    return within(feature)


def among(codes: list[Any]) -> Accepts | None:
    """Whether all values are of these, NaN too where it is one; None where a float64 cannot tell the codes apart."""
    known = np.array(sorted({float(code) for code in codes if code == code}))
    takes_nan = any(code != code for code in codes)
    low, high = known[0], known[-1]
    if max(-low, high) >= EXACT:
        return None
    if high - low >= WIDEST or (known != known.astype(np.int64)).any():
        return lambda array: bool((np.isin(array, known) | (np.isnan(array) if takes_nan else False)).all())
    table = np.zeros(int(high - low) + 1, bool)
    table[(known - low).astype(np.int64)] = True

    accepted = frozenset(known.tolist())

    def accepts(array: Array) -> bool:
        if len(array) < SHORT:
            values = set(array.tolist())
            return values <= accepted or (takes_nan and {value for value in values if value == value} <= accepted)
        if takes_nan:
            array = array[array == array]
        if not len(array):
            return True
        if not low <= array.min() <= array.max() <= high:
            return False
        places = (array - low).astype(np.int64)
        return bool(table[places].all()) and bool((places + low == array).all())

    return accepts


def within(feature: Feature) -> Accepts:
    """Whether all values are in the feature's range, whole where it is an integer, or what stands for missing."""
    dtype = NUMPY_DTYPES[feature.tensor.dtype]
    floating = np.issubdtype(dtype, np.floating)
    declared = low, high = numeric_limits(feature)
    if floating:
        with np.errstate(over="ignore"):
            low, high = float(dtype(low)), float(dtype(high))
    # At an end that the dtype cannot hold, what is inside is left to whoever compares decimals.
    closed = (low, high) == declared
    missing = None if feature.required else encoding_table(feature)[None]
    whole = feature.kind == "integer" and floating

    def accepts(array: Array) -> bool:
        if missing is not None:
            array = array[array == array] if missing != missing else array[array != missing]
            if not len(array):
                return True
        # As Python numbers, which compare exactly; a NaN is in neither comparison.
        least, most = array.min().item(), array.max().item()
        inside = low <= least and most <= high if closed else low < least and most < high
        return inside and (not whole or bool((array == np.trunc(array)).all()))

    return accepts
