"""The dialect of TensorFlow Serving: routes, shapes and errors as its clients know them."""

import json
import shutil
from typing import Any

import pytest
from server import BABY, Server

from stork.config import PROJECT, Settings
from stork.serving.ask import Context
from stork.serving.predictor import Predictor
from stork.web.dialects import Request, tensorflow_serving

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
        ("POST", PREDICT, b'{"signature_name": "\x92", "instances": [1]}', 400, "a byte that is not UTF-8"),
        ("POST", PREDICT, b'{"inputs": {"\\ud800": [1], "x": 1}}', 400, "received \ud800: 1, x: a scalar"),
        ("POST", PREDICT, b'{"instances": [], "instances": []}', 400, "$.instances: expected each key once"),
        ("GET", f"/v1/models/babyweight/versions/{'9' * 5000}", None, 400, "Malformed request"),
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


@pytest.mark.parametrize("path", ["", "/versions/1", "/labels/stable"])
def test_status_lists_versions_as_strings(server: Server, path: str) -> None:
    """64-bit integers are JSON strings, as protobuf writes them; KServe's clients find what they look for."""
    answer = server.request("GET", f"/v1/models/babyweight{path}")
    (status,) = answer.json["model_version_status"]

    assert status == {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert (answer.status, answer.json["name"], answer.json["ready"]) == (200, "babyweight", True)


def get(predictor: Predictor, path: str = "") -> tuple[int, list[tuple[str, str]]]:
    """The HTTP status, and the version and state of each that is listed."""
    reply = tensorflow_serving.answer(predictor, Request("GET", f"/v1/models/babyweight{path}", b"", Context()))
    listed = json.loads(reply.body)["model_version_status"]
    return reply.status, [(found["version"], found["state"]) for found in listed]


def test_status_is_not_available_before_it_can_answer(predictor: Predictor) -> None:
    """503 until the model is loaded, which asking for the state of all does not do."""
    assert get(predictor) == get(predictor) == (503, [("1", "LOADING")])
    predictor.version("babyweight")
    assert get(predictor) == (200, [("1", "AVAILABLE")])


def test_status_tells_a_version_that_does_not_load(settings: Settings, predictor: Predictor) -> None:
    """END with the reason, and 503 where that version was asked for; the model itself stays available."""
    shutil.copytree(PROJECT / "model" / "babyweight" / "1", settings.root / "models" / "babyweight" / "2")
    predictor.version("babyweight")
    unknown = get(predictor)
    (settings.root / "models" / "babyweight" / "2" / "model.tflite").write_bytes(b"torn")

    assert unknown == (200, [("2", "START"), ("1", "AVAILABLE")])
    assert get(predictor, "/versions/2") == (503, [("2", "END")])
    assert get(predictor) == (200, [("2", "END"), ("1", "AVAILABLE")])


def test_a_pinned_version_becomes_available_when_its_status_is_asked_for(
    settings: Settings, predictor: Predictor
) -> None:
    """A client that waits for AVAILABLE before it predicts does not wait for ever."""
    shutil.copytree(PROJECT / "model" / "babyweight" / "1", settings.root / "models" / "babyweight" / "2")

    assert get(predictor, "/versions/2") == (200, [("2", "AVAILABLE")])


def test_a_missing_or_unknown_key_is_told_in_tensorflow_servings_words(server: Server) -> None:
    """The sentence a client may look for, then the place; what may be left out is said too."""
    bare = {name: value for name, value in BABY.items() if name != "mother_age"}
    row = server.request("POST", PREDICT, {"instances": [BABY, {**BABY, "age": 28}]}).json["error"]
    column = server.request("POST", PREDICT, {"inputs": {name: [value] for name, value in bare.items()}}).json["error"]

    assert row.startswith(
        "Failed to process element: 1 of 'instances' list. JSON object keys must be equal to: alcohol_use,"
    )
    assert "may be left out); $.instances[1].age: expected a feature of this model" in row
    assert column.startswith("Missing named input: mother_age in 'inputs' object; $.inputs.mother_age[0]: expected")


def test_metadata_describes_the_signature(server: Server) -> None:
    """A client can learn every input's name, type and shape."""
    answer = server.request("GET", "/v1/models/babyweight/versions/1/metadata").json
    signature = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]

    assert answer["model_spec"] == {"name": "babyweight", "signature_name": "", "version": "1"}
    assert signature["inputs"].keys() == BABY.keys()
    assert signature["outputs"]["weight_pounds"]["dtype"] == "DT_FLOAT"
