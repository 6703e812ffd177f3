"""Answers are short and lose nothing."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stork.schema.decimals import FEW, shortest_decimals

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
WHOLE = st.integers(-(2**26), 2**26).map(float)


@given(
    st.lists(FLOATS, min_size=1, max_size=3)
    | st.lists(FLOATS | WHOLE, min_size=FEW, max_size=2 * FEW)
    | st.lists(WHOLE, min_size=FEW)
)
def test_a_decimal_gives_its_float32_back_and_none_is_shorter(numbers: list[float]) -> None:
    """Few values or many, near zero or huge: what is written is what was meant, in as few digits as numpy needs."""
    values = np.array(numbers, np.float32)
    found = shortest_decimals(values)

    assert np.array_equal(np.array(found, np.float32), values)
    assert all(len(repr(short)) <= len(repr(float(str(value)))) for short, value in zip(found, values, strict=True))


def test_ordinary_predictions_are_what_numpy_prints() -> None:
    """Over the range real predictions have the two ways agree to the last digit."""
    values = np.random.default_rng(1).uniform(0, 20, 50_000).astype(np.float32)

    assert shortest_decimals(values) == [float(str(value)) for value in values]
