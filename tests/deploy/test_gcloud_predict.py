"""The real gcloud asks a running Stork as if it were Google's prediction services."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from server import BABY, Server

pytestmark = pytest.mark.sdk

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def gcloud(sdk: Path, offline: dict[str, str], shared_server: Server, tmp_path_factory: Any) -> Run:
    """A function that runs gcloud in a folder with requests, both services overridden to the running server."""
    folder = tmp_path_factory.mktemp("requests")
    (folder / "token").write_text("not-a-token")
    (folder / "request.json").write_text(json.dumps({"instances": [BABY]}))
    (folder / "refused.json").write_text(json.dumps({"instances": [{**BABY, "mother_age": 900}]}))
    (folder / "instances.txt").write_text(json.dumps(BABY))
    services = ("AIPLATFORM", "ML")
    overrides = {f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{name}": f"{shared_server.url}/" for name in services}

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        command = ["gcloud", "--access-token-file=token", "--project=p", "--format=json", *words]
        return subprocess.run(
            command, cwd=folder, env=offline | overrides, capture_output=True, text=True, timeout=120, check=False
        )

    return run


@pytest.mark.parametrize("verb", ["predict", "explain"])
def test_an_endpoint_is_asked(gcloud: Run, shared_server: Server, verb: str) -> None:
    """`gcloud ai endpoints predict` and `explain` print the prediction that Stork's own dialect answers."""
    done = gcloud("ai", "endpoints", verb, "babyweight", "--region=us-central1", "--json-request=request.json")
    expected = shared_server.predict().json["predictions"][0]["weight_pounds"]

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["predictions"] == [expected]


def test_an_endpoint_is_asked_raw(gcloud: Run) -> None:
    """`gcloud ai endpoints raw-predict` sends the body as it is, and gets the container's answer."""
    done = gcloud("ai", "endpoints", "raw-predict", "babyweight", "--region=us-central1", "--request=@request.json")

    assert done.returncode == 0, done.stderr
    assert list(json.loads(done.stdout)) == ["predictions"]


def test_a_refusal_is_shown_with_its_place(gcloud: Run) -> None:
    """A person at a terminal reads which value was refused, and why."""
    done = gcloud("ai", "endpoints", "predict", "babyweight", "--region=us-central1", "--json-request=refused.json")

    assert done.returncode == 1
    assert "INVALID_ARGUMENT: $.instances[0].mother_age: expected 10 to 60, received 900" in done.stderr


def test_a_model_of_ml_engine_is_asked(gcloud: Run) -> None:
    """`gcloud ai-platform predict`, which outlived its service."""
    words = ["ai-platform", "predict", "--region=global", "--model=babyweight", "--version=v1"]
    done = gcloud(*words, "--json-instances=instances.txt")

    assert done.returncode == 0, done.stderr
    assert list(json.loads(done.stdout)["predictions"][0]) == ["weight_pounds"]
