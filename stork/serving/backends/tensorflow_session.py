"""A SavedModel's graph in a session of TensorFlow's C library, as TensorFlow Serving runs it: no Python in between."""

import ctypes
import os
from ctypes import c_char_p, c_int64, c_void_p
from pathlib import Path
from typing import Any

import numpy as np

from stork.schema.tensors import Array
from stork.serving.backends.meta_graph import read_signatures
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
SMALL = 1 << 16  # bytes of a call's inputs that are kept for the next one
KEPT = 64  # shapes
# A ConfigProto: no GPU (field 1), one thread within an operation (2) and one between them (5), which are this session's
# (9), since models of this size gain nothing from a second; a graph pinned to a GPU runs here nevertheless (7).
SESSION_CONFIG = b"\x0a\x07\x0a\x03GPU\x10\x00\x10\x01\x28\x01\x48\x01\x38\x01"
# RunOptions: inter_op_thread_pool (field 3) is -1, the caller's own thread: no handing over.
RUN_OPTIONS = b"\x18" + b"\xff" * 9 + b"\x01"


class Session:
    """
    A SavedModel in memory; safe to use from any thread. It is freed with this object.

    `signatures` are its signatures, by name.

    Raises:
        ConfigurationError: TensorFlow is not installed.
        TensorFlowError, ValueError: the folder cannot be loaded.
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
            self.signatures = read_signatures(ctypes.string_at(meta_graph.contents.data, meta_graph.contents.length))
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
    """Arrays in, arrays out, which cannot be written to; safe to use from any thread."""

    def __init__(self, session: Session, feeds: list[Output], fetches: list[Output]) -> None:
        self._c = library()
        self._session = session
        self._feeds, self._fetches = (Output * len(feeds))(*feeds), (Output * len(fetches))(*fetches)
        self._answered = c_void_p * len(fetches)
        self._options = self._c.TF_NewBufferFromString(RUN_OPTIONS, len(RUN_OPTIONS))
        self._kept: dict[Any, Inputs] = {}  # by the dtypes and shapes of the arrays

    def __call__(self, arrays: list[Array]) -> list[Array]:
        """
        What the graph computes of these, in the order they were asked for.

        Raises:
            TensorFlowError: it refused or failed.
            TypeError: it takes or gives what numpy has no type for.
        """
        kind = tuple([(array.dtype, array.shape) for array in arrays])
        inputs, answered = self._kept.pop(kind, None), self._answered()
        if inputs is None:
            inputs = Inputs(self._c, arrays)
        else:
            inputs.write(arrays)
        try:
            self._session.run(self._options, self._feeds, inputs.tensors, self._fetches, answered)
            return [to_array(self._c, tensor) for tensor in answered]
        finally:
            for tensor in answered:
                if tensor:
                    self._c.TF_DeleteTensor(tensor)
            if inputs.can_be_used_again():
                if len(self._kept) >= KEPT:
                    self._kept.clear()
                self._kept[kind] = inputs

    def __del__(self) -> None:
        if "_options" in self.__dict__:
            self._c.TF_DeleteBuffer(self._options)


class Inputs:
    """
    A call's input tensors, for one call at a time. Small ones of numbers may serve the next of the same shapes: making
    them anew would take half as long as a small model does.

    Raises:
        TypeError: TensorFlow has no such values.
    """

    def __init__(self, c: Any, arrays: list[Array]) -> None:
        self._c = c
        self._views: list[Array] = []  # of the tensors' own memory
        self.tensors = (c_void_p * len(arrays))()
        has_strings = any(array.dtype.kind in "OS" for array in arrays)
        self._may_serve_again = not has_strings and sum(array.nbytes for array in arrays) <= SMALL
        for position, array in enumerate(arrays):
            if array.dtype.kind in "OS":
                self.tensors[position] = to_strings(c, array)
            else:
                self.tensors[position] = tensor = allocate(c, array)
                memory = (ctypes.c_char * array.nbytes).from_address(c.TF_TensorData(tensor) or 0)
                self._views.append(np.ndarray(array.shape, array.dtype, memoryview(memory)))
                self._views[-1][...] = array

    def write(self, arrays: list[Array]) -> None:
        """Take the values of other arrays, of the same dtypes and shapes."""
        for view, array in zip(self._views, arrays, strict=True):
            view[...] = array

    def can_be_used_again(self) -> bool:
        """Not where the model kept one of them, as a variable may."""
        may_move = self._c.TF_TensorMaybeMove  # says whether nobody else holds its memory
        return self._may_serve_again and all(map(may_move, self.tensors))

    def __del__(self) -> None:
        for tensor in self.tensors:
            if tensor:
                self._c.TF_DeleteTensor(tensor)


def allocate(c: Any, array: Array) -> Any:
    """
    A tensor for the values of an array of numbers.

    Raises:
        TypeError: TensorFlow has no such numbers.
    """
    if array.dtype not in NUMBERS:
        raise TypeError(f"TensorFlow has no {array.dtype}")
    return c.TF_AllocateTensor(NUMBERS[array.dtype], axes(array.shape), array.ndim, array.nbytes)


def to_strings(c: Any, array: Array) -> Any:
    """
    A tensor of strings.

    Raises:
        TypeError: a value is not bytes.
    """
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


def axes(shape: tuple[int, ...]) -> Any:
    """A shape as C has it."""
    return (c_int64 * len(shape))(*shape)


def to_array(c: Any, tensor: Any) -> Array:
    """The same values in memory of their own; strings as objects of bytes."""
    number = c.TF_TensorType(tensor)
    shape = tuple([c.TF_Dim(tensor, axis) for axis in range(c.TF_NumDims(tensor))])
    at, size = c.TF_TensorData(tensor) or 0, c.TF_TensorByteSize(tensor)
    if number == STRING:
        places = range(at, at + size, STRING_BYTES)
        values = [ctypes.string_at(c.TF_StringGetDataPointer(place), c.TF_StringGetSize(place)) for place in places]
        found = np.empty(len(values), np.object_)
        found[:] = values
        return found.reshape(shape)
    if number not in DTYPES:
        raise TypeError(f"numpy has no type for TensorFlow's number {number}")
    return np.frombuffer(ctypes.string_at(at, size), DTYPES[number]).reshape(shape)
