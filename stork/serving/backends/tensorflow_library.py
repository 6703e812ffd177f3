"""
TensorFlow's C library, which its Python package brings along.

https://github.com/tensorflow/tensorflow/blob/master/tensorflow/c/c_api.h says what each function does.
"""

import ctypes
import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, c_char_p, c_int, c_int64, c_size_t, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

from stork.errors import ConfigurationError

NOT_INSTALLED = "this needs TensorFlow, which is not installed here: pip install -r requirements-tensorflow.txt"
INVALID_ARGUMENT = 3


class TensorFlowError(Exception):
    """What TensorFlow says; `code` is its own (tensorflow/c/tf_status.h)."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Output(ctypes.Structure):
    """TF_Output: one tensor in a graph."""

    _fields_ = [("operation", c_void_p), ("index", c_int)]


class Buffer(ctypes.Structure):
    """TF_Buffer: bytes, and who frees them."""

    _fields_ = [("data", c_void_p), ("length", c_size_t), ("free", c_void_p)]


QUICK: dict[str, tuple[Any, list[Any]]] = {  # done in no time: the interpreter is not handed to another thread
    "TF_NewStatus": (c_void_p, []),
    "TF_GetCode": (c_int, [c_void_p]),
    "TF_Message": (c_char_p, [c_void_p]),
    "TF_DeleteStatus": (None, [c_void_p]),
    "TF_NewBuffer": (POINTER(Buffer), []),
    "TF_NewBufferFromString": (POINTER(Buffer), [c_char_p, c_size_t]),
    "TF_DeleteBuffer": (None, [POINTER(Buffer)]),
    "TF_NewSessionOptions": (c_void_p, []),
    "TF_SetConfig": (None, [c_void_p, c_char_p, c_size_t, c_void_p]),
    "TF_DeleteSessionOptions": (None, [c_void_p]),
    "TF_NewGraph": (c_void_p, []),
    "TF_GraphOperationByName": (c_void_p, [c_void_p, c_char_p]),
    "TF_OperationNumOutputs": (c_int, [c_void_p]),
    "TF_GraphGetTensorNumDims": (c_int, [c_void_p, Output, c_void_p]),
    "TF_AllocateTensor": (c_void_p, [c_int, POINTER(c_int64), c_int, c_size_t]),
    "TF_DeleteTensor": (None, [c_void_p]),
    "TF_TensorType": (c_int, [c_void_p]),
    "TF_NumDims": (c_int, [c_void_p]),
    "TF_Dim": (c_int64, [c_void_p, c_int]),
    "TF_TensorByteSize": (c_size_t, [c_void_p]),
    "TF_TensorData": (c_void_p, [c_void_p]),
    "TF_TensorMaybeMove": (c_void_p, [c_void_p]),
    "TF_StringCopy": (None, [c_void_p, c_char_p, c_size_t]),
    "TF_StringGetDataPointer": (c_void_p, [c_void_p]),
    "TF_StringGetSize": (c_size_t, [c_void_p]),
}
SLOW: dict[str, tuple[Any, list[Any]]] = {
    "TF_LoadSessionFromSavedModel": (
        c_void_p, [c_void_p, c_void_p, c_char_p, POINTER(c_char_p), c_int, c_void_p, POINTER(Buffer), c_void_p],
    ),
    "TF_SessionRun": (
        None,
        [
            c_void_p, POINTER(Buffer), POINTER(Output), POINTER(c_void_p), c_int, POINTER(Output), POINTER(c_void_p),
            c_int, c_void_p, c_int, c_void_p, c_void_p,
        ],
    ),
    "TF_CloseSession": (None, [c_void_p, c_void_p]),
    "TF_DeleteSession": (None, [c_void_p, c_void_p]),
    "TF_DeleteGraph": (None, [c_void_p]),
}  # fmt: skip


def quiet_tensorflow() -> None:
    """Set what TensorFlow reads once, when it is loaded."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # No faster for tables (measured), says so on stderr at each start, and sums in another order than LiteRT.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


def find_tensorflow() -> Path:
    """
    The folder of the package, which is not loaded.

    Raises:
        ConfigurationError: it is not installed; the message says which command installs it.
    """
    found = importlib.util.find_spec("tensorflow")
    if found is None or not found.submodule_search_locations:
        raise ConfigurationError(NOT_INSTALLED)
    return Path(found.submodule_search_locations[0])


@cache
def library() -> Any:
    """
    The C library; loaded once, and shared with the Python package where that is used too.

    Raises:
        ConfigurationError: TensorFlow is not installed, or cannot be loaded.
    """
    quiet_tensorflow()
    files = sorted(find_tensorflow().glob("libtensorflow_cc.*"))
    if not files:
        raise ConfigurationError(f"{find_tensorflow()} has no libtensorflow_cc: {NOT_INSTALLED}")
    try:
        slow, quick = ctypes.CDLL(str(files[0])), ctypes.PyDLL(str(files[0]))
        for loaded, functions in ((slow, SLOW), (quick, QUICK)):
            for name, (result, arguments) in functions.items():
                function = getattr(loaded, name)
                function.restype, function.argtypes = result, arguments
                setattr(slow, name, function)
    except (OSError, AttributeError) as error:  # the second: a TensorFlow without one of the functions
        raise ConfigurationError(f"TensorFlow cannot be loaded: {error}") from error
    return slow


@contextmanager
def checked() -> Iterator[Any]:
    """
    A status for one call.

    Raises:
        TensorFlowError: what was called says it failed.
    """
    c = library()
    status = c.TF_NewStatus()
    try:
        yield status
        if code := c.TF_GetCode(status):
            raise TensorFlowError(code, c.TF_Message(status).decode(errors="replace"))
    finally:
        c.TF_DeleteStatus(status)
