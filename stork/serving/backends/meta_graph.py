"""The signatures of a SavedModel, read from its MetaGraphDef without loading what TensorFlow would read it with."""

from collections.abc import Iterator
from dataclasses import dataclass

# Field numbers of https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/protobuf/meta_graph.proto
SIGNATURES = 5  # of a MetaGraphDef
INPUTS, OUTPUTS = 1, 2  # of a SignatureDef
TENSOR = 1  # of a TensorInfo; a sparse or composite tensor has none
KEY, VALUE = 1, 2  # of an entry of a map
VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5  # wire types


@dataclass(frozen=True)
class Signature:
    """Names of inputs and outputs, each with its tensor in the graph: `operation:0`, empty where it is no plain one."""

    inputs: dict[str, str]
    outputs: dict[str, str]


def read_signatures(meta_graph: bytes) -> dict[str, Signature]:
    """
    The signatures of a serialized MetaGraphDef, by name.

    Raises:
        ValueError: it is none.
    """
    found = {}
    for name, value in read_map(memoryview(meta_graph), SIGNATURES):
        sides = [{key: text_of(tensor) for key, tensor in read_map(value, side)} for side in (INPUTS, OUTPUTS)]
        found[name] = Signature(*sides)
    return found


def read_map(message: memoryview, field: int) -> Iterator[tuple[str, memoryview]]:
    """The entries of a map from strings to messages."""
    for number, entry in read_fields(message):
        if number == field:
            parts = dict(read_fields(entry))
            yield str(parts.get(KEY, b""), "utf-8"), parts.get(VALUE, memoryview(b""))


def text_of(tensor_info: memoryview) -> str:
    """The tensor that a TensorInfo names."""
    return str(dict(read_fields(tensor_info)).get(TENSOR, b""), "utf-8")


def read_fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """
    The fields of a message that hold bytes, with their numbers; the others are passed over.

    Raises:
        ValueError: it is no message in protobuf's wire format.
    """
    at = 0
    while at < len(message):
        key, at = read_varint(message, at)
        number, wire_type = key >> 3, key & 7
        if wire_type == VARINT:
            _, at = read_varint(message, at)
            continue
        if wire_type == BYTES:
            length, at = read_varint(message, at)
        elif wire_type in (EIGHT_BYTES, FOUR_BYTES):
            length = 8 if wire_type == EIGHT_BYTES else 4
        else:
            raise ValueError(f"expected a protobuf message, received wire type {wire_type} at byte {at}")
        if at + length > len(message):
            raise ValueError(f"expected {length} bytes at byte {at}, received {len(message) - at}")
        if wire_type == BYTES:
            yield number, message[at : at + length]
        at += length


def read_varint(message: memoryview, at: int) -> tuple[int, int]:
    """An integer of seven bits to a byte, the lowest first; and where it ends."""
    value = shift = 0
    while at < len(message):
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError(f"expected an integer to end before byte {at}")
