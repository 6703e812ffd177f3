"""The trace that a request is part of, and how it is passed on to a service that is asked for it."""

import os
from typing import NamedTuple


class Trace(NamedTuple):
    """
    The trace that a request is part of, the caller's span in it (16 hex digits), and whether the caller records it.

    `id` empty: none. It is 32 hex digits, after `projects/P/traces/` where Cloud Logging is to find it. `state` is the
    caller's tracestate, unread.
    """

    id: str = ""
    span: str = ""
    sampled: bool = False
    state: str = ""


NO_TRACE = Trace()


def trace_headers(trace: Trace) -> dict[str, str]:
    """
    W3C's headers that carry a trace on: as it came, since Stork records no span of its own; empty where there is none.

    A trace without a span, which Google's header allows and W3C's does not, gets one.
    """
    if not trace.id:
        return {}
    span = trace.span or os.urandom(8).hex()
    headers = {"traceparent": f"00-{trace.id.rpartition('/')[2]}-{span}-{int(trace.sampled):02x}"}
    return headers | ({"tracestate": trace.state} if trace.state else {})
