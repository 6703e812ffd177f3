"""A form asks for what the schema takes, keeps what was typed, and says beside each field what is wrong."""

from typing import Any

import msgspec
import pytest
from fakes import fake_declaration
from werkzeug.datastructures import MultiDict

from stork.declaration import Feature
from stork.errors import InvalidInstances, Problem
from stork.schema.decode import Decoder
from stork.schema.frozen import Schema
from stork.web.forms import build_form, read_instance, read_value, show_problems, word_problem

ODD_NAMES = ["in", "data", "errors", "csrf_token", "two words", "ümlaut", "a'quote", "dots.and[0]", "<b>"]
AGE = {"name": "f", "kind": "integer", "range": [10, 60], "unit": "years"}


def feature(**keys: Any) -> Feature:
    return msgspec.convert({"name": "f", **keys}, Feature)


def values(*given: Any) -> list[dict[str, Any]]:
    return [{"value": value} for value in given]


def markup(asked: Feature) -> str:
    """The field alone, as HTML."""
    return str(build_form((asked,))["f"]())


@pytest.mark.parametrize(
    ("asked", "field_type"),
    [
        (feature(kind="boolean"), "RadioField"),
        (feature(kind="boolean", widget="select"), "SelectField"),
        (feature(kind="category", values=values("a", "b", "c", "d", "e")), "RadioField"),
        (feature(kind="category", values=values("a", "b", "c", "d", "e"), required=False), "SelectField"),
        (feature(kind="category", values=values(*"abcdef")), "SelectField"),
        (feature(kind="category", values=values(*"abcdef"), widget="radio"), "RadioField"),
        (feature(kind="integer", values=values(1, 2)), "RadioField"),
        (feature(kind="integer"), "StringField"),
        (feature(kind="string"), "StringField"),
    ],
)
def test_few_choices_are_buttons_and_many_a_list(asked: Feature, field_type: str) -> None:
    """Up to five choices, not knowing among them, are seen at once; the declared widget wins."""
    assert build_form((asked,))["f"].type == field_type


@pytest.mark.parametrize(
    ("asked", "attributes"),
    [
        (feature(kind="integer", range=[10, 60]), ['type="number"', 'min="10"', 'max="60"', 'step="1"', "required"]),
        (feature(kind="number", range=[-0.5, 2.5]), ['min="-0.5"', 'max="2.5"', 'step="any"']),
        (feature(kind="string"), ['type="text"']),
    ],
)
def test_a_browser_learns_the_domain(asked: Feature, attributes: list[str]) -> None:
    """Range, step and whether a value is needed stand in the field, for keyboards and spin buttons."""
    assert not [attribute for attribute in attributes if attribute not in markup(asked)]


def test_a_minus_can_be_typed_on_a_phone() -> None:
    """Where values below zero are taken no keypad without a minus is asked for."""
    assert "inputmode" not in markup(feature(kind="number", range=[-5, 5]))
    assert 'inputmode="decimal"' in markup(feature(kind="number", range=[0, 5]))


@pytest.mark.parametrize(
    ("asked", "text", "value"),
    [
        (feature(kind="integer"), " 39 ", 39),
        (feature(kind="integer"), "1.0", 1.0),
        (feature(kind="integer"), "9007199254740993", 9007199254740993),
        (feature(kind="number"), "-2.5e-1", -0.25),
        (feature(kind="number"), "", None),
        (feature(kind="number"), None, None),
        (feature(kind="boolean"), "true", True),
        (feature(kind="boolean"), "false", False),
        (feature(kind="boolean"), "", None),
        (feature(kind="category", values=values(1, 2)), "2", 2),
        (feature(kind="category", values=values("1", "2")), "2", "2"),
        (feature(kind="string"), " as typed ", " as typed "),
    ],
)
def test_texts_become_values(asked: Feature, text: str | None, value: Any) -> None:
    """What a person types becomes what a program would send, of the same type."""
    found = read_value(asked, text)

    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("text", ["1,000", "1_000", "nan", "inf", "0x10", "\u0663", "39 weeks", "--1"])
def test_a_text_that_is_no_number_stays_a_text(text: str) -> None:
    """Nothing is guessed: 1,000 may mean one or a thousand, so the check refuses it."""
    assert read_value(feature(kind="number"), text) == text


@pytest.mark.parametrize("digits", [400, 5000])
def test_an_endless_number_is_refused_like_any_other(digits: int) -> None:
    """A number of any length is read, for the check to say that it is too large."""
    decoder = Decoder(Schema.of(fake_declaration([AGE], [{"name": "y"}])), 1)
    with pytest.raises(InvalidInstances):
        decoder.decode([{"f": read_value(feature(kind="integer"), "9" * digits)}])


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_feature_may_have_any_name(name: str) -> None:
    """Imported models name their inputs as they like; the field's id does not depend on it."""
    asked = (Feature(name=name, kind="integer", range=(0, 5)),)
    form = build_form(asked, MultiDict({name: "7"}))

    assert read_instance(asked, form) == {name: 7}
    assert form[name].id == "feature-0"


def test_nothing_sent_is_filled_in() -> None:
    """Defaults are for the first look: a field that is missing from what was sent is missing, not the default."""
    asked = (feature(kind="integer", default=28),)

    assert read_instance(asked, build_form(asked)) == {"f": 28}
    assert read_instance(asked, build_form(asked, MultiDict())) == {"f": None}


def test_the_first_form_of_the_shipped_model_is_valid(schema: Schema) -> None:
    """A person can press the button at once."""
    instance = read_instance(schema.features, build_form(schema.features))

    assert len(Decoder(schema, 1).decode([instance])) == 1


@pytest.mark.parametrize("name", ODD_NAMES)
def test_problems_stand_beside_their_field(name: str) -> None:
    """Whatever a feature is called its error finds its field, linked for who listens to the page."""
    asked = (Feature(name=name, kind="integer", range=(0, 5)),)
    schema = Schema.of(fake_declaration([{"name": name, "kind": "integer", "range": [0, 5]}], [{"name": "y"}]))
    form = build_form(asked, MultiDict({name: "7"}))
    with pytest.raises(InvalidInstances) as refused:
        Decoder(schema, 1).decode([{name: 7}])

    assert show_problems(form, refused.value.problems, asked) == []
    assert form[name].errors == ["Enter a whole number from 0 to 5, not “7”."]
    assert 'aria-describedby="feature-0-error feature-0-help" aria-invalid="true"' in str(form[name]())


def test_a_problem_of_no_field_is_told_all_the_same() -> None:
    """What the version expects and the form does not have is not swallowed."""
    problem = Problem("$.instances[0].new", "a number", "nothing")

    assert show_problems(build_form(()), [problem], ()) == [str(problem)]


@pytest.mark.parametrize(
    ("asked", "text", "sentence"),
    [
        (feature(kind="integer", range=[10, 60]), "", "Enter a whole number from 10 to 60."),
        (feature(kind="number", required=False), "x", "Enter a number, or leave it empty, not “x”."),
        (feature(kind="number"), "y" * 100, f"Enter a number, not “{'y' * 39}…”."),
        (feature(kind="boolean"), "maybe", "Choose one of these."),
        (feature(kind="category", values=values(*"abcdef")), "z", "Choose one of these."),
    ],
)
def test_problems_are_worded_for_people(asked: Feature, text: str, sentence: str) -> None:
    """A person reads what to do, not how JSON is written."""
    assert word_problem(asked, text) == sentence
