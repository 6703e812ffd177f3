"""Models of several signatures: each is checked by its own schema; tf.Examples are classified and regressed."""

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import openapi_spec_validator
import pytest
import savedmodels
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from server import Server, start_server

from stork.config import Settings
from stork.publishing.importer import import_model
from stork.schema.tf_example import encode_example
from stork.serving.loader import load_version
from stork.store.registry import Registry

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
    import_model(settings, folder / "exported", "chosen", signature="serving_default")
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


def test_a_version_of_a_signature_that_classifies_is_asked_to(server: Server) -> None:
    """By `:classify`, with the signature's name and without; by `:predict` it answers its outputs all the same."""
    model = "/v1/models/chosen"
    bodies: list[Any] = [{"examples": [{"x": 3.0}]}, {"signature_name": "serving_default", "examples": [{"x": 3.0}]}]
    (predicted,) = server.request("POST", f"{model}:predict", {"instances": [EXAMPLE]}).json["predictions"]

    assert [server.request("POST", f"{model}:classify", body).json for body in bodies] == [{"results": [BIG]}] * 2
    assert [list(pair) for pair in zip(predicted["classes"], predicted["scores"], strict=True)] == BIG


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


KEYS = st.lists(st.integers(-(2**20), 2**20), min_size=2, max_size=24, unique=True)


@given(KEYS)
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
def test_rows_of_further_signatures_are_never_crossed(server: Server, keys: list[int]) -> None:
    """Callers of two signatures at the same time: each gets the answer to its own key, and in the verb's shape."""

    def ask(key: int) -> Any:
        if key % 2:
            return server.request("POST", f"{MODEL}:predict", {"signature_name": "next", "instances": [key]}).json
        return server.request("POST", f"{MODEL}:regress", {**REGRESS, "examples": [{"x": float(key)}]}).json

    with ThreadPoolExecutor(len(keys)) as pool:
        answers = list(pool.map(ask, keys))

    expected = [{"predictions": [key + 1]} if key % 2 else {"results": [key / 2 + 2]} for key in keys]
    assert answers == expected


def calls_of(settings: Settings, model: str, signature: str, batching: bool = True) -> list[int]:
    """How many rows each call is heard to have that answers callers together: none where it is asked for each alone."""
    registry, heard = Registry(settings), []
    declaration = registry.declaration(model)
    serving = msgspec.structs.replace(declaration.serving, batching=batching)
    loaded = load_version(registry, model, 1, msgspec.structs.replace(declaration, serving=serving))
    loaded.note_calls(heard.append)
    asked = loaded.signature(signature)
    (feature,) = asked.schema.features
    asked.predict({feature.name: np.arange(3).astype(feature.tensor.dtype)})
    return heard


def test_callers_are_answered_together_unless_rows_change_each_other(server: Server, tmp_path: Path) -> None:
    """What an import saw decides for every signature by itself; the declaration may say no to all."""
    savedmodels.export_mixing(tmp_path / "exported")
    mixing = Settings(root=tmp_path / "var", log=str(tmp_path / "log"))
    import_model(mixing, tmp_path / "exported", "mixing", signature="serving_default")

    assert (calls_of(mixing, "mixing", ""), calls_of(mixing, "mixing", "twice")) == ([], [3])
    assert (calls_of(server.settings, "scored", "next"), calls_of(server.settings, "scored", "next", False)) == (
        [3],
        [],
    )
