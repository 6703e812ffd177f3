"""
The ways programs ask for predictions. A dialect is a plain function from a Request to a Reply.

It knows bytes and the Predictor, and no web framework.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from stork.errors import StorkError

encode_json = msgspec.json.Encoder().encode

JSON_TYPE = ("Content-Type", "application/json")


class Request(NamedTuple):
    """One HTTP request: `header` gives a header by name (empty where not sent), the body is whole and unpacked."""

    method: str
    path: str
    header: Callable[[str], str]
    body: bytes
    trace: str = ""


class Reply(NamedTuple):
    """One HTTP answer; the door adds the length and the security headers."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def json_reply(status: int, document: Any, *headers: tuple[str, str]) -> Reply:
    """A reply of JSON. Floats must be finite: a bare NaN is no JSON."""
    return Reply(status, [JSON_TYPE, *headers], encode_json(document))


def prediction_headers(identity: str, version: int) -> tuple[tuple[str, str], tuple[str, str]]:
    """The headers every prediction carries, whatever the dialect's body has room for."""
    return ("X-Prediction-Id", identity), ("X-Model-Version", str(version))


def error_headers(error: StorkError) -> list[tuple[str, str]]:
    """The prediction id of the request that failed, where it got as far as having one."""
    return [("X-Prediction-Id", error.prediction_id)] if error.prediction_id else []
