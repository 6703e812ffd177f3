"""A SavedModel's graph in a session of TensorFlow's C library, as TensorFlow Serving runs it: no Python in between."""

import ctypes
import os
from ctypes import c_char_p, c_int64, c_void_p
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from stork.schema.tensors import Array
from stork.serving.backends.tensorflow_library import INVALID_ARGUMENT, Output, TensorFlowError, checked, library

# tensorflow/core/framework/types.proto
STRING = 7
NUMBERS = {
    np.dtype(name): number
    for number, name in {
        1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 9: "int64", 10: "bool",
        17: "uint16", 19: "float16", 22: "uint32", 23: "uint64",
    }.items()
}  # fmt: skip
DTYPES = {number: dtype for dtype, number in NUMBERS.items()}
STRING_BYTES = 24  # of one element of a string tensor, a TF_TString; all zeros is the empty one
# A ConfigProto: no GPU (field 1), one thread within an operation (2) and one between them (5), which are this session's
# (9), since models of this size gain nothing from a second; a graph pinned to a GPU runs here nevertheless (7).
SESSION_CONFIG = b"\x0a\x07\x0a\x03GPU\x10\x00\x10\x01\x28\x01\x48\x01\x38\x01"
# RunOptions: inter_op_thread_pool (field 3) is -1, the caller's own thread: no handing over.
RUN_OPTIONS = b"\x18" + b"\xff" * 9 + b"\x01"


class Session:
    """
    A SavedModel in memory; safe to use from any thread. It is freed with this object.

    `meta_graph` is its MetaGraphDef, serialized.

    Raises:
        ConfigurationError: TensorFlow is not installed.
        TensorFlowError: the folder cannot be loaded.
    """

    def __init__(self, folder: Path, tag: str) -> None:
        c = self._c = library()
        self._session = self._graph = None
        options, meta_graph = c.TF_NewSessionOptions(), c.TF_NewBuffer()
        try:
            with checked() as status:
                c.TF_SetConfig(options, SESSION_CONFIG, len(SESSION_CONFIG), status)
            self._graph = c.TF_NewGraph()
            with checked() as status:
                self._session = c.TF_LoadSessionFromSavedModel(
                    options, None, os.fsencode(folder), (c_char_p * 1)(tag.encode()), 1, self._graph, meta_graph, status
                )
            self.meta_graph = ctypes.string_at(meta_graph.contents.data, meta_graph.contents.length)
        finally:
            c.TF_DeleteBuffer(meta_graph)
            c.TF_DeleteSessionOptions(options)

    def __del__(self) -> None:
        c = self.__dict__.get("_c")
        if c is None:
            return
        status = c.TF_NewStatus()
        if self._session:
            c.TF_CloseSession(self._session, status)
            c.TF_DeleteSession(self._session, status)
        if self._graph:
            c.TF_DeleteGraph(self._graph)
        c.TF_DeleteStatus(status)

    def rank(self, tensor: str) -> int | None:
        """The number of axes of a tensor of the graph, `operation:0`; None where it may have any."""
        with checked() as status:
            rank = self._c.TF_GraphGetTensorNumDims(self._graph, self._find(tensor), status)
        return None if rank < 0 else int(rank)

    def call(self, feeds: list[str], fetches: list[str]) -> "Call":
        """A function from the arrays of some tensors of the graph to those of others."""
        return Call(self, [self._find(tensor) for tensor in feeds], [self._find(tensor) for tensor in fetches])

    def run(self, options: Any, feeds: Any, given: Any, fetches: Any, answered: Any) -> None:
        """
        Raises:
            TensorFlowError: the graph refused or failed.
        """
        with checked() as status:
            self._c.TF_SessionRun(
                self._session,
                options,
                feeds,
                given,
                len(given),
                fetches,
                answered,
                len(answered),
                None,
                0,
                None,
                status,
            )

    def _find(self, tensor: str) -> Output:
        name, _, index = tensor.partition(":")
        operation = self._c.TF_GraphOperationByName(self._graph, name.encode())
        if not operation or int(index or 0) >= self._c.TF_OperationNumOutputs(operation):
            raise TensorFlowError(INVALID_ARGUMENT, f"the graph has no tensor {tensor!r}")
        return Output(operation, int(index or 0))


