"""Tensors in a file between two processes, without pickle: one of the two ran what others wrote."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from stork.schema.tensors import Array, Tensors


class Held(msgspec.Struct):
    """An array: numpy's letter for its dtype, its shape, its bytes; of a string tensor the strings one by one."""

    kind: str
    shape: tuple[int, ...]
    content: bytes
    strings: list[bytes] = []


def write_tensors(path: Path, tensors: Tensors) -> None:
    path.write_bytes(msgspec.msgpack.encode({name: hold(array) for name, array in tensors.items()}))


def hold(array: Array) -> Held:
    if array.dtype.kind in "OSU":
        strings = [value if isinstance(value, bytes) else str(value).encode() for value in array.ravel().tolist()]
        return Held("O", array.shape, b"", strings)
    return Held(array.dtype.str, array.shape, array.tobytes())


def read_tensors(path: Path) -> Tensors:
    """
    Raises:
        msgspec.MsgspecError: the file was not written by `write_tensors`.
    """
    held = msgspec.msgpack.decode(path.read_bytes(), type=dict[str, Held])
    return {name: release(array) for name, array in held.items()}


def release(held: Held) -> Array:
    array: np.ndarray[Any, Any]
    if held.kind == "O":
        array = np.empty(len(held.strings), object)
        array[:] = held.strings
    else:
        array = np.frombuffer(held.content, held.kind)
    return array.reshape(held.shape)
