"""Where a request comes from: the two headers that carry a trace, read as their specifications say."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from stork.declaration import Log
from stork.errors import InvalidInstances
from stork.serving.ask import Ask, Context
from stork.serving.predictor import Predictor
from stork.serving.trace import NO_TRACE, Trace, trace_headers
from stork.store.prediction_log import PredictionLog, Record, last_records
from stork.web.trace import read_trace

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("header", "read"),
    [
        (f"00-{TRACE}-{SPAN}-01", Trace(TRACE, SPAN, True)),
        (f"00-{TRACE}-{SPAN}-00", Trace(TRACE, SPAN, False)),
        (f"00-{TRACE}-{SPAN}-fe", Trace(TRACE, SPAN, False)),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", Trace(TRACE, SPAN, True)),
        (f"cc-{TRACE}-{SPAN}-01.what", NO_TRACE),
        (f"00-{TRACE}-{SPAN}-01-more", NO_TRACE),
        (f"ff-{TRACE}-{SPAN}-01", NO_TRACE),
        (f"00-{'0' * 32}-{SPAN}-01", NO_TRACE),
        (f"00-{TRACE}-{'0' * 16}-01", NO_TRACE),
        (f"00-{TRACE.upper()}-{SPAN}-01", NO_TRACE),
        ("x", NO_TRACE),
    ],
)
def test_traceparent_is_read_as_w3c_says(header: str, read: Trace) -> None:
    """Ids of zeros, version ff and capitals are invalid; what later versions add is passed over."""
    assert read_trace({"HTTP_TRACEPARENT": header}, "") == read


@pytest.mark.parametrize(("state", "kept"), [("congo=t61rcWkgMzE", True), ("a=" + "b" * 511, False), ("a=\xe9", False)])
def test_the_tracestate_of_a_traceparent_is_carried(state: str, kept: bool) -> None:
    """Unread, where it is of a length and of characters that it must be carried with; never without a traceparent."""
    read = read_trace({"HTTP_TRACEPARENT": f"00-{TRACE}-{SPAN}-01", "HTTP_TRACESTATE": state}, "")

    assert read.state == (state if kept else "")
    assert read_trace({"HTTP_X_CLOUD_TRACE_CONTEXT": f"{TRACE}/1", "HTTP_TRACESTATE": state}, "").state == ""


def test_a_trace_is_passed_on_as_it_came() -> None:
    """Under its own id, whatever Cloud Logging calls it; one that came without a span gets one, as W3C asks."""
    headers = {"HTTP_TRACEPARENT": f"00-{TRACE}-{SPAN}-01", "HTTP_TRACESTATE": "a=b"}
    without_span = trace_headers(read_trace({"HTTP_X_CLOUD_TRACE_CONTEXT": TRACE}, "p"))["traceparent"]

    assert trace_headers(read_trace(headers, "p")) == {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "a=b"}
    assert read_trace({"HTTP_TRACEPARENT": without_span}, "").id == TRACE and trace_headers(NO_TRACE) == {}


@pytest.mark.parametrize(
    ("header", "read"),
    [
        (f"{TRACE}/1;o=1", Trace(TRACE, "0000000000000001", True)),
        (f"{TRACE.upper()}/18446744073709551615;o=0", Trace(TRACE, "f" * 16, False)),
        (f"{TRACE}/0", Trace(TRACE)),
        (TRACE, Trace(TRACE)),
        (f"{TRACE}/18446744073709551616", NO_TRACE),
        (f"{'0' * 32}/1;o=1", NO_TRACE),
        (f"{TRACE}/1;o={'9' * 5000}", NO_TRACE),
    ],
)
def test_googles_header_is_read_too(header: str, read: Trace) -> None:
    """Its span is decimal, of 64 bits; all but the trace may be left out."""
    assert read_trace({"HTTP_X_CLOUD_TRACE_CONTEXT": header}, "") == read


def test_an_invalid_traceparent_leaves_the_other_header() -> None:
    """Where the project is known, the trace is named as Cloud Logging names it."""
    headers = {"HTTP_TRACEPARENT": "x", "HTTP_X_CLOUD_TRACE_CONTEXT": f"{TRACE}/1"}

    assert read_trace(headers, "p").id == f"projects/p/traces/{TRACE}"


def test_the_trace_reaches_the_log(predictor: Predictor) -> None:
    """Also for a refused request: it is found again by the caller's trace and span."""
    with pytest.raises(InvalidInstances):
        predictor.predict(Ask(b"{}", path="$", single=True, context=Context(trace=Trace(TRACE, SPAN, True))))
    record = last_records(Path(predictor.settings.log) / predictor.default_model, 1)[0]

    assert (record["trace"], record["span"], record["sampled"]) == (TRACE, SPAN, True)


def test_cloud_logging_nests_the_record_in_its_span(capfd: pytest.CaptureFixture[str]) -> None:
    """On stdout the three keys are Cloud Logging's own."""
    record = Record("1", datetime.now(UTC), "m", 1, "", "api", 200, 0, [], {}, {}, trace="t", span=SPAN, sampled=True)
    PredictionLog("stdout", "m", Log(), b"").write(record)
    line = capfd.readouterr().out

    assert f'"logging.googleapis.com/spanId":"{SPAN}"' in line
    assert '"logging.googleapis.com/trace_sampled":true' in line
