"""The JSON object around instances: its fields, which stay bytes until it is known what they must be."""

import re
from typing import Any

import msgspec

from stork.errors import BadRequest
from stork.schema.decode import UNREADABLE, Cut, count_colons, parse_json, repeated_keys

OPENED = re.compile(rb'\{ ?"instances" ?: ?(?=\[)')

decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def cut_instances(body: bytes) -> Cut | None:
    """
    The list in a body that is `{"instances": [...]}`, as most are; None where there is more in it, or may be.

    Nobody goes over a long body twice: that the list's only `]` is its last says that nothing else follows it.
    """
    opened = OPENED.match(body)
    if opened is None or not body.endswith(b"]}") or body.find(b"]", opened.end()) != len(body) - 2:
        return None
    found = Cut(body[opened.end() : -1])
    found.whole = body
    return found


def read_fields(body: bytes) -> dict[str, Any]:
    """
    Every field as bytes; parsed where msgspec does not take the body (a NaN), or would not see all of it.

    Raises:
        MalformedBody: not JSON.
        BadRequest: not an object, or one with a key twice.
    """
    cut = cut_instances(body)
    if cut is not None:
        return {"instances": cut}
    try:
        fields = {name: bytes(value) for name, value in decode_fields(body).items()}
        if count_colons(body) - sum(map(count_colons, fields.values())) == len(fields):
            return fields
    except UNREADABLE:
        pass
    document = parse_json(body)
    if not isinstance(document, dict):
        raise BadRequest(f"expected a JSON object, received {kind_of(document)}")
    for name in repeated_keys(document):
        raise BadRequest(f"$.{name}: expected each key once, received it twice")
    return document


def parsed(value: Any) -> Any:
    """
    A field's value, whether it is still bytes or not. An object in it does not remember which keys it has twice.

    Raises:
        MalformedBody: the bytes are no JSON: msgspec does not look into a field that it leaves as bytes.
    """
    if not isinstance(value, bytes):
        return value
    try:
        return msgspec.json.decode(value)
    except UNREADABLE:
        return parse_json(value)


def kind_of(value: Any) -> str:
    """What a JSON value is, without showing what it holds: it may be what the log must not show either."""
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return f"an object of {', '.join(value) or 'nothing'}"[:200]
    return {str: "a string", bool: "true or false", type(None): "null"}.get(type(value), "a number")
