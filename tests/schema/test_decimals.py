"""Answers are short and lose nothing."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stork.schema.decimals import shortest_decimals

FLOATS = st.floats(width=32)
WHOLE = st.integers(-(2**26), 2**26).map(float)


@given(st.lists(FLOATS | WHOLE, max_size=50))
def test_a_decimal_is_the_one_that_numpy_prints(numbers: list[float]) -> None:
    """Near zero or huge, whole or not: what is written is what was meant, in as few digits as can be."""
    values = np.array(numbers, np.float32)
    found = shortest_decimals(values)

    assert np.array_equal(np.array(found, np.float32), values, equal_nan=True)
    assert list(map(repr, found)) == [repr(float(str(value))) for value in values]


def test_of_all_float32_every_thousandth_is_printed_so() -> None:
    """By their bits, so that no size of number is left out; a column of a matrix, too, which is not contiguous."""
    every = np.arange(0, 2**32, 4001, dtype=np.uint64).astype(np.uint32).view(np.float32)
    values = every[np.isfinite(every)]

    assert shortest_decimals(values) == [float(str(value)) for value in values]
    assert shortest_decimals(np.stack([values, values], axis=1)[:9, 0]) == shortest_decimals(values[:9])
