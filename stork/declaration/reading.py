"""Wording what msgspec refuses in a TOML file: an unknown key is told with the nearest known one."""

import difflib
from collections.abc import Iterator
from typing import Any, get_args

import msgspec


def explain(message: str, section: type[msgspec.Struct]) -> str:
    """msgspec's message; for an unknown key the nearest known one is added."""
    if "unknown field `" not in message:
        return message
    unknown = message.split("unknown field `", 1)[1].split("`", 1)[0]
    nearest = difflib.get_close_matches(unknown, sorted(known_keys(section)), n=1, cutoff=0.5)
    return message.replace("Object contains unknown field", "unknown key") + (
        f"; did you mean `{nearest[0]}`?" if nearest else ""
    )


def known_keys(section: type[msgspec.Struct]) -> set[str]:
    """Every key of a section and of the sections below it."""
    keys: set[str] = set()
    for field in msgspec.structs.fields(section):
        keys.add(field.encode_name)
        for part in parts_of(field.type):
            if isinstance(part, type) and issubclass(part, msgspec.Struct):
                keys |= known_keys(part)
    return keys


def parts_of(annotation: Any) -> Iterator[Any]:
    """A type and all that it is made of, such as the struct in dict[str, Struct]."""
    yield annotation
    for part in get_args(annotation):
        yield from parts_of(part)
