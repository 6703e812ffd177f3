"""The dialect of TensorFlow Serving: routes, shapes and errors as its clients know them."""

from typing import Any

import pytest
from server import BABY, Server

PREDICT = "/v1/models/babyweight:predict"
COLUMNS = {name: [value, value] for name, value in BABY.items()}


@pytest.fixture(scope="module")
def server(shared_server: Server) -> Server:
    return shared_server


def test_row_form_answers_bare_values_where_there_is_one_output(server: Server) -> None:
    """The name of a single output is left out."""
    answer = server.request("POST", PREDICT, {"instances": [BABY, BABY]})

    assert list(answer.json) == ["predictions"]
    assert [type(value) for value in answer.json["predictions"]] == [float, float]


def test_column_form_gives_the_same_numbers_as_row_form(server: Server) -> None:
    """The form of the body changes the form of the answer and nothing else."""
    rows = server.request("POST", PREDICT, {"instances": [BABY, BABY]}).json["predictions"]

    assert server.request("POST", PREDICT, {"inputs": COLUMNS}).json == {"outputs": rows}


@pytest.mark.parametrize(
    "path", ["/v1/models/babyweight/versions/1:predict", "/v1/models/babyweight/labels/stable:predict", PREDICT.upper()]
)
def test_versions_labels_and_any_case_of_the_route_are_served(server: Server, path: str) -> None:
    """A version may be pinned or named by its alias (the path says label); a model's name keeps its case."""
    path = path.replace("BABYWEIGHT", "babyweight")
    answer = server.request("POST", path, {"signature_name": "serving_default", "instances": [BABY]})

    assert (answer.status, answer.headers["x-model-version"]) == (200, "1")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error"),
    [
        (
            "POST",
            "/v1/models/nobody:predict",
            {"instances": [BABY]},
            404,
            "Servable not found for request: Latest(nobody)",
        ),
        ("POST", "/v1/models/babyweight/versions/9:predict", {}, 404, "request: Specific(babyweight, 9)"),
        ("POST", "/v1/models/babyweight/labels/x:predict", {}, 404, "no alias 'x'; there is: stable (1)"),
        ("POST", PREDICT, {"signature_name": "x", "instances": [BABY]}, 400, 'name: "x" not found in signature def'),
        ("POST", PREDICT, {}, 400, "Missing 'inputs' or 'instances' key"),
        ("POST", PREDICT, {"instances": [BABY], "inputs": COLUMNS}, 400, "received both"),
        ("POST", PREDICT, b"{", 400, "malformed JSON at line 1 column 2"),
        ("POST", PREDICT, [1], 400, "expected a JSON object"),
        ("POST", PREDICT, {"inputs": {**COLUMNS, "is_male": [True]}}, 400, "lists of one length"),
        (
            "POST",
            PREDICT,
            {"inputs": {**COLUMNS, "mother_age": [28, 99]}},
            400,
            "$.inputs.mother_age[1]: expected 10 to 60",
        ),
        (
            "POST",
            PREDICT,
            {"instances": [{**BABY, "mother_age": 1}]},
            400,
            "$.instances[0].mother_age: expected 10 to 60",
        ),
        ("POST", "/v1/models/babyweight:classify", {}, 400, "Expected classification signature method_name"),
        ("POST", "/v1/models/babyweight", {}, 400, "Malformed request: POST /v1/models/babyweight"),
        ("GET", PREDICT, None, 400, "Malformed request: GET"),
        ("GET", "/v1/models", None, 400, "Missing model name in request."),
        ("GET", "/v1/models/nobody", None, 404, "Could not find any versions of model nobody"),
        ("GET", "/v1/models/../keys:predict", None, 400, "Malformed request"),
    ],
)
def test_errors_say_what_tensorflow_serving_says(
    server: Server, method: str, path: str, body: Any, status: int, error: str
) -> None:
    """The sentence a client may look for is there, under the one key it reads."""
    answer = server.request(method, path, body)

    assert (answer.status, list(answer.json)) == (status, ["error"])
    assert error in answer.json["error"]


def test_status_lists_versions_as_strings(server: Server) -> None:
    """64-bit integers are JSON strings, as protobuf writes them."""
    (status,) = server.request("GET", "/v1/models/babyweight").json["model_version_status"]

    assert status == {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}


def test_metadata_describes_the_signature(server: Server) -> None:
    """A client can learn every input's name, type and shape."""
    answer = server.request("GET", "/v1/models/babyweight/versions/1/metadata").json
    signature = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]

    assert answer["model_spec"] == {"name": "babyweight", "signature_name": "", "version": "1"}
    assert signature["inputs"].keys() == BABY.keys()
    assert signature["outputs"]["weight_pounds"]["dtype"] == "DT_FLOAT"
