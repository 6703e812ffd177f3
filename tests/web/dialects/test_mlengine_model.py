"""The dialect of ML Engine: what programs of the time before Vertex AI send and get back."""

from typing import Any

import pytest
from server import BABY, Response, Server

MODEL = "/v1/projects/p/models/babyweight"


@pytest.fixture(scope="module")
def server(shared_server: Server) -> Server:
    return shared_server


def ask(server: Server, body: Any, resource: str = MODEL) -> Response:
    return server.request("POST", f"{resource}:predict", body)


def test_predictions_are_objects_by_output_name(server: Server) -> None:
    """Also where there is one output; the number is that of the other dialects."""
    babies = [{**BABY, "gestation_weeks": weeks} for weeks in (28, 40)]
    answer = ask(server, {"instances": babies, "signature_name": "serving_default"})

    assert answer.json == {"predictions": server.predict({"instances": babies}).json["predictions"]}
    assert answer.headers["x-model-version"] == "1"


@pytest.mark.parametrize("version", ["v1", "1", "stable"])
def test_a_version_goes_by_its_number_or_its_alias(server: Server, version: str) -> None:
    """The service's names begin with a letter, Stork's are numbers: `v1` and `1` are one."""
    assert ask(server, {"instances": [BABY]}, f"{MODEL}/versions/{version}").status == 200


def test_a_failed_instance_is_an_error_to_every_client(server: Server) -> None:
    """In the service's words, but with a status that its client raises; nothing fails in a body that says 200."""
    answer = ask(server, {"instances": [BABY, {**BABY, "mother_age": 9}]})
    error = answer.json["error"]

    assert (answer.status, error["status"]) == (400, "INVALID_ARGUMENT")
    assert error["message"] == "Prediction failed: $.instances[1].mother_age: expected 10 to 60, received 9"
    assert error["details"][0]["fieldViolations"][0]["field"] == "instances[1].mother_age"


@pytest.mark.parametrize(
    ("resource", "body", "status", "message"),
    [
        ("/v1/projects/p/models/nobody", {}, 404, "no model named 'nobody'; there is: babyweight"),
        (f"{MODEL}/versions/v9", {}, 404, "has no version 9; there is: 1"),
        (f"{MODEL}/versions/canary", {}, 404, "has no alias 'canary'; there is: stable (1)"),
        (f"{MODEL}/jobs/x", {}, 404, "no route"),
        (MODEL, {"instances": [BABY], "signature_name": "x"}, 400, "expected 'serving_default'"),
        (MODEL, {"instance": [BABY]}, 400, 'Unknown name "instance"'),
        (MODEL, b"{", 400, "malformed JSON"),
    ],
)
def test_what_is_wrong_is_said(server: Server, resource: str, body: Any, status: int, message: str) -> None:
    """Every refusal names what there is, in google.rpc's shape."""
    answer = ask(server, body, resource)

    assert answer.status == status and message in answer.json["error"]["message"]


def test_a_model_says_which_version_is_its_default(server: Server) -> None:
    """As `projects.models.get` and `projects.models.versions.get` do."""
    model = server.request("GET", MODEL).json
    version = server.request("GET", f"{MODEL}/versions/stable").json

    assert model["name"] == "projects/p/models/babyweight" and model["defaultVersion"] == version
    assert (version["name"], version["isDefault"]) == ("projects/p/models/babyweight/versions/v1", True)
    assert (version["state"], version["framework"]) == ("READY", "TENSORFLOW")


@pytest.mark.parametrize(("method", "path", "allowed"), [("GET", f"{MODEL}:predict", "POST"), ("POST", MODEL, "GET")])
def test_the_other_method_is_405(server: Server, method: str, path: str, allowed: str) -> None:
    """And the answer says which one it is."""
    answer = server.request(method, path)

    assert (answer.status, answer.headers["allow"]) == (405, allowed)
