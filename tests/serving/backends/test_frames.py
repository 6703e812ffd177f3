"""Frames between two processes: whatever was sent is what comes out, however the bytes arrive."""

import socket
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from stork.schema.tensors import Array
from stork.serving.backends.frames import Channel, Frame

DTYPES = st.sampled_from(["float32", "float64", "int32", "int64", "uint8", "bool"])
SHAPES = st.tuples(st.integers(0, 9)) | st.tuples(st.integers(0, 9), st.integers(1, 3))
STRINGS = st.lists(st.binary(max_size=12), max_size=5).map(lambda values: np.array(values, np.object_))
TENSORS = st.dictionaries(st.text(max_size=5), arrays.arrays(DTYPES, SHAPES) | STRINGS, max_size=4)


@pytest.fixture
def ends() -> Iterator[tuple[Channel, socket.socket]]:
    """A channel, and the bare socket at its other end."""
    ours, theirs = socket.socketpair()
    yield Channel(ours), theirs
    ours.close()
    theirs.close()


def same(one: Array, other: Array) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tolist() == other.tolist()


@given(st.text(max_size=9), TENSORS)
@settings(max_examples=200, deadline=None)
def test_what_was_packed_is_unpacked(text: str, tensors: dict[str, Array]) -> None:
    """Every dtype, shape and string to the bit, NaN too; numbers lie where a processor can compute with them."""
    tensors = {name: np.nan_to_num(a) if a.dtype.kind == "f" else a for name, a in tensors.items()}
    found = Frame.unpack(Frame("ask", text, tensors).pack())

    assert (found.kind, found.text, list(found.tensors)) == ("ask", text, list(tensors))
    assert all(same(array, tensors[name]) for name, array in found.tensors.items())
    assert all(array.flags.aligned for array in found.tensors.values())


@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_a_frame_may_come_in_pieces(ends: tuple[Channel, socket.socket], piece: int) -> None:
    """A byte at a time, or much at once; what is late is completed by the next call."""
    channel, other = ends
    rows = 40 if piece < 100 else 100_000
    packed = Frame("answer", "", {"y": np.arange(rows)}).pack()
    other.sendall(packed[:11])
    with pytest.raises(TimeoutError):
        channel.receive(time.monotonic() + 0.05)
    pieces = [packed[start : start + piece] for start in range(11, len(packed), piece)]
    sender = threading.Thread(target=lambda: [other.sendall(part) for part in pieces])
    sender.start()

    assert channel.receive(time.monotonic() + 10).tensors["y"].tolist() == list(range(rows))
    sender.join()


@pytest.mark.parametrize("seconds", [0.0, 0.05, 1.2])
def test_nobody_waits_beyond_their_time(ends: tuple[Channel, socket.socket], seconds: float) -> None:
    """Be it less than a tick or more."""
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        ends[0].receive(began + seconds)

    assert seconds <= time.monotonic() - began < seconds + 2


def test_the_other_ends_death_is_seen_at_once(ends: tuple[Channel, socket.socket]) -> None:
    """Also in the middle of a frame."""
    channel, other = ends
    other.sendall(Frame("answer").pack()[:20])
    other.close()
    with pytest.raises(EOFError):
        channel.receive(time.monotonic() + 10)
