"""
The processes that TensorFlow answers in: `python -m stork.serving.backends.tensorflow_template`, on a socket as stdin.

It loads TensorFlow once, and then makes a copy of itself for every SavedModel it is asked to serve. A copy shares what
is loaded already.
"""

import contextlib
import gc
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NoReturn, TypeVar

import msgspec

from stork.errors import StorkError, ValuesRefused
from stork.schema.decode import Decoder, example_of
from stork.schema.frozen import Schema, revive
from stork.serving.backends.frames import Channel, Frame
from stork.serving.backends.saved_model import SavedModelBackend
from stork.serving.backends.tensorflow_library import library

NICENESS = 19  # while something is loaded
NAME_BYTES = 1024
MOMENT = 0.001  # seconds

Loaded = TypeVar("Loaded")


class Opening(msgspec.Struct):
    """What a process is to serve: one signature of the SavedModel in this folder."""

    folder: str
    schema: Schema


def main() -> None:
    """Make a process for each connection that is handed over, until the server that asks for them is gone."""
    # Whoever stops the server's whole group must not end a model before the last request is answered.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.dup2(2, 1)  # what a model prints is no prediction log
    control = socket.socket(fileno=0)
    in_background(library)
    gc.collect()
    gc.freeze()  # looking for garbage would copy every page that is shared
    names: dict[int, str] = {}
    signal.signal(signal.SIGCHLD, lambda number, frame: report_ended(names))
    while True:
        name, descriptors, _, _ = socket.recv_fds(control, NAME_BYTES, 1)
        if not descriptors:
            os._exit(0)
        pid = os.fork() if can_fork() else 0
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            serve(control, socket.socket(fileno=descriptors[0]))
        names[pid] = name.decode()
        os.close(descriptors[0])


def can_fork() -> bool:
    """
    Whether a copy of this process is whole: it has one thread, and no library that forbids it, as macOS's do.

    A thread that has been joined may be listed for a moment still.
    """
    if sys.platform != "linux":
        return False
    until = time.monotonic() + 100 * MOMENT
    while len(os.listdir("/proc/self/task")) > 1 and time.monotonic() < until:
        time.sleep(MOMENT)
    return len(os.listdir("/proc/self/task")) == 1


def report_ended(names: dict[int, str]) -> None:
    """Say which of the copies ended, and how, unless it was told to."""
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            pid, status = ended
            name, code = names.pop(pid, "a model"), os.waitstatus_to_exitcode(status)
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            if code:
                os.write(2, f"stork: the process of {name} ended ({how})\n".encode())


def serve(control: socket.socket, connection: socket.socket) -> NoReturn:
    """
    Load a model and answer what comes in, one frame after the other, until the other end is closed.

    What a fork shares is copied where it is first written to: so all that can wait is done in the background.
    """
    channel = Channel(connection)
    try:
        backend = in_background(partial(open_model, control, connection, channel))
        channel.send(Frame("answer"))
        while True:
            channel.send(answer(backend, channel.receive()))
    except (EOFError, OSError):
        os._exit(0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    os._exit(1)


def open_model(control: socket.socket, connection: socket.socket, channel: Channel) -> SavedModelBackend:
    """Say who this is, and load what is asked for; what cannot be loaded is answered here, until one can."""
    control.sendall(os.getpid().to_bytes(8))
    control.close()
    threading.Thread(target=end_with_server, args=(connection,), daemon=True).start()
    while True:
        try:
            return load_warm(channel.receive().text)
        except StorkError as error:
            channel.send(Frame("failed", str(error)))


def answer(backend: SavedModelBackend, frame: Frame) -> Frame:
    """What is sent back."""
    try:
        return Frame("answer", "", backend.predict(frame.tensors))
    except ValuesRefused as error:
        return Frame("refused", str(error))
    except StorkError as error:
        return Frame("failed", str(error))


def load_warm(text: str) -> SavedModelBackend:
    """
    The model that an opening asks for, asked for one row and for two.

    The first call of a session takes as long as ten others, the first of more than one row as long as hundreds: 21 ms,
    probably since only then TensorFlow chooses how it multiplies matrices.

    Raises:
        BackendError: it cannot be loaded. What it says of made-up values does not matter.
    """
    opening = msgspec.json.decode(text, type=Opening)
    schema = revive(opening.schema)
    backend = SavedModelBackend(Path(opening.folder), schema)
    for rows in (1, 2):
        with contextlib.suppress(StorkError):
            backend.predict(Decoder(schema, rows).decode([example_of(schema)] * rows).tensors)
    return backend


def end_with_server(connection: socket.socket) -> None:
    """
    End when the server does, also in the middle of a call.

    The system's own PR_SET_PDEATHSIG would end it with the *thread* that started it.
    """
    closed = select.poll()
    closed.register(connection, 0)  # tells of the other end's closing, and of nothing else
    closed.poll()
    os._exit(0)


def in_background(load: Callable[[], Loaded]) -> Loaded:
    """
    Load something at low priority, so that requests to other models do not wait for it.

    Only root can raise a priority again; so it is that of a thread which ends when all is loaded.
    """
    with ThreadPoolExecutor(1, initializer=lower_priority) as pool:
        return pool.submit(load).result()


def lower_priority() -> None:
    """Let the threads of others run first; on Linux 0 is this thread, elsewhere the whole process."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)


if __name__ == "__main__":
    main()
