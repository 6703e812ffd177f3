"""MLflow's client of its own scoring server asks a running Stork as if it were that."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from server import BABY, Server

from stork import __version__


@pytest.fixture(scope="module")
def said(run_client: Callable[[str], Any]) -> dict[str, Any]:
    """What the client was answered."""
    found: dict[str, Any] = run_client("ask_mlflow.py")
    return found


def test_a_frame_gives_what_the_api_gives(said: dict[str, Any], shared_server: Server) -> None:
    """As pandas writes it, NaN for what is not known; the answer is a frame or an array again, of a row per row."""
    answers = shared_server.predict({"instances": [BABY, {**BABY, "cigarette_use": True}]}).json["predictions"]

    assert said["frame"] == [float(np.float32(answer["weight_pounds"])) for answer in answers]
    assert said["as_frame"] == [2, 1]


def test_its_other_forms_give_the_same(said: dict[str, Any], shared_server: Server) -> None:
    """Rows as `inputs`, records, and a frame with `params`."""
    pounds = shared_server.predict().json["predictions"][0]["weight_pounds"]

    assert said["inputs"] == said["records"] == said["pinned"] == [pounds]


def test_it_is_told_the_version(said: dict[str, Any]) -> None:
    """Ours: it has no way to expect another."""
    assert said["version"] == __version__


def test_it_raises_our_refusals(said: dict[str, Any]) -> None:
    """With the status and the located problem."""
    assert "error code 400" in said["error"] and "dataframe_split" in said["error"]
    assert "expected 10 to 60, received 9" in said["error"]
