"""Numbers, units and titles as a person reads them."""

import doctest
from typing import Any

import msgspec
import pytest
from fakes import fake_declaration
from hypothesis import given
from hypothesis import strategies as st

from stork.declaration import Display, Feature, Output
from stork.schema.frozen import Schema
from stork.serving import explain
from stork.web import words
from stork.web.words import (
    MINUS,
    convert,
    digits_for,
    in_current_words,
    name_features,
    name_value,
    show_output,
    signed,
    write_number,
)

POUNDS = Display(unit="lb", sub_unit="oz", sub_per_unit=16, digits=1)


@pytest.mark.parametrize("module", [words, explain])
def test_examples_in_docstrings_hold(module: Any) -> None:
    """What a docstring shows is what happens."""
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("pounds", "text"),
    [
        (7.53, "7 lb 8.5 oz"),
        (7.999, "8 lb 0.0 oz"),
        (0.5, "0 lb 8.0 oz"),
        (-1.5, f"{MINUS}1 lb 8.0 oz"),
        (7.0, "7 lb 0.0 oz"),
    ],
)
def test_a_fraction_is_shown_in_the_smaller_unit(pounds: float, text: str) -> None:
    """Sixteen ounces are the next pound."""
    assert convert(POUNDS, pounds) == text


@given(st.floats(-1e4, 1e4))
def test_the_smaller_unit_never_fills_the_larger(pounds: float) -> None:
    """Whatever is rounded: ounces stay below sixteen, and both together are the value to half a digit."""
    whole, _, ounces, _ = convert(POUNDS, pounds).replace(MINUS, "").replace(",", "").split()

    assert float(ounces) < 16
    assert int(whole) * 16 + float(ounces) == pytest.approx(abs(pounds) * 16, abs=0.051)


@pytest.mark.parametrize(
    ("value", "text"), [(0.44, "+0.44"), (-0.44, f"{MINUS}0.44"), (-0.004, "0.00"), (0.004, "0.00"), (0.0, "0.00")]
)
def test_a_change_has_a_sign_unless_it_rounds_to_nothing(value: float, text: str) -> None:
    """There is no minus zero on the page, and a minus is a minus, not a hyphen."""
    assert signed(value, 2) == text


@pytest.mark.parametrize(("value", "digits"), [(7.53, 2), (0.05, 2), (0.0031, 4), (0.0, 2), (1e-30, 12), (1e9, 2)])
def test_small_numbers_keep_two_figures(value: float, digits: int) -> None:
    """A probability of 0.0031 is not shown as 0.00."""
    assert digits_for(Output(name="y", digits=2), value) == digits


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (7.5312, "7.53 lb"),
        (-7.5312, f"{MINUS}7.53 lb"),
        (-0.0, "0.00 lb"),
        (7, "7 lb"),
        (-9007199254740993, f"{MINUS}9,007,199,254,740,993 lb"),
        (1234567.5, "1,234,567.50 lb"),
        (True, "true"),
        ("cheap", "cheap"),
        ({"b64": "AAE="}, "AAE="),
        ([0.25, 0.75], "0.25, 0.75 lb"),
        (["a", "b"], "a, b lb"),
        (list(range(100)), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, … (100 values) lb"),
    ],
)
def test_any_output_can_be_shown(value: Any, shown: str) -> None:
    """A number, a string, bytes or a list of them: each is shown, a long list cut."""
    assert show_output(Output(name="y", unit="lb"), value).value == shown


def test_an_output_is_shown_in_every_declared_unit() -> None:
    """Besides its own unit a number is given in the others."""
    output = Output(name="y", unit="lb", display=(POUNDS, Display(unit="kg", factor=0.45359237)))

    assert show_output(output, 7.53).others == ["7 lb 8.5 oz", "3.42 kg"]


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        ({"kind": "integer", "unit": "years"}, 28, "28 years"),
        ({"kind": "boolean", "values": [{"value": True, "title": "Male"}]}, True, "Male"),
        ({"kind": "boolean"}, False, "No"),
        ({"kind": "boolean", "required": False, "missing_title": "Not known yet"}, None, "Not known yet"),
        ({"kind": "number", "required": False}, None, "unknown"),
        ({"kind": "string"}, "two\nlines", "two lines"),
        ({"kind": "string"}, "x" * 99, "x" * 39 + "…"),
    ],
)
def test_values_have_names(keys: dict[str, Any], value: Any, words: str) -> None:
    """Beside a contribution stands what a person chose, not its code."""
    assert name_value(msgspec.convert({"name": "f", **keys}, Feature), value) == words


def test_no_two_features_are_called_alike() -> None:
    """Features of one title are told apart by their names."""
    features = (
        Feature(name="a", kind="number", title="Age"),
        Feature(name="b", kind="number", title="Age"),
        Feature(name="c", kind="number"),
    )

    assert name_features(features) == {"a": "Age (a)", "b": "Age (b)", "c": "c"}


def test_a_version_is_shown_in_the_words_of_today() -> None:
    """Titles written into the declaration after a version was made show at once; what the version takes stays."""
    frozen = fake_declaration([{"name": "f", "kind": "integer", "range": [0, 5]}], [{"name": "y"}])
    today = fake_declaration(
        [{"name": "f", "kind": "integer", "range": [0, 9], "title": "Floor", "unit": "th"}],
        [{"name": "y", "title": "Rent", "unit": "EUR"}],
    )

    schema = in_current_words(Schema.of(frozen), today)

    assert (schema.features[0].title, schema.features[0].range) == ("Floor", (0, 5))
    assert (schema.outputs[0].title, schema.outputs[0].unit) == ("Rent", "EUR")


def test_a_domain_declared_later_is_used_where_there_was_none() -> None:
    """An imported version knows no ranges: those a person fills in make the form's hints and the curve."""
    frozen = fake_declaration([{"name": "f", "kind": "integer"}], [{"name": "y"}])
    today = fake_declaration([{"name": "f", "kind": "integer", "range": [0, 9]}], [{"name": "y"}])

    assert in_current_words(Schema.of(frozen), today).features[0].range == (0, 9)


def test_a_feature_that_is_declared_no_more_keeps_its_words() -> None:
    """An old version may take what today's declaration has forgotten."""
    frozen = fake_declaration([{"name": "old", "kind": "integer", "title": "Old"}], [{"name": "z", "title": "Z"}])
    today = fake_declaration([{"name": "f", "kind": "integer"}], [{"name": "y"}])

    assert in_current_words(Schema.of(frozen), today) == Schema.of(frozen)


def test_numbers_are_written_with_a_minus() -> None:
    """A negative number has the sign that is as wide as a plus."""
    assert write_number(Output(name="y"), -1.5) == f"{MINUS}1.50"
