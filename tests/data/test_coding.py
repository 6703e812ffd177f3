"""Columns as numbers: what a value is, in whatever type it comes."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stork.data.coding import SORTS, code_column, read_value, read_values


@pytest.mark.parametrize(
    ("value", "kind", "text", "sort", "fits"),
    [
        (28, "integer", "28", "integer", True),
        ("28.0", "integer", "28", "integer", True),
        ("28.5", "integer", "28.5", "text", False),
        ("x", "number", "x", "text", False),
        ("1e3", "number", "1000", "integer", True),
        (0.1, "number", "0.1", "fraction", True),
        ("inf", "number", "inf", "fraction", True),
        ("T", "boolean", "true", "boolean", True),
        ("maybe", "boolean", "maybe", "text", False),
        (True, "", "true", "boolean", True),
        ("false", "", "false", "boolean", True),
        ("007", "", "007", "text", True),
        ("1_000", "", "1_000", "text", True),
        ("0.5", "", "0.5", "fraction", True),
        ("7", "text", "7", "text", True),
    ],
)
def test_a_value_is_read_as_ingestion_reads_it(value: object, kind: str, text: str, sort: str, fits: bool) -> None:
    """Typed or as text it is the same value; what is not of the declared kind is told apart."""
    found = read_value(value, kind)

    assert (found.text, found.sort, found.fits) == (text, sort, fits)
    assert math.isnan(found.number) == (sort == "text")


LIKE_NUMBERS = st.text("0123456789.+-eE_ \t٣infatyINFATY", max_size=9) | st.floats().map(repr)
WRITTEN = st.text() | LIKE_NUMBERS | st.sampled_from(["true", "False", "yes", "N", "1", "0", "Infinity", "1_0"])
ARRAYS = (
    st.lists(WRITTEN).map(lambda values: pa.array(values, pa.string()))
    | st.lists(WRITTEN).map(lambda values: pa.array(values, pa.large_string()))
    | st.lists(st.integers(-(2**63), 2**63 - 1)).map(lambda values: pa.array(values, pa.int64()))
    | st.lists(st.floats()).map(lambda values: pa.array(values, pa.float64()))
    | st.lists(st.floats(width=32)).map(lambda values: pa.array(values, pa.float32()))
    | st.lists(st.booleans()).map(lambda values: pa.array(values, pa.bool_()))
    | st.lists(st.dates()).map(lambda values: pa.array(values, pa.date32()))
)


@example(array=pa.array(["nan", "Infinity", "-1e5", "yes", "FALSE", "True", "true", "x"]), kind="")
@example(array=pa.array(["nan", "1.5"]), kind="number")
@example(array=pa.array([1.0, 0.5]), kind="integer")
@given(array=ARRAYS, kind=st.sampled_from(["", "integer", "number", "boolean", "text"]))
def test_values_read_at_once_are_as_read_alone(array: pa.Array, kind: str) -> None:
    """Whatever type they come in and whatever kind is declared."""
    found, alone = read_values(array, kind), [read_value(value, kind) for value in array.to_pylist()]

    sorts = [SORTS[sort] for sort in found.sorts.tolist()]
    assert list(zip(found.texts, sorts, found.fits.tolist(), strict=True)) == [(v.text, v.sort, v.fits) for v in alone]
    np.testing.assert_array_equal(found.numbers, [value.number for value in alone])


def test_values_that_are_written_differently_are_one() -> None:
    """The texts 1 and 1.0 of an integer are the same value."""
    coded = code_column(pa.array(["1", "1.0", None, "2", "1.0"]), "integer")

    assert (coded.values.texts, coded.counts.tolist(), coded.missing) == (["1", "2"], [3, 1], 1)
    np.testing.assert_array_equal(coded.spread(), [1, 1, np.nan, 2, 1])


def test_a_row_may_hold_several_values() -> None:
    """An empty list and none at all are missing; of the rest the fewest and the most values are told."""
    coded = code_column(pa.array([[1, 2, 3], [], None, [4], [None]]), "integer")

    assert (coded.missing, coded.lengths, coded.rows.tolist()) == (3, (1, 3), [0, 0, 0, 3])


def test_a_column_without_any_value_is_missing() -> None:
    """Also one whose type says nothing."""
    coded = code_column(pa.nulls(4), "number")

    assert (coded.size, coded.missing, coded.values.texts, coded.lengths) == (4, 4, [], (0, 0))
