"""Instances and predictions row by row, as TensorFlow Serving writes them and Google's services after it."""

import base64
import binascii
import copy
from typing import Any

from stork.declaration import Output
from stork.schema.decode import parse_json
from stork.schema.frozen import Schema
from stork.serving.ask import Answer


def read_rows(schema: Schema, values: Any) -> Any:
    """
    Row form as instances. Bytes stay bytes unless the model takes bare values or one-element lists, or base64 is sent.

    A model of one feature takes the value alone; a feature of shape [-1, 1] takes [value], as its tensor does. Parsed
    values stay as they are: they may be read by another schema, too.
    """
    wrapped = {feature.name for feature in schema.features if len(feature.tensor.shape) == 2}
    if isinstance(values, bytes):
        if len(schema.features) > 1 and not wrapped and b'"b64"' not in values:
            return values
        values = parse_json(values)
    if not isinstance(values, list):
        return values  # refused where every other wrong body is
    only = schema.features[0].name if len(schema.features) == 1 else ""
    rows: list[Any] = []
    for instance in values:
        if only and (not isinstance(instance, dict) or is_base64(instance)):
            instance = {only: instance}
        if isinstance(instance, dict):
            nested = {name: value for name, value in instance.items() if isinstance(value, (dict, list))}
            if nested:
                instance = copy.copy(instance)  # with what it knows of keys given twice
                instance.update({name: read_value(value, name in wrapped) for name, value in nested.items()})
        rows.append(instance)
    return rows


def read_value(value: Any, wrapped: bool) -> Any:
    """
    A value as its feature takes it: without the list around it that a tensor of shape [-1, 1] has, and base64 as what
    it stands for.
    """
    if wrapped:
        value = unwrap(value)
    return read_base64(value) if is_base64(value) else value


def unwrap(value: Any) -> Any:
    """The one element of a one-element list, anything else as it is."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def is_base64(value: Any) -> bool:
    """Whether a value is `{"b64": "..."}` and nothing else."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def read_base64(value: dict[str, Any]) -> Any:
    """The text that `{"b64": "..."}` stands for, bytes where they are no text, and itself where it is no base64."""
    try:
        content = base64.b64decode(value["b64"], validate=True)
    except (binascii.Error, ValueError):
        return value  # refused where every other wrong value is
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


def shaped(output: Output, values: list[Any]) -> list[Any]:
    """The values nested as the tensor is: one-element lists where its shape is [-1, 1]."""
    return [[value] for value in values] if output.tensor.shape == (-1, 1) else values


def shaped_columns(answered: Answer) -> dict[str, list[Any]]:
    """The predictions by output, each column nested as its tensor is."""
    return {o.name: shaped(o, answered.columns[o.name]) for o in answered.loaded.schema.outputs}


def objects(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """One object by output name per row."""
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def predictions(answered: Answer) -> list[Any]:
    """One prediction per instance: the bare value where there is one output, else an object by output name."""
    columns = shaped_columns(answered)
    return next(iter(columns.values())) if len(columns) == 1 else objects(columns)
