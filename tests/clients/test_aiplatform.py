"""google-cloud-aiplatform asks a running Stork as if it were Vertex AI."""

from collections.abc import Callable
from typing import Any

import pytest
from server import Server


@pytest.fixture(scope="module")
def said(run_client: Callable[[str], Any]) -> dict[str, Any]:
    """What the client was answered, verb by verb."""
    found: dict[str, Any] = run_client("ask_vertex.py")
    return found


def test_its_rest_transport_is_answered(said: dict[str, Any], shared_server: Server) -> None:
    """predict, explain and raw_predict give the number that Stork's own dialect does; integers came as floats."""
    pounds = shared_server.predict().json["predictions"][0]["weight_pounds"]

    assert said["predict"]["predictions"] == said["explain"]["predictions"] == [pounds]
    assert said["raw_predict"] == {"predictions": [pounds]}
    assert said["predict"]["model_version_id"] == "1"


def test_it_reads_attributions(said: dict[str, Any]) -> None:
    """As its own types: they add up to the prediction."""
    found = said["explain"]["explanations"][0]["attributions"][0]
    total = found["baseline_output_value"] + sum(found["feature_attributions"].values())

    assert total == pytest.approx(found["instance_output_value"])


def test_it_raises_our_refusals(said: dict[str, Any]) -> None:
    """As an error of its own, with the located problem as data."""
    error = said["error"]

    assert (error["type"], "$.instances[0].mother_age: expected 10 to 60" in error["message"]) == ("BadRequest", True)
    assert error["details"][0]["fieldViolations"][0]["field"] == "instances[0].mother_age"
