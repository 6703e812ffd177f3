"""Where predictions come from: anything with this one method."""

import math
from typing import Protocol

from stork.schema.tensors import Tensors
from stork.serving.trace import NO_TRACE, Trace


class Backend(Protocol):
    """
    One loaded version, ready to answer from any thread.

    `name` is what the log and the answer call it. `predict` takes the tensors of the schema (every feature, shape
    (n,) or (n, 1), as declared) and returns every output by tensor name, first axis n. Nobody waits for it beyond
    `deadline` (on time.monotonic()'s clock): a backend that makes calls wait gives up then.

    Raises:
        BackendError: the backend failed; a remote one also when it is down, late, or answers garbage.
    """

    name: str

    def predict(self, tensors: Tensors, deadline: float = math.inf) -> Tensors: ...

    def close(self) -> None:
        """Give back memory, sockets and threads. The backend is not used afterwards."""


class RemoteBackend(Backend, Protocol):
    """One that forwards to a service, which is told of the trace that the request is part of."""

    def predict(self, tensors: Tensors, deadline: float = math.inf, trace: Trace = NO_TRACE) -> Tensors: ...
