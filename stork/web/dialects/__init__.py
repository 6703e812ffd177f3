"""
The ways programs ask for predictions. A dialect is a plain function from a Request to a Reply.

It knows bytes and the Predictor, and no web framework.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from stork.access.keys import Role
from stork.errors import BadRequest, MethodNotAllowed, StorkError, TooManyRequests, Unauthorized
from stork.schema.feature import describe
from stork.serving.ask import Context
from stork.serving.predictor import Predictor

encode_json = msgspec.json.Encoder().encode

JSON_TYPE = ("Content-Type", "application/json")


class Request(NamedTuple):
    """One HTTP request, without its query, which no dialect reads; the body is whole and unpacked."""

    method: str
    path: str
    body: bytes
    context: Context


class Reply(NamedTuple):
    """One HTTP answer; the door adds the length and the security headers."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True)
class Dialect:
    """
    One way to ask. `owns` says whether a path is its own, `role` what a caller must be for this method and path.

    `answer` never raises a StorkError: it renders each with `refuse`, as the door does with those it raises itself.
    """

    name: str
    owns: Callable[[str], bool]
    role: Callable[[str, str], Role]
    answer: Callable[[Predictor, Request], Reply]
    refuse: Callable[[StorkError], Reply]


def only_predicts(method: str, path: str) -> Role:
    """The role that a dialect's every route needs where it can do nothing but predict."""
    return "predict"


def read_pinned(document: dict[str, Any], path: str = "$") -> tuple[int | None, str | None]:
    """
    The version or the alias that an object at `path` asks for; None, None where it asks for neither.

    Raises:
        BadRequest: one is of another type, or both are given.
    """
    version, alias = document.get("version"), document.get("alias")
    if isinstance(version, float) and version.is_integer():
        version = int(version)  # several clients write integers so
    if version is not None and (isinstance(version, bool) or not isinstance(version, int)):
        raise BadRequest(f"{path}.version: expected a whole number, received {describe(version)}")
    if alias is not None and not isinstance(alias, str):
        raise BadRequest(f"{path}.alias: expected a name, received {describe(alias)}")
    check_pinned(version, alias)
    return version, alias


def check_pinned(version: int | None, alias: str | None) -> None:
    """
    Raises:
        BadRequest: both a version and an alias.
    """
    if version is not None and alias is not None:
        raise BadRequest(f"expected `version` or `alias`, received both ({version} and {describe(alias)})")


def json_reply(status: int, document: Any, *headers: tuple[str, str]) -> Reply:
    """A reply of JSON. Floats must be finite: a bare NaN is no JSON."""
    try:
        body = encode_json(document)
    except UnicodeEncodeError:  # an error that names half a surrogate pair, as it was sent
        body = json.dumps(msgspec.to_builtins(document)).encode()
    return Reply(status, [JSON_TYPE, *headers], body)


def prediction_headers(identity: str, version: int) -> tuple[tuple[str, str], tuple[str, str]]:
    """The headers every prediction carries, whatever the dialect's body has room for."""
    return ("X-Prediction-Id", identity), ("X-Model-Version", str(version))


def error_headers(error: StorkError) -> list[tuple[str, str]]:
    """What an error says outside its body: its prediction's id, who may, what is allowed, when to come again."""
    headers = []
    if error.prediction_id:
        headers.append(("X-Prediction-Id", error.prediction_id))
    if isinstance(error, Unauthorized):
        headers.append(("WWW-Authenticate", 'Bearer realm="stork"'))
    if isinstance(error, MethodNotAllowed):
        headers.append(("Allow", error.allowed))
    if isinstance(error, TooManyRequests):
        headers.append(("Retry-After", str(math.ceil(error.retry_after))))
    return headers
