"""Where the values of a declaration come from: the line of model.toml that gives each, or the default."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from stork.declaration.declaration import Declaration
from stork.declaration.section import Section

Place = tuple[str | int, ...]

# What an environment variable overrides, as far as it is given.
OVERRIDDEN = {
    "serving.backend": "STORK_BACKEND",
    "serving.vertex.endpoint": "STORK_VERTEX_ENDPOINT",
    "serving.mlengine.model": "STORK_MLENGINE_MODEL",
}


@dataclass(frozen=True)
class Declared:
    """A key of a declaration: its value in effect, and where that comes from."""

    name: str
    value: Any
    source: str


def trace_declaration(declaration: Declaration, path: Path, settings: dict[str, Any]) -> list[Declared]:
    """
    Every key of every section of the declaration that was read from `path`, in the order of the sections.

    `settings` are the values of the environment's variables by name; one that overrides a key is its source.
    """
    lines = find_lines(path.read_text(encoding="utf-8"))
    traced = []
    for place, name, value in walk(declaration):
        source = f"{path.name}:{lines[place]}" if place in lines else "default"
        variable = OVERRIDDEN.get(name, "")
        if settings.get(variable):
            value, source = settings[variable], variable
        traced.append(Declared(name, value, source))
    return traced


def walk(section: Section, place: Place = (), name: str = "") -> Iterator[tuple[Place, str, Any]]:
    """
    Every key below a section: its place in the file, its name for people, its value.

    A list inside an element of a list, such as the values of a feature, is one key.
    """
    is_element = any(isinstance(key, int) for key in place)
    for field in msgspec.structs.fields(section):
        value = getattr(section, field.name)
        here, said = (*place, field.encode_name), f"{name}{field.encode_name}"
        if isinstance(value, Section):
            yield from walk(value, here, f"{said}.")
        elif not is_element and isinstance(value, tuple) and any(isinstance(part, Section) for part in value):
            for index, part in enumerate(value):
                yield from walk(part, (*here, index), f"{said}[{getattr(part, 'name', '') or index}].")
        else:
            yield here, said, msgspec.to_builtins(value)


def find_lines(text: str) -> dict[Place, int]:
    """
    The line on which each key of a TOML document is given, the first one being 1; `feature` 0 is its first [[feature]].

    A value that is spread over lines counts from its first; what is in an inline table is on the line of the table.
    """
    found: dict[Place, int] = {}
    counts: dict[Place, int] = {}
    table: Place = ()
    for line, statement in statements(text):
        if header := re.match(r"\s*\[\[?", statement):
            keys = tuple(nested_keys(tomllib.loads(statement)))
            table = resolve(keys[:-1], counts)
            if header[0].strip() == "[[":
                counts[(*table, keys[-1])] = counts.get((*table, keys[-1]), -1) + 1
            table = resolve(keys, counts)
        else:
            for place in places(tomllib.loads(statement)):
                found[(*table, *place)] = line
    return found


def statements(text: str) -> Iterator[tuple[int, str]]:
    """The headers and `key = value` of a TOML document, with the line where each begins."""
    waiting, began = "", 0
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        began = began if waiting else number
        waiting += line
        try:
            parsed = tomllib.loads(waiting)
        except tomllib.TOMLDecodeError:
            continue  # the value goes on in the next line
        if parsed:
            yield began, waiting
        waiting = ""


def nested_keys(parsed: Any) -> Iterator[str]:
    """The keys of a header, outermost first: `[serving.ramp]` is parsed as a table in a table."""
    while parsed:
        parsed = parsed[0] if isinstance(parsed, list) else parsed
        for key, inner in parsed.items():
            yield key
            parsed = inner


def resolve(keys: Place, counts: dict[Place, int]) -> Place:
    """Keys with the index of the newest element behind each that is an array of tables."""
    place: Place = ()
    for key in keys:
        place = (*place, key)
        if place in counts:
            place = (*place, counts[place])
    return place


def places(parsed: Any, place: Place = ()) -> Iterator[Place]:
    """The place of every table, element and value in what a `key = value` says."""
    if place:
        yield place
    inner = parsed.items() if isinstance(parsed, dict) else enumerate(parsed) if isinstance(parsed, list) else ()
    for key, value in inner:
        yield from places(value, (*place, key))
