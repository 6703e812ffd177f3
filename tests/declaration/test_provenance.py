"""Whoever asks where a value comes from is told the line that gives it."""

import tomllib
from typing import Any

import pytest

from stork.config import PROJECT, Settings
from stork.declaration import load_declaration
from stork.declaration.provenance import Place, find_lines, trace_declaration

TOML = """
# 'a = 1' in a comment is none
title = '''
[not.a.header]
'''
[a.b]
c.d = 1
list = [
  { x = 1 },  # ]
  { x = 2 },
]
[[feature]]
name = "one"
[[feature]]
name = "two"
[feature.tensor]
dtype = "int32"
[[feature.value]]
x = "[[feature]]"
[[feature.value]]
x = 3
"""


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("title",), 3),
        (("a", "b", "c", "d"), 7),
        (("a", "b", "list"), 8),
        (("a", "b", "list", 1, "x"), 8),
        (("feature", 0, "name"), 13),
        (("feature", 1, "name"), 15),
        (("feature", 1, "tensor", "dtype"), 17),
        (("feature", 1, "value", 0, "x"), 19),
        (("feature", 1, "value", 1, "x"), 21),
    ],
)
def test_a_key_is_found_on_its_line(place: Place, line: int) -> None:
    """Also inside tables of arrays, inline tables and dotted keys; never what only looks like one."""
    assert find_lines(TOML)[place] == line


def leaf(document: Any, place: Place) -> bool:
    """Whether a TOML document has something at this place."""
    for key in place:
        document = document[key]
    return True


def test_every_found_place_is_one_of_the_document() -> None:
    """The scanner agrees with the parser on the shipped declarations."""
    for path in (PROJECT / "model").glob("*/model.toml"):
        found = find_lines(path.read_text())
        document = tomllib.loads(path.read_text())

        assert len(found) > 100
        assert all(leaf(document, place) for place in found)


def test_a_value_is_the_files_the_environments_or_the_default() -> None:
    """And the one in effect is shown: an environment variable wins over the file."""
    path = PROJECT / "model" / "babyweight" / "model.toml"
    given = {variable: value for variable, value, _ in Settings(backend="litert").shown({})}
    traced = {key.name: key for key in trace_declaration(load_declaration(path), path, given)}
    name = traced["feature[mother_age].name"]

    assert path.read_text().splitlines()[int(name.source.split(":")[1]) - 1] == 'name = "mother_age"'
    assert (traced["serving.backend"].value, traced["serving.backend"].source) == ("litert", "STORK_BACKEND")
    assert (traced["serving.ramp.patience"].value, traced["serving.ramp.patience"].source) == (10.0, "default")
