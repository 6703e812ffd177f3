"""Inference in the Open Inference Protocol: a request of tensors, in JSON or after it, and the answer in kind."""

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from stork.errors import BadRequest, MalformedBody, UnsupportedMediaType
from stork.schema.decode import UNREADABLE, parse_json
from stork.schema.feature import describe
from stork.serving.ask import Answer, Ask
from stork.serving.loader import LoadedVersion
from stork.serving.predictor import Predictor
from stork.web.dialects import Reply, Request, encode_json, json_reply, prediction_headers
from stork.web.dialects.v2_tensors import (
    Input,
    Numbers,
    describe_tensor,
    read_columns,
    shape_of,
    write_binary,
    write_json,
)

JSON_LENGTH = "Inference-Header-Content-Length"


class RequestedOutput(msgspec.Struct):
    name: str
    parameters: dict[str, Any] = {}


class Body(msgspec.Struct):
    """An inference request; keys that are none of these are ignored, as Triton does."""

    inputs: Sequence[Input]
    id: str = ""
    parameters: dict[str, Any] = {}
    outputs: list[RequestedOutput] = []


class NumberBody(Body):
    """One whose every tensor is numbers, in plain lists or after the JSON."""

    inputs: Sequence[Numbers]


bodies = msgspec.json.Decoder(Body)
number_bodies = msgspec.json.Decoder(NumberBody)


def infer(predictor: Predictor, request: Request, name: str, version: int | None) -> Reply:
    """Predictions for the tensors of a request."""
    document, binary = split_body(request)
    body = read_body(document)
    alias = read_alias(body.parameters)
    if version is not None and alias is not None:
        raise BadRequest(f"expected a version in the path or the parameter alias, received both ({version}, {alias!r})")
    lower_deadline(request, body.parameters)
    ask = Ask([], name, version, alias, "inputs", dialect="v2", context=request.context)
    loaded = predictor.settle(ask, lambda loaded: read_columns(loaded.decoder, body.inputs, binary))
    wanted = choose_outputs(loaded, body)
    return render(predictor.predict(ask), body, wanted)


def split_body(request: Request) -> tuple[bytes, bytes]:
    """
    The JSON of a body, and the bytes of tensors after it.

    Raises:
        BadRequest: the header that says how long the JSON is, is no length of a part of the body.
        UnsupportedMediaType: bytes without that header: no tensor of this service comes alone.
    """
    length = request.context.header(JSON_LENGTH)
    if not length:
        if request.context.header("Content-Type").startswith("application/octet-stream"):
            raise UnsupportedMediaType(f"expected JSON, or the header {JSON_LENGTH} before binary tensors")
        return request.body, b""
    if not length.isdecimal() or len(length) > 18 or int(length) > len(request.body):
        raise BadRequest(f"{JSON_LENGTH}: expected at most {len(request.body)}, the body's length, received {length!r}")
    if int(length) == 0:
        raise BadRequest(f"{JSON_LENGTH}: expected JSON before the tensors; raw tensors are not taken")
    return request.body[: int(length)], request.body[int(length) :]


def read_body(document: bytes) -> Body:
    """
    Raises:
        MalformedBody: not JSON.
        BadRequest: not an inference request; the message says where.
    """
    try:
        return number_bodies.decode(document)
    except UNREADABLE:
        return read_any_body(document)


def read_any_body(document: bytes) -> Body:
    """
    One with text, booleans or nested data in it, or that is not as it should be.

    Raises:
        MalformedBody, BadRequest: as `read_body`.
    """
    try:
        return bodies.decode(document)
    except UNREADABLE as error:
        try:
            # NaN, which JSON has not and several clients send; the schema decides whether it may stand for missing.
            return msgspec.convert(parse_json(document), Body)
        except msgspec.ValidationError as problem:
            raise BadRequest(f"inference request: {problem}") from error
        except RecursionError:
            raise MalformedBody("malformed JSON: nested too deeply") from error
        except UnicodeEncodeError:  # JSON may escape what no text can hold
            raise MalformedBody("malformed JSON: a string holds half of a surrogate pair") from error


def read_alias(parameters: dict[str, Any]) -> str | None:
    alias = parameters.get("alias")
    if alias is not None and not isinstance(alias, str):
        raise BadRequest(f"parameters.alias: expected a name, received {describe(alias)}")
    return alias


def lower_deadline(request: Request, parameters: dict[str, Any]) -> None:
    """Triton's parameter `timeout`, in microseconds, counts from the arrival, as the deadline does."""
    timeout = parameters.get("timeout")
    if timeout is None:
        return
    if isinstance(timeout, bool) or not isinstance(timeout, int) or timeout < 0:
        raise BadRequest(f"parameters.timeout: expected microseconds, received {describe(timeout)}")
    context = request.context
    context.deadline = min(context.deadline, (context.arrived or time.monotonic()) + timeout / 1e6)


def choose_outputs(loaded: LoadedVersion, body: Body) -> list[tuple[str, bool]]:
    """
    Names of the outputs asked for, all where none is, and whether each comes as bytes.

    Raises:
        BadRequest: the model has no such output.
    """
    known = [output.name for output in loaded.schema.outputs]
    binary = body.parameters.get("binary_data_output", False) is True
    for output in body.outputs:
        if output.name not in known:
            raise BadRequest(
                f"unexpected inference output {output.name!r} for model {loaded.model!r}; it has {', '.join(known)}"
            )
    asked = body.outputs or [RequestedOutput(name) for name in known]
    return [(output.name, output.parameters.get("binary_data", binary) is True) for output in asked]


def render(answered: Answer, body: Body, wanted: list[tuple[str, bool]]) -> Reply:
    """The tensors asked for, in that order; binary ones after the JSON."""
    outputs = {output.name: output for output in answered.loaded.schema.outputs}
    listed, contents = [], []
    for name, binary in wanted:
        output, column = outputs[name], answered.columns[name]
        entry = describe_tensor(output) | {"shape": shape_of(output.tensor, len(column))}
        if binary:
            content = write_binary(output, column)
            contents.append(content)
            entry["parameters"] = {"binary_data_size": len(content)}
        else:
            entry |= write_json(column)
        listed.append(entry)
    document: dict[str, Any] = {"model_name": answered.model, "model_version": str(answered.version)}
    if body.id:
        document["id"] = body.id
    if answered.origin != "dynamic":
        document["parameters"] = {"origin": answered.origin}
    headers = prediction_headers(answered.id, answered.version)
    if not any(binary for _, binary in wanted):
        return json_reply(200, document | {"outputs": listed}, *headers)
    head = encode_json(document | {"outputs": listed})
    kind = ("Content-Type", "application/octet-stream")
    return Reply(200, [kind, (JSON_LENGTH, str(len(head))), *headers], b"".join([head, *contents]))
