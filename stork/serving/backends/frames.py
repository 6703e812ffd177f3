"""Tensors on their way between two processes: frames of a small header and the tensors' raw bytes; nothing pickled."""

import contextlib
import math
import select
import socket
import struct
import time
from dataclasses import dataclass, field

import msgspec
import numpy as np

from stork.schema.tensors import Array, Tensors

PREFIX = struct.Struct("<QQ")  # bytes of the header, bytes of all that follows
ALIGNMENT = 8  # bytes; an array that begins elsewhere would be copied before it is computed with
PIECE = 1 << 16  # bytes that are received at once, at least
LARGEST_PIECE = 1 << 20
TIME = struct.Struct("@ll")  # a timeval: seconds, microseconds
TICK = 1  # seconds that receiving waits without looking at the clock


class Head(msgspec.Struct, array_like=True):
    """One tensor: numpy's name of its dtype; a string tensor's values, any other's are the next bytes behind."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    strings: list[bytes] | None = None


class Header(msgspec.Struct, array_like=True):
    """What a frame is, and which tensors follow."""

    kind: str
    text: str
    tensors: list[Head]


ENCODER = msgspec.msgpack.Encoder()
DECODER = msgspec.msgpack.Decoder(Header)


@dataclass(slots=True)
class Frame:
    """
    To a model's process: `open` (text: what to load, as JSON), `ask`.

    From it: `answer`, `refused` (the model does not take the values) or `failed`; the text says why.
    """

    kind: str
    text: str = ""
    tensors: Tensors = field(default_factory=dict)

    def pack(self) -> bytes:
        """The frame as it is sent."""
        heads: list[Head] = []
        parts: list[bytes] = []
        for name, array in self.tensors.items():
            if array.dtype.kind in "OS":
                heads.append(Head(name, "O", array.shape, array.ravel().tolist()))
            else:
                heads.append(Head(name, array.dtype.str, array.shape))
                parts += (array.tobytes(), padding(array.nbytes))
        header = ENCODER.encode(Header(self.kind, self.text, heads))
        parts[:0] = (header, padding(len(header)))
        return b"".join((PREFIX.pack(len(header), sum(map(len, parts))), *parts))

    @classmethod
    def unpack(cls, packed: bytes) -> "Frame":
        """The frame that was sent; its numeric arrays are views of `packed`, and cannot be written to."""
        length, _ = PREFIX.unpack_from(packed)
        header = DECODER.decode(memoryview(packed)[PREFIX.size : PREFIX.size + length])
        start = PREFIX.size + length + len(padding(length))
        tensors: Tensors = {}
        for head in header.tensors:
            array: Array
            if head.strings is not None:
                array = np.array(head.strings, np.object_).reshape(head.shape)
            else:
                array = np.ndarray(head.shape, head.dtype, packed, start)
                start += array.nbytes + len(padding(array.nbytes))
            tensors[head.name] = array
        return cls(header.kind, header.text, tensors)


def padding(length: int) -> bytes:
    """What makes so many bytes a multiple of the alignment."""
    return bytes(-length % ALIGNMENT)


class Channel:
    """
    One end of a stream socket between two processes, which take turns: a frame, then its answer. Not for two threads.

    A frame that cannot be sent within `send_seconds` is given up.
    """

    def __init__(self, connection: socket.socket, send_seconds: float = 60.0) -> None:
        connection.setblocking(True)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, TIME.pack(math.ceil(send_seconds), 0))
        self._socket = connection
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        self._ticks = False
        self._pieces: list[bytes] = []  # of the frame that is being received

    def send(self, frame: Frame) -> None:
        """
        Raises:
            OSError: nobody is at the other end any more, or nobody there takes it.
        """
        self._socket.sendall(frame.pack())

    def receive(self, until: float = math.inf) -> Frame:
        """
        The next frame. One that has come in part when time is over is completed by the next call.

        Raises:
            TimeoutError: it was not whole by `until`, on time.monotonic()'s clock.
            EOFError, OSError: nobody is at the other end any more.
        """
        while missing := self._missing():
            if until < math.inf:
                self._await(until)
            with contextlib.suppress(BlockingIOError):  # a tick has passed
                piece = self._socket.recv(min(max(PIECE, missing), LARGEST_PIECE))
                if not piece:
                    raise EOFError
                self._pieces.append(piece)
        packed, self._pieces = b"".join(self._pieces), []
        return Frame.unpack(packed)

    def _await(self, until: float) -> None:
        """
        Wait for something to receive; not where there is more time than a tick, which receiving itself waits for.

        Each system call hands the interpreter to another thread, and waits to have it back.
        """
        seconds = until - time.monotonic()
        if seconds < TICK:
            if not self._poll.poll(max(0, math.ceil(seconds * 1000))):
                raise TimeoutError
        elif not self._ticks:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, TIME.pack(TICK, 0))
            self._ticks = True

    def close(self) -> None:
        self._socket.close()

    def _missing(self) -> int:
        """Bytes of the frame that have not come yet, as far as is known."""
        came = sum(map(len, self._pieces))
        if came < PREFIX.size:
            return PREFIX.size - came
        if len(self._pieces[0]) < PREFIX.size:
            self._pieces = [b"".join(self._pieces)]
        return PREFIX.size + int(PREFIX.unpack_from(self._pieces[0])[1]) - came
