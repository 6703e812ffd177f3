"""Models of several signatures: each is checked by its own schema; tf.Examples are classified and regressed."""

import base64
from collections.abc import Iterator
from typing import Any

import openapi_spec_validator
import pytest
import savedmodels
from server import Server, start_server

from stork.config import Settings
from stork.publishing.importer import import_model
from stork.schema.tf_example import encode_example

pytestmark = pytest.mark.tensorflow

MODEL = "/v1/models/scored"
REGRESS = {"signature_name": "regression"}
EXAMPLE = {"b64": base64.b64encode(encode_example({"x": [3.0]})).decode()}
PREDICTED = {"classes": ["big", "small"], "y": [3.5]}
BIG = [["big", pytest.approx(0.95257413)], ["small", pytest.approx(0.04742587)]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the imported model."""
    folder = tmp_path_factory.mktemp("scored")
    settings = Settings(root=folder / "var", log=str(folder / "log"))
    savedmodels.export_scored(folder / "exported")
    import_model(settings, folder / "exported", "scored", signature="predict")
    with start_server(settings) as running:
        yield running


@pytest.mark.parametrize(
    ("verb", "body", "expected"),
    [
        ("predict", {"signature_name": "next", "instances": [2**53 + 1]}, {"predictions": [2**53 + 2]}),
        ("predict", {"signature_name": "next", "inputs": {"n": [-(2**62)]}}, {"outputs": [-(2**62) + 1]}),
        ("predict", {"signature_name": "next", "inputs": 4}, {"outputs": 5}),
        ("predict", {"instances": [EXAMPLE, {"examples": EXAMPLE}]}, {"predictions": [PREDICTED] * 2}),
        ("predict", {"inputs": {"examples": EXAMPLE}}, {"outputs": PREDICTED}),
        ("predict", {"inputs": [EXAMPLE]}, {"outputs": {name: [value] for name, value in PREDICTED.items()}}),
        ("predict", {**REGRESS, "instances": [EXAMPLE]}, {"predictions": [[3.5]]}),
        ("regress", {**REGRESS, "examples": [{"x": 3.0}, {"x": [1.0]}]}, {"results": [3.5, 2.5]}),
        ("regress", {**REGRESS, "context": {"x": 1.0}, "examples": [{}, {"x": 3.0}]}, {"results": [2.5, 3.5]}),
        ("classify", {"examples": [{"x": 3.0, "code": 2**53 + 1, "word": ["a", "b"]}]}, {"results": [BIG]}),
        (
            "classify",
            {"signature_name": "scores", "examples": [{"x": 3.0}]},
            {"results": [[["", score] for _, score in BIG]]},
        ),
    ],
)  # fmt: skip
def test_each_signature_answers_what_it_is_for(server: Server, verb: str, body: Any, expected: Any) -> None:
    """By name, in the form its verb has; integers beyond 2^53 stay exact both ways."""
    assert server.request("POST", f"{MODEL}:{verb}", body).json == expected


@pytest.mark.parametrize(
    ("verb", "body", "error"),
    [
        ("predict", {"signature_name": "x", "instances": [1]}, '"x" not found in signature def; besides its own'),
        ("predict", {"signature_name": "image", "instances": [1]}, "received [-1, 8, 8]"),
        ("predict", {"signature_name": "next", "instances": [1.5]}, "$.instances[0].n: expected a whole number"),
        ("classify", {"signature_name": "predict", "examples": [{}]}, "classify. Was: tensorflow/serving/predict"),
        ("classify", {"signature_name": "next", "examples": [{}]}, "classify. Was: tensorflow/serving/predict"),
        ("classify", {**REGRESS, "examples": [{}]}, "classify. Was: tensorflow/serving/regress"),
        ("regress", {"examples": [{}]}, "Expected regression signature method_name to be"),
        ("regress", {"signature_name": "none", "examples": [{}]}, '"none" not found in signature def'),
        ("regress", {"signature_name": 1, "examples": [{}]}, "'signature_name' key must be a string value."),
        ("regress", REGRESS, "key 'examples' is expected and was not found"),
        ("regress", {**REGRESS, "examples": {}}, "value to be an list/array"),
        ("regress", {**REGRESS, "examples": []}, "'examples' value is an empty array"),
        ("regress", {**REGRESS, "examples": [[]]}, "must be JSON object but got JSON Array"),
        ("regress", {**REGRESS, "examples": [{"x": None}]}, "unexpected JSON type: Null"),
        ("regress", {**REGRESS, "examples": [{"x": [1, 2.0]}]}, "expecting type: int64"),
        ("regress", {**REGRESS, "examples": [{"x": 2**64}]}, "to int64 or float"),
        ("regress", {**REGRESS, "examples": [{"x": 1e300}]}, "to int64 or float"),
        ("regress", {**REGRESS, "examples": [{"x": 1}]}, "does not take these values"),
        ("regress", b'{"signature_name": "regression", "examples": [{"\\ud800": 1}]}', "half of a surrogate"),
        ("regress", b'{"signature_name": "regression", "examples": [{"x": NaN}]}', "unexpected JSON type: Number"),
    ],
)  # fmt: skip
def test_what_a_signature_does_not_do_is_said_in_its_servings_words(
    server: Server, verb: str, body: Any, error: str
) -> None:
    """400 with a sentence that names what was expected, also for a signature that cannot be served."""
    answer = server.request("POST", f"{MODEL}:{verb}", body)

    assert answer.status == 400 and error in answer.json["error"]


def test_what_scores_examples_is_described(server: Server) -> None:
    """In OpenAPI, each verb with its signatures; a name may be left out where one of them is the default."""
    document = server.request("GET", "/openapi.json").json
    bodies = {
        verb: document["paths"][f"{MODEL}:{verb}"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        for verb in ("classify", "regress")
    }
    openapi_spec_validator.validate(document)

    assert bodies["classify"]["properties"]["signature_name"]["enum"] == ["", "serving_default", "scores"]
    assert bodies["classify"]["required"] == ["examples"]
    assert bodies["regress"]["required"] == ["examples", "signature_name"]


def test_metadata_lists_every_signature_that_is_served(server: Server) -> None:
    """With its method; the one that cannot be served is not there."""
    served = server.request("GET", f"{MODEL}/metadata").json["metadata"]["signature_def"]["signature_def"]

    assert sorted(served) == ["next", "predict", "regression", "scores", "serving_default"]
    assert served["serving_default"]["method_name"] == "tensorflow/serving/classify"
    assert served["serving_default"]["inputs"]["inputs"]["dtype"] == "DT_STRING"
