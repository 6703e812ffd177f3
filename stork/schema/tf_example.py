"""tf.Example in protobuf's wire format: a map from a feature's name to a list of floats, of integers or of strings."""

import struct
from collections.abc import Mapping, Sequence

Values = Sequence[float] | Sequence[int] | Sequence[bytes]

# Field numbers of https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/example/feature.proto
BYTES_LIST, FLOAT_LIST, INT64_LIST = 1, 2, 3
FEATURES = FEATURE = KEY = VALUES = 1
VALUE = 2


def encode_example(features: Mapping[str, Values]) -> bytes:
    """
    A serialized tf.Example. The values of a feature are of one type: float, int (64 bits), or bytes; it may have none.

    Raises:
        OverflowError, struct.error: an integer of more than 64 bits, a float beyond float32.
    """
    entries = b"".join(
        field(FEATURE, field(KEY, name.encode()) + field(VALUE, encode_feature(values)))
        for name, values in features.items()
    )
    return field(FEATURES, entries)


def encode_feature(values: Values) -> bytes:
    """One feature: the list of its values; empty where there are none, which is a feature without a type."""
    if not values:
        return b""
    if isinstance(values[0], float):
        return field(FLOAT_LIST, field(VALUES, struct.pack(f"<{len(values)}f", *values)))
    if isinstance(values[0], int):
        packed = b"".join(varint(struct.unpack("<Q", struct.pack("<q", value))[0]) for value in values)
        return field(INT64_LIST, field(VALUES, packed))
    return field(BYTES_LIST, b"".join(field(VALUES, value) for value in values))  # type: ignore[arg-type]


def field(number: int, content: bytes) -> bytes:
    """A field of wire type 2: its number, its length, its content."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    """An unsigned integer, seven bits to a byte, the lowest first."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
