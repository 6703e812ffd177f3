"""tritonclient asks a running Stork as if it were Triton."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from server import Server


@pytest.fixture(scope="module")
def said(run_client: Callable[[str], Any]) -> dict[str, Any]:
    """What the client was answered, route by route."""
    found: dict[str, Any] = run_client("ask_triton.py")
    return found


def test_it_finds_the_server_and_the_model(said: dict[str, Any]) -> None:
    """Live, ready, described: one input a feature, in the datatype of the model's own tensor."""
    described = {tensor["name"]: tensor["datatype"] for tensor in said["metadata"]["inputs"]}

    assert said["live"] and all(said["ready"]) and "binary_tensor_data" in said["server"]["extensions"]
    assert (described["mother_race"], described["is_male"]) == ("INT32", "FP32")
    assert {"name": "babyweight", "version": "1", "state": "READY", "reason": ""} in said["index"]


def test_binary_and_json_give_what_the_api_gives(said: dict[str, Any], shared_server: Server) -> None:
    """The very float32, in both ways of writing tensors; the id comes back."""
    pounds = shared_server.predict().json["predictions"][0]["weight_pounds"]

    assert said["binary"] == said["json"] == [float(np.float32(pounds))] * 3
    assert said["id"] == "7"


def test_it_raises_our_refusals(said: dict[str, Any]) -> None:
    """As its own exception, with status and the located problem."""
    assert said["error"] == {"status": "400", "message": "inputs.mother_age[0]: expected 10 to 60, received 9.0"}
    assert "inputs.plurality[0]" in said["wrong_type"] and '"one"' in said["wrong_type"]


def test_statistics_count_what_was_asked(said: dict[str, Any]) -> None:
    """In Triton's own shape."""
    (model,) = said["statistics"]["model_stats"]

    assert (model["name"], model["version"], model["inference_stats"]["fail"]["count"] >= 1) == (
        "babyweight",
        "1",
        True,
    )
    assert model["inference_count"] >= model["execution_count"] >= 1
