"""What a request may hold, and how it is told what it may not."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from server import BABY

from stork.config import PROJECT
from stork.declaration import Feature, Output, Tensor, load_declaration
from stork.errors import InvalidInstances, MalformedBody, PayloadTooLarge, StorkError
from stork.schema.decode import HIDDEN, Decoder, example_of
from stork.schema.frozen import Schema
from stork.schema.tensors import SHORT

SCHEMA = Schema.of(load_declaration(PROJECT / "model" / "babyweight" / "model.toml"))
DECODER = Decoder(SCHEMA, max_instances=100)


def decode(*instances: Any) -> Any:
    return DECODER.decode_json(json.dumps(list(instances)).encode())


def problems_of(*instances: Any) -> list[str]:
    with pytest.raises(InvalidInstances) as caught:
        decode(*instances)
    return [str(problem) for problem in caught.value.problems]


def test_accepts_the_example_made_from_the_declaration() -> None:
    """What the documents show as a valid instance is one."""
    assert len(decode(example_of(SCHEMA))) == 1


@pytest.mark.parametrize(
    ("feature", "value", "problem"),
    [
        ("mother_age", 900, "expected 10 to 60, received 900"),
        ("mother_age", 28.5, "expected a whole number from 10 to 60, received 28.5"),
        ("mother_age", "28", 'expected a whole number from 10 to 60, received "28"'),
        ("mother_age", True, "expected a whole number from 10 to 60, received true"),
        ("mother_age", None, "expected a whole number from 10 to 60, received null"),
        ("mother_age", math.nan, "expected a whole number from 10 to 60, received NaN"),
        ("mother_age", math.inf, "expected a whole number from 10 to 60, received Infinity"),
        ("mother_age", 10**90, f"expected 10 to 60, received 1{'0' * 76}..."),
        ("plurality", 6, "expected one of 1, 2, 3, 4, 5, received 6"),
        ("is_male", "true", 'expected true or false, or null, received "true"'),
        ("is_male", 1, "expected true or false, or null, received 1"),
        ("mother_age", [28], "expected a whole number from 10 to 60, received [28]"),
    ],
)
def test_refuses_a_value_outside_its_domain(feature: str, value: Any, problem: str) -> None:
    """Range, vocabulary, type, fraction and NaN are refused, with what was expected and received."""
    found = problems_of({**BABY, feature: value})

    assert found == [f"$.instances[0].{feature}: {problem}"]


def test_names_what_is_missing_unknown_or_misspelt() -> None:
    """A required feature left out and a feature that does not exist are each told, with the nearest known name."""
    instance = {("mother_agee" if name == "mother_age" else name): value for name, value in BABY.items()}

    unknown, missing = problems_of(instance)

    assert "did you mean mother_age?" in unknown
    assert missing == "$.instances[0].mother_age: expected a whole number from 10 to 60, received nothing"


def test_collects_every_problem_of_every_row_up_to_twenty() -> None:
    """A caller learns all at once what is wrong; the total says how much more there is."""
    with pytest.raises(InvalidInstances) as caught:
        decode(BABY, *[{**BABY, "mother_age": 900, "plurality": 9}] * 30)

    assert len(caught.value.problems) == 20
    assert (caught.value.total, caught.value.problems[0].path) == (60, "$.instances[1].mother_age")


@pytest.mark.parametrize("road", [lambda text: text, lambda text: text.replace("{", '{"is_male": "x", ', 1)])
def test_refuses_a_key_given_twice(road: Any) -> None:
    """A repeated key is never settled silently, also when the body is wrong in another way."""
    text = road(json.dumps([BABY]).replace('"mother_age": 28', '"mother_age": 28, "mother_age": 29'))

    with pytest.raises(InvalidInstances, match="expected each feature once, received it twice"):
        DECODER.decode_json(text.encode())


@pytest.mark.parametrize("missing", [{}, {"is_male": None}, {"is_male": ""}])
def test_a_feature_that_is_not_required_may_be_absent_null_or_empty(missing: dict[str, Any]) -> None:
    """The three ways to say "not known" reach the model as one."""
    others = {name: value for name, value in BABY.items() if name != "is_male"}

    assert math.isnan(decode({**others, **missing}).tensors["is_male"][0])


def test_whole_floats_are_integers() -> None:
    """1.0 is 1: some clients write every integer so."""
    floats = {name: float(value) if type(value) is int else value for name, value in BABY.items()}

    assert repr(decode(floats).tensors) == repr(decode(BABY).tensors)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[", "malformed JSON at line 1 column 2"),
        (b'[{"mother_age": }]', "line 1 column 17"),
        (b"\xff", "not UTF-8 at offset 0"),
        (b"[" * 100_000, "nested too deeply"),
        (b'[{"mother_age": ' + b"1" * 5000 + b"}]", "too many digits"),
    ],
)
def test_malformed_json_says_where(body: bytes, message: str) -> None:
    """A body that is no JSON is told apart from one the schema refuses, with its place."""
    with pytest.raises(MalformedBody, match=message):
        DECODER.decode_json(body)


@pytest.mark.parametrize("body", [b"[]", b"{}", b"null", b'"a"', b"[1]", b"[[]]"])
def test_refuses_what_is_no_list_of_instances(body: bytes) -> None:
    """An empty list is an error too: nobody asks for nothing on purpose."""
    with pytest.raises(InvalidInstances):
        DECODER.decode_json(body)


def test_refuses_more_instances_than_allowed() -> None:
    """The limit is told with the number received."""
    with pytest.raises(PayloadTooLarge, match="at most 100 instances, received 101"):
        decode(*[BABY] * 101)
    assert len(DECODER.decode([BABY] * 101)) == 101, "Stork's own lists have no limit"


def test_values_of_hidden_features_are_masked_in_errors() -> None:
    """A value the log may not keep is not echoed either."""
    hiding = Decoder(SCHEMA, 100, hidden=["mother_age"])

    with pytest.raises(InvalidInstances, match=HIDDEN) as caught:
        hiding.decode([{**BABY, "mother_age": 901}])
    assert "901" not in str(caught.value)


def test_integers_beyond_two_to_the_53_stay_exact() -> None:
    """An int64 never passes through a float."""
    feature = Feature(name="in", kind="integer", tensor=Tensor(dtype="int64", shape=(-1, 1)))
    decoder = Decoder(Schema(model="m", features=(feature,), outputs=(Output(name="y"),)), 10)

    assert decoder.decode_json(b'[{"in": 9007199254740993}]').tensors["in"].tolist() == [[9007199254740993]]


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 70), st.floats(), st.sampled_from(["", "1", "true", "é"]), st.just([1])
)
INSTANCES = st.dictionaries(st.sampled_from([*BABY, "unknown"]), VALUES, max_size=9).map(
    lambda extra: {**BABY, **extra}
)


def outcome(call: Any, argument: Any) -> str:
    """The tensors, or every problem."""
    try:
        return repr([(name, held.dtype, held.tolist()) for name, held in call(argument).tensors.items()])
    except StorkError as error:
        return str(error)


@given(st.lists(INSTANCES, min_size=1, max_size=3))
def test_the_fast_road_and_the_slow_one_agree(instances: list[dict[str, Any]]) -> None:
    """What msgspec accepts gives the same tensors as checking value by value, and what it refuses has a reason."""
    assert outcome(DECODER.decode_json, json.dumps(instances).encode()) == outcome(DECODER.decode, instances)


WIDE = [
    Feature(name="x", kind="number", range=(0.1, 60.1)),
    Feature(name="x", kind="number", required=False, tensor=Tensor(dtype="float64", missing=-1)),
    Feature(name="x", kind="integer", range=(-5, 2**60), tensor=Tensor(dtype="int64")),
    Feature(name="x", kind="integer", range=(0, 2**53), tensor=Tensor(dtype="float64")),
]
NUMBERS = st.sampled_from([0, 0.1, 1, 1.5, 60.1, 60.2, -1, 2**53, 2**53 + 1, 1e30, 10**400, math.nan, None])


@pytest.mark.parametrize("feature", WIDE, ids=lambda f: f"{f.kind}-{f.tensor.dtype}")
@given(st.lists(NUMBERS, min_size=1, max_size=3))
def test_many_rows_are_held_to_what_few_are(feature: Feature, numbers: list[float]) -> None:
    """A column checked as a whole gives the tensor, or the problems at the places, that its values give one by one."""
    decoder = Decoder(Schema(model="m", features=(feature,), outputs=(Output(name="y"),)), 1000)
    rows = [{"x": 1}, *[{"x": number} for number in numbers]] * (SHORT // 2)

    assert outcome(decoder.decode_json, json.dumps(rows).encode()) == outcome(decoder.decode, rows)


def test_refuses_a_key_given_twice_among_many_rows() -> None:
    """However long the body, the row is named."""
    text = json.dumps([BABY] * 99)[:-1] + ", " + json.dumps(BABY)[:-1] + ', "plurality": 1}]'

    with pytest.raises(InvalidInstances, match=r"instances\[99\]\.plurality: expected each feature once"):
        DECODER.decode_json(text.encode())


@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_no_bytes_get_past_the_error_tree(body: bytes) -> None:
    """Whatever is sent, the answer is an error of ours, never another exception."""
    for single in (False, True):
        with pytest.raises(StorkError):
            DECODER.decode_json(body, single=single)
