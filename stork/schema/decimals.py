"""Numbers as short as they can be: 7.53, not 7.53000020980835, for the float32 nearest to 7.53."""

from typing import Any

import numpy as np
import numpy.typing as npt

# Nine digits name every float32; the fewest that name it are what stays. Fewer than six would only spare zeros.
DIGITS = (9, 8, 7, 6)
# Where all steps below are exact: the digits are integers a double holds, the powers of ten too.
SMALLEST, LARGEST = 1e-4, 1e6
POWERS = 10.0 ** np.arange(13)
FEW = 48  # values that Python writes one by one sooner than numpy does in a dozen passes
WHOLE = 2**24  # below it whole float32s lie no further apart than whole numbers: each is its own shortest decimal


def shortest_decimals(values: npt.NDArray[Any]) -> list[float]:
    """
    Each float32 as the double whose shortest decimal is the float32's own.

    Shape (n,), finite.

    >>> shortest_decimals(np.array([7.53, 0.1], np.float32))
    [7.53, 0.1]
    """
    if len(values) < FEW:
        plain: list[float] = values.tolist()
        if len(plain) > 1 and all(map(float.is_integer, plain)) and max(map(abs, plain)) < WHOLE:
            return plain
        return [float(str(value)) for value in values]
    if np.abs(values).max() < WHOLE and (np.trunc(values) == values).all():
        whole: list[float] = values.tolist()
        return whole
    exact = values.astype(np.float64)
    size = np.abs(exact)
    easy = (size >= SMALLEST) & (size < LARGEST)
    exponent = np.floor(np.log10(np.where(easy, size, 1.0))).astype(np.intp)
    found = exact.copy()
    for digits in DIGITS:
        scale = POWERS[digits - 1 - exponent]
        # An integer divided by an exact power of ten is the double nearest to that decimal.
        candidate = np.rint(exact * scale) / scale
        np.copyto(found, candidate, where=candidate.astype(np.float32) == values)
    result: list[float] = found.tolist()
    for index in np.flatnonzero(~easy & (size != 0)):
        result[index] = float(str(values[index]))
    return result
