"""What is wrong with a file of TOML, where, and what was probably meant: msgspec's message in the words of the file."""

import difflib
import re
from collections.abc import Iterator
from typing import Any, get_args

import msgspec

from stork.declaration.provenance import Place, find_lines
from stork.declaration.section import Section

SHOWN = 60  # characters of a value


def explain(message: str, parsed: dict[str, Any], text: str, root: type[Section]) -> str:
    """
    msgspec's message, with the line it is about, and what was received there, or what an unknown key is near to.

    `parsed` is the document whose text is `text`, `root` what it is read as.
    """
    place = read_place(message)
    unknown = re.match(r"Object contains unknown field `(.+?)`", message)
    if unknown:
        place = (*place, unknown[1])
    line = next((n for known, n in find_lines(text).items() if known[: len(place)] == place), None)
    where = "" if line is None else f" (line {line})"
    if unknown:
        said = message.replace("Object contains unknown field", "unknown key")
        return f"{said}{where}{suggest(unknown[1], section_at(root, place[:-1]), root)}"
    return f"{message}, received {shown(parsed, place)}{where}" if place else message


def read_place(message: str) -> Place:
    """
    Where a message of msgspec is about.

    >>> read_place("Expected `int`, got `str` - at `$.feature[0].tensor`")
    ('feature', 0, 'tensor')
    """
    found = re.search(r" - at `\$(.*)`$", message)
    parts = re.findall(r"\.([^.\[]+)|\[(\d+)\]", found[1]) if found else []
    return tuple(key or int(index) for key, index in parts)


def shown(parsed: Any, place: Place) -> str:
    """The value at a place of the document; of a table that it is one, of a long value its beginning."""
    for key in place:
        try:
            parsed = parsed[key]
        except (KeyError, IndexError, TypeError):
            parsed = None
    said = "a table" if isinstance(parsed, dict) else repr(parsed)
    return said if len(said) <= SHOWN else f"{said[:SHOWN]}..."


def suggest(unknown: str, section: type[msgspec.Struct], root: type[Section]) -> str:
    """The nearest key of the section, else the section that has one of this name, else the nearest key there is."""
    here = [field.encode_name for field in msgspec.structs.fields(section)]
    if near := difflib.get_close_matches(unknown, here, n=1, cutoff=0.6):
        return f"; did you mean `{near[0]}`?"
    everywhere = dict(sections_below(root))
    if owners := [name for name, keys in everywhere.items() if unknown in keys]:
        return f"; it is a key of {' and '.join(f'[{name}]' for name in owners)}"
    near = difflib.get_close_matches(unknown, sorted({key for keys in everywhere.values() for key in keys}), n=1)
    return f"; did you mean `{near[0]}`?" if near else f"; expected one of {', '.join(here)}"


def section_at(root: type[Section], place: Place) -> type[msgspec.Struct]:
    """The section that a place of the document is read as, as far as there is one."""
    section: type[msgspec.Struct] = root
    for key in place:
        inner = {field.encode_name: field.type for field in msgspec.structs.fields(section)}
        section = section_of(inner.get(key)) or section if isinstance(key, str) else section
    return section


def section_of(kind: Any) -> type[Section] | None:
    """The section that a field's type holds: itself, as an element, or as one of a choice."""
    if isinstance(kind, type) and issubclass(kind, Section):
        return kind
    return next((found for part in get_args(kind) if (found := section_of(part))), None)


def sections_below(section: type[msgspec.Struct], name: str = "") -> Iterator[tuple[str, list[str]]]:
    """Every section below one, by its name in the file, with its keys."""
    for field in msgspec.structs.fields(section):
        if inner := section_of(field.type):
            said = f"{name}{field.encode_name}"
            yield said, [key.encode_name for key in msgspec.structs.fields(inner)]
            yield from sections_below(inner, f"{said}.")
