"""The bytes of a body's instances, whatever else is in it."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stork.errors import MalformedBody
from stork.schema.decode import parse_json
from stork.web.dialects.envelope import cut_instances, parsed, read_fields

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('ab]}{["\\:,é', max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab]:", max_size=2), inner, max_size=3),
    max_leaves=8,
)
ROWS = st.lists(st.dictionaries(st.text("ab]:", max_size=2), VALUES, max_size=3), max_size=3)
OTHERS = st.dictionaries(st.sampled_from(["model", "version", "alias", "x", "instances "]), VALUES, max_size=2)


def outcome(body: bytes) -> Any:
    """What a body is, or where it stops being JSON."""
    try:
        return parse_json(body)
    except MalformedBody as error:
        return str(error)


@given(ROWS, OTHERS, st.booleans(), st.sampled_from([(", ", ": "), (",", ":")]))
def test_a_cut_list_is_the_whole_body_s(rows: Any, others: Any, first: bool, separators: tuple[str, str]) -> None:
    """Whatever stands in strings, and whatever else is in the body, before the list or after it."""
    document = {"instances": rows, **others} if first else {**others, "instances": rows}
    body = json.dumps(document, separators=separators, ensure_ascii=False).encode()
    cut = cut_instances(body)

    assert cut is None or (not others and parse_json(cut) == rows)
    assert {name: parsed(value) for name, value in read_fields(body).items()} == document


@given(ROWS, st.data())
@example([{"a": 1}], None)
def test_what_is_wrong_is_where_it_is_in_the_whole_body(rows: Any, data: Any) -> None:
    """A byte too many or some too few, anywhere in it: the same words, the same column."""
    body = json.dumps({"instances": rows}, ensure_ascii=False).encode()
    if data is not None:
        place = data.draw(st.integers(0, len(body) - 1))
        instead = data.draw(st.sampled_from([b"", b"]", b"}", b"\xff", b"\n", b'"', b"1"]))
        body = body[:place] + instead + body[place + data.draw(st.integers(0, 8)) :]
    cut = cut_instances(body)
    if cut is not None:
        whole, found = outcome(body), outcome(cut)

        assert found == (whole if isinstance(whole, str) else whole["instances"])


@pytest.mark.parametrize(
    "body",
    [
        b'{"instances": [{"a": [1]}]}',
        b'{"instances": [{"a": 1}], "version": [1]}',
        b'{"version": 1, "instances": [{"a": 1}]}',
        b'{"instances": [{"a": 1}]} ',
        b'{"instances": 1, "instances": [{"a": 1}]}',
        b'{"instances": {"a": [1]}',
    ],
)
def test_what_may_hold_more_is_not_cut(body: bytes) -> None:
    """It is gone over by whoever reads all its fields."""
    assert cut_instances(body) is None


def test_most_bodies_are_cut() -> None:
    """As json.dumps writes them, as JavaScript does, and msgspec."""
    for body in (b'{"instances": [{"a": 1}, {"a": 2}]}', b'{"instances":[{"a":1}]}'):
        assert cut_instances(body) == body.partition(b":")[2].strip()[:-1]


@pytest.mark.parametrize(
    ("body", "column"),
    [(b'{"instances": [{"s": [1]}', 26), (b'{"instances": [{"s": {"a": [1]}', 32), (b'{"instances":[x]}', 15)],
)
def test_a_list_that_is_left_open_is_said_where_the_body_ends(body: bytes, column: int) -> None:
    """Not where what was cut out of it does."""
    cut = cut_instances(body)
    assert cut is not None
    with pytest.raises(MalformedBody, match=f"line 1 column {column}:"):
        parse_json(cut)
