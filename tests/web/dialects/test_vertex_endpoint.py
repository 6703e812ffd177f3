"""The dialect of Vertex AI: what a client of an endpoint sends and gets back."""

import base64
import json
from typing import Any

import pytest
from server import BABY, Response, Server

LOCATION = "projects/p/locations/us-central1"
OLD = {**BABY, "mother_age": 900}


@pytest.fixture(scope="module")
def server(shared_server: Server) -> Server:
    return shared_server


def ask(server: Server, body: Any, verb: str = "predict", endpoint: str = "babyweight") -> Response:
    return server.request("POST", f"/v1/{LOCATION}/endpoints/{endpoint}:{verb}", body)


def test_a_prediction_says_which_model_and_version_it_is_of(server: Server) -> None:
    """The version is the deployed model; the model is a resource of the project that was asked for."""
    answer = ask(server, {"instances": [BABY]})

    assert {name: value for name, value in answer.json.items() if name != "predictions"} == {
        "deployedModelId": "1",
        "model": f"{LOCATION}/models/babyweight",
        "modelVersionId": "1",
        "modelDisplayName": "babyweight",
    }
    assert answer.headers["x-prediction-id"] and answer.headers["x-model-version"] == "1"


def test_predictions_are_those_of_the_other_dialects(server: Server) -> None:
    """The same numbers, in the order of the instances; bare, since there is one output."""
    babies = [{**BABY, "gestation_weeks": weeks} for weeks in (28, 40, 33)]
    other = server.predict({"instances": babies}).json["predictions"]

    assert ask(server, {"instances": babies}).json["predictions"] == [row["weight_pounds"] for row in other]


def test_integers_may_come_as_floats_and_with_a_query(server: Server) -> None:
    """Google's client writes every number as a float, and says in the query how it wants enumerations."""
    floats = {name: float(value) if type(value) is int else value for name, value in BABY.items()}
    path = f"/v1/{LOCATION}/endpoints/babyweight:predict?%24alt=json%3Benum-encoding%3Dint"

    assert server.request("POST", path, {"instances": [floats]}).status == 200


@pytest.mark.parametrize("parameters", [{"version": 1}, {"version": 1.0}, {"alias": "stable"}, {}, None])
def test_parameters_may_ask_for_a_version(server: Server, parameters: Any) -> None:
    """By number or by alias; without either `stable` answers."""
    assert ask(server, {"instances": [BABY], "parameters": parameters}).json["modelVersionId"] == "1"


@pytest.mark.parametrize(
    ("body", "status", "code", "message"),
    [
        ({"instances": [OLD]}, 400, "INVALID_ARGUMENT", "$.instances[0].mother_age: expected 10 to 60, received 900"),
        ({"instances": []}, 400, "INVALID_ARGUMENT", "$.instances: expected a list of at least one instance"),
        ({}, 400, "INVALID_ARGUMENT", "$.instances: expected a list of at least one instance"),
        (b'{"instances": [', 400, "INVALID_ARGUMENT", "malformed JSON at line 1 column 16"),
        ([BABY], 400, "INVALID_ARGUMENT", "expected a JSON object, received a list of 1"),
        (b'{"instances": [], "instances": []}', 400, "INVALID_ARGUMENT", "$.instances: expected each key once"),
        ({"instances": [BABY], "x": 1}, 400, "INVALID_ARGUMENT", 'Unknown name "x": Cannot find field.'),
        ({"instances": [BABY], "signature_name": "x"}, 400, "INVALID_ARGUMENT", "expected 'serving_default'"),
        ({"instances": [BABY], "parameters": {"verison": 1}}, 400, "INVALID_ARGUMENT", "expected version or alias"),
        ({"instances": [BABY], "parameters": {"version": 99}}, 404, "NOT_FOUND", "has no version 99; there is: 1"),
        ({"instances": [BABY], "parameters": {"alias": "x"}}, 404, "NOT_FOUND", "there is: stable (1)"),
        (
            {"instances": [BABY], "parameters": {"alias": "stable", "version": 1}},
            400,
            "INVALID_ARGUMENT",
            "expected `version` or `alias`, received both",
        ),
    ],
)
def test_errors_are_of_googles_shape(server: Server, body: Any, status: int, code: str, message: str) -> None:
    """code, status and a message that says what was expected: Google's clients raise them as errors of their own."""
    answer = ask(server, body)
    error = answer.json["error"]

    assert (answer.status, error["code"], error["status"]) == (status, status, code)
    assert message in error["message"]


