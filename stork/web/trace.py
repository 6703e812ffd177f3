"""The caller's trace, as W3C's traceparent or Google's X-Cloud-Trace-Context carries it."""

import re
from typing import TYPE_CHECKING

from stork.serving.trace import NO_TRACE, Trace

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Version, trace, span, flags; what later versions add begins with a dash. Source: W3C Trace Context, 3.2 and 4.3.
TRACE_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
# TRACE/SPAN;o=OPTIONS with the span in decimal. Source: Cloud Trace, "Legacy HTTP header".
CLOUD_TRACE = re.compile(r"([0-9a-fA-F]{32})(?:/([0-9]{1,20}))?(?:;o=([0-9]{1,10}))?")
NOTHING = {"0"}
STATE_LENGTH = 512  # of a tracestate that must be carried; a longer one may be left behind. Source: 3.3.1.5


def read_trace(environ: "WSGIEnvironment", project: str) -> Trace:
    """
    The caller's trace, its name as Cloud Logging's where the project is known; NO_TRACE where none is carried.

    A header that is not as its specification says is passed over; tracestate is carried, and not read.
    """
    if "HTTP_TRACEPARENT" not in environ and "HTTP_X_CLOUD_TRACE_CONTEXT" not in environ:
        return NO_TRACE
    found = read_traceparent(environ.get("HTTP_TRACEPARENT", "").strip())
    state = environ.get("HTTP_TRACESTATE", "").strip()
    if found is not None and len(state) <= STATE_LENGTH and state.isascii() and state.isprintable():
        found = found._replace(state=state)
    found = found or read_cloud_trace(environ.get("HTTP_X_CLOUD_TRACE_CONTEXT", "").strip())
    if found is None:
        return NO_TRACE
    return found._replace(id=f"projects/{project}/traces/{found.id}") if project else found


def read_traceparent(text: str) -> Trace | None:
    """`00-<trace>-<span>-<flags>`: None where it is invalid, as by a version ff or a trace or span of zeros."""
    match = TRACE_PARENT.fullmatch(text)
    if match is None:
        return None
    version, trace, span, flags, more = match.groups()
    if version == "ff" or (version == "00" and more) or NOTHING in (set(trace), set(span)):
        return None
    return Trace(trace, span, bool(int(flags, 16) & 1))


def read_cloud_trace(text: str) -> Trace | None:
    """`<trace>/<span>;o=<options>`, all but the trace optional; a span of 0 is none."""
    match = CLOUD_TRACE.fullmatch(text)
    if match is None or set(match[1]) == NOTHING or int(match[2] or 0) >= 2**64:
        return None
    span = int(match[2] or 0)
    return Trace(match[1].lower(), f"{span:016x}" if span else "", bool(int(match[3] or 0) & 1))
