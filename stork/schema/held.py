"""
Instances as what the model's own tensors hold, from clients that send those: arrays, checked without a Python object
per value, or lists of numbers, encoded as they are.

A check here only says yes. Where it does not, the values go the road of every other instance, which words the problem,
or accepts what is rare.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stork.declaration import Feature
from stork.errors import PayloadTooLarge
from stork.schema.decimals import list_values
from stork.schema.decode import Decoder, types_of
from stork.schema.frozen import NUMPY_DTYPES, numeric_limits, tensor_name
from stork.schema.instances import Columns, Instances
from stork.schema.tensors import (
    EXACT,
    SHORT,
    Array,
    Column,
    Encode,
    Restore,
    Tensors,
    compile_encoder,
    compile_restorer,
    encoding_table,
    is_short_range,
)

Accepts = Callable[[Array], bool]
WHOLE = 2**24  # a float32 holds every whole number below
FEW = 6  # codes that are counted one by one sooner than looked up
WIDEST = 4096  # between the least and the greatest code that are looked up in a table


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


class HeldDecoder:
    """What checks arrays against one schema, as its `decoder` checks everything else."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self.features = [
            (f, tensor_name(f), np.dtype(NUMPY_DTYPES[f.tensor.dtype]), compile_check(f), compile_held(f))
            for f in decoder.schema.features
        ]
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
        try:
            tensors = self._tensors(held.values, rows)
        except (KeyError, TypeError, ValueError, OverflowError):
            return self.decoder.decode_columns(held.listed(), path)
        return Instances(held, tensors)

    def _tensors(self, values: Mapping[str, Array | Column], rows: int) -> Tensors:
        """
        What the model takes.

        Raises:
            KeyError, TypeError, ValueError, OverflowError: some value must be looked at by itself.
        """
        if not values.keys() <= self.decoder.features.keys():
            raise KeyError(*values)
        tensors: Tensors = {}
        for feature, name, dtype, accepts, encode in self.features:
            given = values.get(feature.name)
            if isinstance(given, list):
                tensors[name] = encode(given)
                continue
            if given is None:
                given = np.full(rows, self.missing[feature.name], dtype)
            elif given.dtype != dtype or not accepts(given):
                raise ValueError(feature.name)
            tensors[name] = given.reshape(rows, *feature.tensor.shape[1:])  # (n,) -> (n,) or (n, 1)
        return tensors


def compile_held(feature: Feature) -> Encode:
    """
    The encoder of numbers that stand for the feature's values, or are its values.

    It raises what `compile_encoder` says on others; where the tensor holds text, on all.
    """
    if feature.tensor.dtype == "string":
        return refuse_numbers
    table, restore, kinds = encoding_table(feature), compile_restorer(feature), types_of(feature)
    # As JSON holds them: True is 1, and in a tensor of floats 1.0, which finds itself sooner than 1.
    as_sent = float if feature.tensor.dtype.startswith("float") else operator.pos
    numbers = [as_sent(number) for number in (*table, *table.values()) if isinstance(number, (int, float))]
    sent = [None, *numbers]
    values = restore(sent) if restore else sent
    meant = zip(sent, values, strict=True)
    return compile_encoder(feature, {n: table[v] for n, v in meant if type(v) in kinds and v in table})


def refuse_numbers(column: Column) -> Array:
    """
    Raises:
        TypeError: no number stands for a text.
    """
    raise TypeError(column)


def compile_check(feature: Feature) -> Accepts:
    """Whether every value of an array of the feature's tensor is one that the feature encodes to; text never."""
    if feature.tensor.dtype == "string":
        return refuse_array
    if feature.kind == "boolean" or feature.values:
        return among(list(encoding_table(feature).values()))
    if is_short_range(feature):
        few, many = among(list(encoding_table(feature).values())), within(feature)
        return lambda array: few(array) if len(array) < SHORT else many(array)
    return within(feature)


def refuse_array(array: Array) -> bool:
    """Whatever it holds, it must be looked at value by value."""
    return False


def among(codes: list[Any]) -> Accepts:
    """Whether all values are of these, NaN too where it is one; never where a float64 cannot tell the codes apart."""
    known = np.array(sorted({float(code) for code in codes if code == code}))
    takes_nan = any(code != code for code in codes)
    low, high = known[0], known[-1]
    if max(-low, high) >= EXACT:
        return refuse_array
    if high - low >= WIDEST or (known != known.astype(np.int64)).any():
        return lambda array: bool((np.isin(array, known) | (np.isnan(array) if takes_nan else False)).all())
    table = np.zeros(int(high - low) + 1, bool)
    table[(known - low).astype(np.int64)] = True

    accepted = frozenset(known.tolist())
    few = known.astype(np.int64).tolist() if len(known) <= FEW and max(-low, high) < WHOLE else []

    def accepts(array: Array) -> bool:
        if len(array) < SHORT:
            values = set(array.tolist())
            return values <= accepted or (takes_nan and {value for value in values if value == value} <= accepted)
        if few:
            found = sum(int(np.count_nonzero(array == code)) for code in few)
            return found == len(array) or (takes_nan and found + np.count_nonzero(array != array) == len(array))
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