def test_every_refused_value_is_a_field_violation(server: Server) -> None:
    """All problems of a request, each with the path of its value, for programs to read."""
    error = ask(server, {"instances": [BABY, {**OLD, "plurality": 7}]}).json["error"]

    assert error["details"] == [
        {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [
                {"field": "instances[1].mother_age", "description": "expected 10 to 60, received 900"},
                {"field": "instances[1].plurality", "description": "expected one of 1, 2, 3, 4, 5, received 7"},
            ],
        }
    ]


@pytest.mark.parametrize(
    ("endpoint", "verb", "message"),
    [("other", "predict", "no endpoint 'other'; there is: babyweight"), ("babyweight", "train", ":rawPredict")],
)
def test_what_is_not_there_is_404_and_says_what_is(server: Server, endpoint: str, verb: str, message: str) -> None:
    """An endpoint's id is a model's name."""
    answer = ask(server, {"instances": [BABY]}, verb, endpoint)

    assert answer.status == 404 and message in answer.json["error"]["message"]


def test_only_post_is_allowed(server: Server) -> None:
    """And the answer says so."""
    answer = server.request("GET", f"/v1/{LOCATION}/endpoints/babyweight:predict")

    assert (answer.status, answer.headers["allow"]) == (405, "POST")


def test_an_explanation_divides_the_prediction_among_the_features(server: Server) -> None:
    """Baseline plus attributions is the prediction: they are exact, and say so."""
    answer = ask(server, {"instances": [BABY, {**BABY, "gestation_weeks": 28}]}, "explain").json
    found = [explanation["attributions"][0] for explanation in answer["explanations"]]
    sums = [a["baselineOutputValue"] + sum(a["featureAttributions"].values()) for a in found]

    assert sums == pytest.approx(answer["predictions"], rel=1e-5)
    assert {(a["outputName"], a["approximationError"], "outputIndex" in a) for a in found} == {
        ("weight_pounds", 0.0, False)
    }
    assert found[1]["featureAttributions"].keys() == BABY.keys()


@pytest.mark.parametrize(
    ("extra", "status", "message"),
    [
        ({"deployedModelId": "1"}, 200, ""),
        ({"deployedModelId": "99"}, 404, "has no version 99; there is: 1"),
        ({"deployedModelId": "9" * 5000}, 400, "$.deployedModelId: expected a version"),
        ({"deployedModelId": "x"}, 400, "$.deployedModelId: expected a version"),
        ({"deployedModelId": "1", "parameters": {"alias": "stable"}}, 400, "received both"),
        ({"explanationSpecOverride": {"parameters": {"topK": 1}}}, 400, "contributions are exact"),
    ],
)
def test_an_explanation_may_be_asked_of_a_version(server: Server, extra: Any, status: int, message: str) -> None:
    """By the id of the deployed model, which is a version here; another kind of explanation is not pretended."""
    answer = ask(server, {"instances": [BABY], **extra}, "explain")

    assert answer.status == status
    assert not message or message in answer.json["error"]["message"]


def test_explaining_ends_at_the_deadline(server: Server) -> None:
    """A thousand explanations take seconds: who waits no longer is not computed for."""
    path = f"/v1/{LOCATION}/endpoints/babyweight:explain"
    answer = server.request("POST", path, {"instances": [BABY] * 1000}, X_Server_Timeout="0.2")

    assert (answer.status, answer.json["error"]["status"]) == (504, "DEADLINE_EXCEEDED")


def test_a_raw_prediction_is_what_a_container_answers(server: Server) -> None:
    """Predictions and nothing else; the headers name the endpoint and the version."""
    answer = ask(server, {"instances": [BABY], "signature_name": "serving_default"}, "rawPredict")

    assert list(answer.json) == ["predictions"]
    assert answer.headers["x-vertex-ai-endpoint-id"] == "babyweight"
    assert answer.headers["x-vertex-ai-deployed-model-id"] == "1"


def test_a_raw_prediction_may_come_in_a_field(server: Server) -> None:
    """Clients made from the service's description send the body as base64 in `httpBody`, and read it so."""
    inner = base64.b64encode(json.dumps({"instances": [BABY]}).encode()).decode()
    answer = ask(server, {"httpBody": {"contentType": "application/json", "data": inner}}, "rawPredict").json

    assert answer["contentType"] == "application/json"
    assert list(json.loads(base64.b64decode(answer["data"]))) == ["predictions"]


@pytest.mark.parametrize("data", ["!", "A", "\u00e9"])
def test_a_field_that_is_no_base64_is_refused(server: Server, data: str) -> None:
    """400 with its place, also for text beyond ASCII."""
    answer = ask(server, {"httpBody": {"data": data}}, "rawPredict")

    assert answer.status == 400 and "$.httpBody.data: expected base64" in answer.json["error"]["message"]
