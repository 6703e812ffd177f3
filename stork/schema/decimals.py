"""Numbers as short as they can be: 7.53, not 7.53000020980835, for the float32 nearest to 7.53."""

from typing import Any

import numpy as np
import numpy.typing as npt

# Six digits name any float32 that six digits can name; nine name every float32.
DIGITS = (6, 7, 8, 9)
# Where all steps below are exact: the digits are integers a double holds, the powers of ten too.
SMALLEST, LARGEST = 1e-4, 1e6
FEW = 16
WHOLE = 2**24  # below it whole float32s lie no further apart than whole numbers: each is its own shortest decimal


def shortest_decimals(values: npt.NDArray[Any]) -> list[float]:
    """
    Each float32 as the double whose shortest decimal is the float32's own.

    Shape (n,), finite.

    >>> shortest_decimals(np.array([7.53, 0.1], np.float32))
    [7.53, 0.1]
    """
    if len(values) < FEW:
        return [float(str(value)) for value in values]
    if np.abs(values).max() < WHOLE and (np.trunc(values) == values).all():
        whole: list[float] = values.tolist()
        return whole
    exact = values.astype(np.float64)
    size = np.abs(exact)
    easy = (size >= SMALLEST) & (size < LARGEST)
    exponent = np.floor(np.log10(np.where(easy, size, 1.0)))
    found, open_ = exact.copy(), easy.copy()
    for digits in DIGITS:
        scale = 10.0 ** (digits - 1 - exponent)
        # An integer divided by an exact power of ten is the double nearest to that decimal.
        candidate = np.rint(exact * scale) / scale
        same = open_ & (candidate.astype(np.float32) == values)
        found[same] = candidate[same]
        open_ &= ~same
        if not open_.any():
            break
    result: list[float] = found.tolist()
    for index in np.flatnonzero(~easy & (size != 0)):
        result[index] = float(str(values[index]))
    return result
