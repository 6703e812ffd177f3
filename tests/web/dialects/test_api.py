"""Stork's own dialect: what a program sends and gets back."""

from typing import Any

import numpy as np
import pytest
from server import BABY, Server

from stork.serving.ask import Answer
from stork.web.dialects import encode_json
from stork.web.dialects.api import write_predictions


@pytest.fixture(scope="module")
def server(shared_server: Server) -> Server:
    return shared_server


def test_one_feature_dict_is_answered_with_one_prediction(server: Server) -> None:
    """The answer names the model, the version and the id it is logged under, in the body and in the headers."""
    answer = server.predict(BABY)

    assert list(answer.json) == ["predictions", "model", "version", "id"]
    assert (answer.headers["x-prediction-id"], answer.headers["x-model-version"]) == (answer.json["id"], "1")


def test_predictions_come_in_the_order_of_their_instances(server: Server) -> None:
    """Row 2 of the answer is row 2 of the request, whatever else is asked with it."""
    babies = [{**BABY, "gestation_weeks": weeks} for weeks in (28, 40, 33)]
    together = [row["weight_pounds"] for row in server.predict({"instances": babies}).json["predictions"]]
    alone = [server.predict(baby).json["predictions"][0]["weight_pounds"] for baby in babies]

    assert together == pytest.approx(alone, rel=1e-5)


def test_numbers_are_the_shortest_that_name_their_float32(server: Server) -> None:
    """7.53, not 7.53000020980835: and reading it back gives the very float the model answered."""
    value = server.predict(BABY).json["predictions"][0]["weight_pounds"]

    assert repr(value) == str(np.float32(value))


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({"instances": [BABY], "model": "nobody"}, 404, "no model named 'nobody'; there is: babyweight"),
        ({"instances": [BABY], "version": 99}, 404, "has no version 99; there is: 1"),
        ({"instances": [BABY], "alias": "canary"}, 404, "has no alias 'canary'; there is: stable (1)"),
        ({"instances": [BABY], "version": 1, "alias": "stable"}, 400, "`version` or `alias`, received both"),
        ({"instances": [BABY], "version": 1.5}, 400, "whole number, received 1.5"),
        (
            {"instances": [BABY], "verison": 1},
            400,
            'expected the keys instances, model, version, alias, received "verison"',
        ),
        ({"instances": []}, 400, "at least one instance, received an empty list"),
        ({"instances": BABY}, 400, "$.instances: expected a list of at least one instance"),
        ([BABY], 400, "$: expected an object of features"),
        (b'{"instances": [', 400, "malformed JSON at line 1 column 16"),
        (b'{"instances": [], "instances": []}', 400, "$.instances: expected each key once"),
        ({"instances": [{**BABY, "mother_age": 9}]}, 400, "$.instances[0].mother_age: expected 10 to 60, received 9"),
        ({**BABY, "mother_age": 9}, 400, "$.mother_age: expected 10 to 60, received 9"),
    ],
)
def test_what_is_wrong_is_said_and_where(server: Server, body: Any, status: int, error: str) -> None:
    """Every refusal tells what was expected, what was received, and which names there are."""
    answer = server.predict(body)

    assert answer.status == status
    assert error in answer.json["error"]


def test_problems_are_given_one_by_one_for_programs(server: Server) -> None:
    """Beside the sentence stands each problem with its path, expected and received."""
    answer = server.predict({"instances": [{**BABY, "mother_age": 9, "plurality": 7}]}).json

    assert [problem["path"] for problem in answer["problems"]] == [
        "$.instances[0].mother_age",
        "$.instances[0].plurality",
    ]
    assert answer["total"] == 2 and answer["id"]


def test_only_post_of_json_is_taken(server: Server) -> None:
    """Another method is 405 and says which is allowed; another type is 415."""
    get = server.request("GET", "/api/predict")
    form = server.request("POST", "/api/predict", b"a=1", Content_Type="application/x-www-form-urlencoded")

    assert (get.status, get.headers["allow"]) == (405, "POST")
    assert (form.status, "expected application/json" in form.json["error"]) == (415, True)


def test_a_version_may_be_pinned_also_as_a_whole_float(server: Server) -> None:
    """Clients that write every number as a float reach the version they mean."""
    assert server.predict({"instances": [BABY], "version": 1.0}).json["version"] == 1


def test_a_value_that_holds_the_word_instances_is_only_a_value(server: Server) -> None:
    """A bare feature dict is not mistaken for an envelope."""
    answer = server.predict({**BABY, "mother_race": "instances"})

    assert "$.mother_race: expected one of" in answer.json["error"]


@pytest.mark.parametrize(
    "columns",
    [
        {"y": [7.5]},
        {"y": [7.5, -1e30, 0.1]},
        {"y": [1, 2**60]},
        {"y": [True, False]},
        {"y": ["a, b", ""]},
        {"y": [[1.5, 2.5], [3.5, 4.5]]},
        {'a "name" of, sorts': [1.5, 2.5]},
        {"y": [1.5, 2.5], "z": ["a", "b"]},
    ],
)
def test_predictions_are_named_row_by_row(columns: dict[str, list[Any]]) -> None:
    """However they are written, they are the objects that `predictions` holds, in the same bytes."""
    answered = Answer("", "m", 1, columns, None, "dynamic", "litert")  # type: ignore[arg-type]

    assert encode_json(write_predictions(answered)) == encode_json(answered.predictions)
