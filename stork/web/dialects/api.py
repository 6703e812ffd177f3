"""Stork's own dialect, `POST /api/predict`: feature dicts in, named predictions and where they come from out."""

from typing import Any

import msgspec

from stork.errors import BadRequest, InvalidInstances, MethodNotAllowed, StorkError, UnsupportedMediaType
from stork.schema.decode import UNREADABLE, Pairs, count_colons, parse_json
from stork.schema.feature import describe
from stork.serving.ask import Answer, Ask
from stork.serving.predictor import Predictor
from stork.web.dialects import (
    Dialect,
    Reply,
    Request,
    check_pinned,
    encode_json,
    error_headers,
    json_reply,
    only_predicts,
    prediction_headers,
    read_pinned,
)
from stork.web.dialects.envelope import cut_instances

ENVELOPE = ("instances", "model", "version", "alias")


class Envelope(msgspec.Struct, forbid_unknown_fields=True):
    """The body with a list of instances; they stay bytes until it is known which schema they must meet."""

    instances: msgspec.Raw
    model: str = ""
    version: int | None = None
    alias: str | None = None


envelopes = msgspec.json.Decoder(Envelope)


def answer(predictor: Predictor, request: Request) -> Reply:
    """Predictions for the body's instances, or the error as `{"error", "problems", "id"}`."""
    try:
        check_request(request)
        answered = predictor.predict(read_ask(request))
    except StorkError as error:
        return render_error(error)
    headers = prediction_headers(answered.id, answered.version)
    document: dict[str, Any] = {
        "predictions": write_predictions(answered),
        "model": answered.model,
        "version": answered.version,
        "id": answered.id,
    }
    if answered.origin != "dynamic":
        document["origin"] = answered.origin
    return json_reply(200, document, *headers)


def write_predictions(answered: Answer) -> msgspec.Raw | list[dict[str, Any]]:
    """
    One object per instance. Many of one number each are written as a list of numbers, whose only commas lie between
    them, and named there: no dict is made of each.
    """
    if len(answered.columns) != 1:
        return answered.predictions
    ((name, column),) = answered.columns.items()
    if len(column) == 1 or not isinstance(column[0], (int, float)):
        return answered.predictions
    opened = b"{%b:" % encode_json(name)
    numbers = encode_json(column)[1:-1].replace(b",", b"}," + opened)
    return msgspec.Raw(b"[%b%b}]" % (opened, numbers))


def check_request(request: Request) -> None:
    """
    Raises:
        MethodNotAllowed, UnsupportedMediaType: not a POST of JSON.
    """
    if request.method != "POST":
        raise MethodNotAllowed("POST")
    kind = request.context.header("Content-Type")
    if kind != "application/json" and not is_json(kind):
        raise UnsupportedMediaType(f"Content-Type: expected application/json, received {kind or 'none'}")


def is_json(content_type: str) -> bool:
    """Whether this is JSON's media type, or one built on it, with or without parameters."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def read_ask(request: Request) -> Ask:
    """
    The body as an Ask; a body that is no envelope and no object is left for the predictor to refuse, and to log.

    Raises:
        BadRequest: an envelope with a key that is none of its own, or of the wrong type.
    """
    body = request.body
    cut = cut_instances(body)
    if cut is not None:
        return Ask(cut, context=request.context)
    if b'"instances"' not in body:
        return Ask(body, path="$", single=True, context=request.context)
    try:
        envelope = envelopes.decode(body)
    except UNREADABLE:
        return read_untyped(request)
    raw = bytes(envelope.instances)
    named = 1 + sum(value not in ("", None) for value in (envelope.model, envelope.version, envelope.alias))
    if count_colons(body) - count_colons(raw) != named:
        return read_untyped(request)  # a key given twice, which msgspec does not see
    check_pinned(envelope.version, envelope.alias)
    return Ask(raw, envelope.model, envelope.version, envelope.alias, context=request.context)


def read_untyped(request: Request) -> Ask:
    """The slow road: say what is wrong with the envelope, or find that "instances" is only a word in a value."""
    try:
        document = parse_json(request.body)
    except StorkError:
        return Ask(request.body, path="$", single=True, context=request.context)  # refused there, and logged
    if not isinstance(document, Pairs) or "instances" not in document:
        return Ask(document, path="$", single=True, context=request.context)
    for name in document.repeated:
        raise BadRequest(f"$.{name}: expected each key once, received it twice")
    for name in document:
        if name not in ENVELOPE:
            raise BadRequest(f"$: expected the keys {', '.join(ENVELOPE)}, received {describe(name)}")
    model = document.get("model")
    if model is not None and not isinstance(model, str):
        raise BadRequest(f"$.model: expected a name, received {describe(model)}")
    version, alias = read_pinned(document)
    return Ask(document["instances"], model or "", version, alias, context=request.context)


def render_error(error: StorkError) -> Reply:
    """Any error of the tree in this dialect's shape."""
    document: dict[str, Any] = {"error": str(error)}
    if isinstance(error, InvalidInstances):
        document["problems"] = error.problems
        document["total"] = error.total
    if error.prediction_id:
        document["id"] = error.prediction_id
    return json_reply(error.status, document, *error_headers(error))


DIALECT = Dialect("api", lambda path: path == "/api/predict", only_predicts, answer, render_error)