class Call:
    """Arrays in, arrays out, which cannot be written to."""

    def __init__(self, session: Session, feeds: list[Output], fetches: list[Output]) -> None:
        self._c = library()
        self._session = session
        self._feeds, self._fetches = (Output * len(feeds))(*feeds), (Output * len(fetches))(*fetches)
        self._given, self._answered = c_void_p * len(feeds), c_void_p * len(fetches)
        self._options = self._c.TF_NewBufferFromString(RUN_OPTIONS, len(RUN_OPTIONS))

    def __call__(self, arrays: list[Array]) -> list[Array]:
        """
        What the graph computes of these, in the order they were asked for.

        Raises:
            TensorFlowError: it refused or failed.
            TypeError: it takes or gives what numpy has no type for.
        """
        given, answered = self._given(), self._answered()
        try:
            for position, array in enumerate(arrays):
                given[position] = to_tensor(self._c, array)
            self._session.run(self._options, self._feeds, given, self._fetches, answered)
            return [to_array(self._c, tensor) for tensor in answered]
        finally:
            for array, tensor in zip(arrays, given, strict=True):
                if tensor:
                    free_given(self._c, tensor, array)
            for tensor in answered:
                if tensor:
                    self._c.TF_DeleteTensor(tensor)

    def __del__(self) -> None:
        if "_options" in self.__dict__:
            self._c.TF_DeleteBuffer(self._options)


@lru_cache(maxsize=1024)
def axes(shape: tuple[int, ...]) -> Any:
    """A shape as C has it; nobody writes to it."""
    return (c_int64 * len(shape))(*shape)


def to_tensor(c: Any, array: Array) -> Any:
    """
    A tensor of its own with the same values; strings are bytes.

    Raises:
        TypeError: TensorFlow has no such values.
    """
    if array.dtype.kind in "OS":
        return to_strings(c, array)
    if array.dtype not in NUMBERS:
        raise TypeError(f"TensorFlow has no {array.dtype}")
    tensor = c.TF_AllocateTensor(NUMBERS[array.dtype], axes(array.shape), array.ndim, array.nbytes)
    ctypes.memmove(c.TF_TensorData(tensor), array.tobytes(), array.nbytes)
    return tensor


def to_strings(c: Any, array: Array) -> Any:
    values = array.ravel().tolist()
    if not all(type(value) is bytes for value in values):
        raise TypeError("a string tensor holds bytes")
    size = STRING_BYTES * len(values)
    tensor = c.TF_AllocateTensor(STRING, axes(array.shape), array.ndim, size)
    at = c.TF_TensorData(tensor)
    ctypes.memset(at, 0, size)
    for place, value in zip(range(at, at + size, STRING_BYTES), values, strict=True):
        c.TF_StringCopy(place, value, len(value))
    return tensor


def free_given(c: Any, tensor: Any, array: Array) -> None:
    """Free a tensor, and the strings in it, which nobody else does."""
    if array.dtype.kind in "OS":
        at = c.TF_TensorData(tensor)
        for place in range(at, at + STRING_BYTES * array.size, STRING_BYTES):
            c.TF_StringDealloc(place)
    c.TF_DeleteTensor(tensor)


def to_array(c: Any, tensor: Any) -> Array:
    """The same values in memory of their own; strings as objects of bytes."""
    number = c.TF_TensorType(tensor)
    shape = tuple(c.TF_Dim(tensor, axis) for axis in range(c.TF_NumDims(tensor)))
    at, size = c.TF_TensorData(tensor), c.TF_TensorByteSize(tensor)
    if number == STRING:
        places = range(at or 0, (at or 0) + size, STRING_BYTES)
        values = [ctypes.string_at(c.TF_StringGetDataPointer(place), c.TF_StringGetSize(place)) for place in places]
        found = np.empty(len(values), np.object_)
        found[:] = values
        return found.reshape(shape)
    if number not in DTYPES:
        raise TypeError(f"numpy has no type for TensorFlow's number {number}")
    return np.frombuffer(ctypes.string_at(at, size), DTYPES[number]).reshape(shape)
