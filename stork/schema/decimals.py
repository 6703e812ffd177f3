"""Numbers as short as they can be: 7.53, not 7.53000020980835, for the float32 nearest to 7.53."""

from typing import Any

import numpy as np
import numpy.typing as npt
import orjson


def shortest_decimals(values: npt.NDArray[Any]) -> list[float]:
    """
    Each float32 as the double whose shortest decimal is the float32's own.

    Shape (n,). NaN and infinities, which JSON has not, stay what they are.

    >>> shortest_decimals(np.array([7.53, 0.1], np.float32))
    [7.53, 0.1]
    """
    text = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)
    if b"null" in text:
        return [float(str(value)) for value in values]
    found: list[float] = orjson.loads(text)
    return found


def list_values(values: npt.NDArray[Any]) -> list[Any]:
    """An array (n,) as Python values; a float32 as its shortest decimal, so that 60.1 is not above a range to 60.1."""
    listed: list[Any] = shortest_decimals(values) if values.dtype == np.float32 else values.tolist()
    return listed
