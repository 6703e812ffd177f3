"""Instances column by column, as TensorFlow Serving takes them and MLflow after it."""

from typing import Any

import msgspec

from stork.declaration import Feature
from stork.errors import BadRequest
from stork.schema.decode import UNREADABLE, Pairs, count_colons, parse_json, repeated_keys
from stork.schema.frozen import Schema
from stork.schema.instances import Columns
from stork.web.dialects.envelope import kind_of
from stork.web.dialects.row_form import is_base64, read_value

NESTED = {dict, list, Pairs}


def read_columns(schema: Schema, values: Any, path: str = "$.inputs") -> tuple[Columns, bool]:
    """
    An object of one list per input as columns; and whether it held scalars, which are one instance.

    A model of one feature takes the list, or the scalar, alone. `values` are JSON or parsed.

    Raises:
        MalformedBody: not JSON.
        BadRequest: not an object of lists of one length, or of scalars.
    """
    given = parse_object(values) if isinstance(values, bytes) else values
    if len(schema.features) == 1 and (not isinstance(given, dict) or is_base64(given)):
        given = {schema.features[0].name: given}
    if not isinstance(given, dict):
        raise BadRequest(f"{path}: expected an object of lists, one per input, received {kind_of(given)}")
    for name in repeated_keys(given):
        raise BadRequest(f"{path}.{name}: expected each key once, received it twice")
    is_scalar = bool(given) and not any(isinstance(column, list) for column in given.values())
    if is_scalar:
        given = {name: [value] for name, value in given.items()}
    check_lengths(given, path)
    return make_columns(schema, given), is_scalar


def make_columns(schema: Schema, given: dict[str, list[Any]]) -> Columns:
    """The columns, each value as its feature takes it."""
    features = {feature.name: feature for feature in schema.features}
    return Columns({name: read_column(features.get(name), column) for name, column in given.items()})


def parse_object(values: bytes) -> Any:
    """Any JSON value; an object that has a key twice remembers it, as `parse_json` makes it."""
    try:
        parsed = msgspec.json.decode(values)
    except UNREADABLE:
        return parse_json(values)
    if isinstance(parsed, dict) and count_colons(values) != len(parsed):
        return parse_json(values)
    return parsed


def check_lengths(given: dict[str, Any], path: str) -> None:
    """
    Raises:
        BadRequest: the columns are not lists of one length of at least 1.
    """
    lengths = {name: len(column) if isinstance(column, list) else "a scalar" for name, column in given.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        received = ", ".join(f"{name}: {length}" for name, length in lengths.items()) or "none"
        raise BadRequest(f"{path}: expected lists of one length, at least 1, received {received}")


def read_column(feature: Feature | None, column: list[Any]) -> list[Any]:
    """The column's values as its feature takes them; those of an unknown one, which is refused later, as they are."""
    if feature is None or NESTED.isdisjoint(set(map(type, column))):
        return column
    wrapped = len(feature.tensor.shape) == 2
    return [read_value(value, wrapped) for value in column]
