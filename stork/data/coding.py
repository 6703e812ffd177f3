"""A column of a batch as numbers: which value each row has, what that value is as text and as a number."""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]
Sort = Literal["integer", "fraction", "boolean", "text"]
SORTS: tuple[Sort, ...] = ("integer", "fraction", "boolean", "text")

# What DuckDB reads as a boolean, which is what ingestion goes by.
BOOLEANS = dict.fromkeys(("true", "t", "yes", "y", "1"), "true") | dict.fromkeys(
    ("false", "f", "no", "n", "0"), "false"
)
WHOLE = 2.0**53  # beyond it a float64 does not tell integers apart
WORDY = "[bcdghjkmopqvwxz]"  # no number has one of these letters, not even NaN and infinity; nor have true and false


class Value(NamedTuple):
    """One value: as it is written, its number (NaN where it is none), its sort, and whether it is of its kind."""

    text: str
    number: float
    sort: Sort
    fits: bool = True


@dataclass(frozen=True)
class Values:
    """
    Different values of a column, k of them.

    `texts` are as they are written; `numbers`, shape (k,), are NaN where a value is none; `sorts`, shape (k,), are
    places in SORTS; `fits`, shape (k,), tells which are of their kind.
    """

    texts: list[str]
    numbers: Floats
    sorts: Integers
    fits: Booleans

    @classmethod
    def none(cls) -> "Values":
        return cls([], np.zeros(0), np.zeros(0, np.int64), np.zeros(0, bool))

    def at(self, places: Integers) -> "Values":
        """Those at some places, in that order."""
        texts = [self.texts[place] for place in places.tolist()]
        return Values(texts, self.numbers[places], self.sorts[places], self.fits[places])


@dataclass(frozen=True)
class Coded:
    """
    The values of a column in n rows.

    `values` are the different ones, k of them; `codes`, shape (m,), tells which each value is, `rows`, shape (m,), in
    which row it stands; m is n where every row has exactly one value. `lengths` are the smallest and largest number of
    values of a row that has any.
    """

    size: int
    values: Values
    codes: Integers
    rows: Integers
    missing: int
    lengths: tuple[int, int]

    @property
    def counts(self) -> Integers:
        """How many of each value there are, shape (k,)."""
        return np.bincount(self.codes, minlength=len(self.values.texts))

    def spread(self) -> Floats:
        """The number in each row, shape (n,): NaN where it is missing or no number; of several the last."""
        spread = np.full(self.size, np.nan)
        spread[self.rows] = self.values.numbers[self.codes]
        return spread


def code_column(column: Any, kind: str) -> Coded:
    """A column of Arrow (scalars or lists of them), of a declared kind; of none (empty) a value is what it looks."""
    import pyarrow
    import pyarrow.compute

    array = column.combine_chunks() if isinstance(column, pyarrow.ChunkedArray) else column
    size, lengths = len(array), (1, 1)
    if pyarrow.types.is_list(array.type) or pyarrow.types.is_large_list(array.type):
        held = np.asarray(pyarrow.compute.fill_null(pyarrow.compute.list_value_length(array), 0))
        rows = np.repeat(np.arange(size), held)
        lengths = (int(held[held > 0].min()), int(held.max())) if held.any() else (0, 0)
        array = pyarrow.compute.list_flatten(array)
        known = np.asarray(array.is_valid())
        missing = size - len(np.unique(rows[known]))
        rows = rows[known]
    else:
        known = np.asarray(array.is_valid())
        rows, missing = np.flatnonzero(known), size - int(known.sum())
    if missing == size:
        return Coded(size, Values.none(), rows.astype(np.int64), rows, missing, (0, 0))
    encoded = array.drop_null().dictionary_encode()
    values = read_values(encoded.dictionary, kind)
    return merge_same(Coded(size, values, np.asarray(encoded.indices).astype(np.int64), rows, missing, lengths))


def merge_same(coded: Coded) -> Coded:
    """The same, with values that are written alike made one, such as the texts 1 and 1.0 of an integer."""
    texts = coded.values.texts
    if len(set(texts)) == len(texts):
        return coded
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    targets = np.array([places[text] for text in texts], np.int64)
    _, first = np.unique(targets, return_index=True)
    return replace(coded, values=coded.values.at(first), codes=targets[coded.codes])


def read_values(array: Any, kind: str) -> Values:
    """The values of an array of Arrow, shape (k,), each as `read_value` reads it, but numbers and words all at once."""
    import pyarrow

    if pyarrow.types.is_integer(array.type) or pyarrow.types.is_floating(array.type):
        values = write_numbers(np.asarray(array).astype(np.float64))
        if kind in ("", "number") or (kind == "integer" and not values.sorts.any()):
            return values
    texts, words = array.to_pylist(), find_words(array, kind)
    numbers, fits = np.full(len(texts), np.nan), np.full(len(texts), kind in ("", "text"))
    sorts = np.full(len(texts), SORTS.index("text"))
    for place in np.flatnonzero(~words).tolist():
        texts[place], numbers[place], sort, fits[place] = read_value(texts[place], kind)
        sorts[place] = SORTS.index(sort)
    return Values(texts, numbers, sorts, fits)


def write_numbers(numbers: Floats) -> Values:
    """Numbers, shape (k,), as they are written: integers, sort 0, without a point."""
    whole = (numbers == np.trunc(numbers)) & (np.abs(numbers) < WHOLE)
    pairs = zip(numbers.tolist(), whole.tolist(), strict=True)
    texts = [str(int(number)) if is_whole else repr(number) for number, is_whole in pairs]
    return Values(texts, numbers, np.where(whole, 0, 1), np.ones(len(texts), bool))


def find_words(array: Any, kind: str) -> Booleans:
    """Which values, shape (k,), are texts that a look at their letters tells from numbers and booleans."""
    import pyarrow
    import pyarrow.compute

    if kind == "boolean" or not (pyarrow.types.is_string(array.type) or pyarrow.types.is_large_string(array.type)):
        return np.zeros(len(array), bool)
    if kind == "text":
        return np.ones(len(array), bool)
    return np.asarray(pyarrow.compute.match_substring_regex(array, WORDY, ignore_case=True))


def read_value(value: Any, kind: str) -> Value:
    """
    A value of a declared kind (empty: of none), as Parquet has it: typed, or as text.

    >>> read_value("28.0", "integer")
    Value(text='28', number=28.0, sort='integer', fits=True)
    >>> read_value("28.5", "integer").fits, read_value("007", "").sort
    (False, 'text')
    """
    if kind == "boolean" or isinstance(value, bool):
        return read_boolean(value)
    if kind == "text":
        return Value(str(value), math.nan, "text")
    number = read_number(value)
    whole = number is not None and number.is_integer() and abs(number) < WHOLE
    if number is None or (kind == "integer" and not whole):
        boolean = kind == "" and str(value) in ("true", "false")
        return read_boolean(value) if boolean else Value(str(value), math.nan, "text", fits=kind == "")
    return Value(str(int(number)) if whole else repr(number), number, "integer" if whole else "fraction")


def read_boolean(value: Any) -> Value:
    """True and false, as ingestion reads them."""
    written = BOOLEANS.get(str(value).lower())
    if written is None:
        return Value(str(value), math.nan, "text", fits=False)
    return Value(written, float(written == "true"), "boolean")


def read_number(value: Any) -> float | None:
    """A number, or a text that is one and not a code that only looks like it (007)."""
    if isinstance(value, str):
        code = len(value) > 1 and value[0] == "0" and value[1].isdigit()
        if code or "_" in value:
            return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
