"""The real `gcloud app deploy`, against a loopback stand-in for Google."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from admin_api import PROJECT, AdminApi, admin_api

pytestmark = pytest.mark.sdk


@pytest.fixture(scope="module")
def google() -> Iterator[AdminApi]:
    with admin_api() as server:
        yield server


@pytest.fixture(scope="module")
def gcloud(google: AdminApi, sdk: Path, offline: dict[str, str], staged: Path, tmp_path_factory: Any) -> Any:
    """A function that runs gcloud in the staged application, and returns what it said."""
    folder = tmp_path_factory.mktemp("runtimes")
    (folder / "experiments.yaml").write_text("schema_version: 1\nexperiments: {}\n")
    (folder / "token").write_text("not-a-token")
    environment = offline | {
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_APPENGINE": f"{google.url}/",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": f"{google.url}/storage/v1/",
        "CLOUDSDK_APP_RUNTIME_BUILDERS_ROOT": f"file://{folder}",
    }

    def run(*words: str) -> str:
        command = ["gcloud", f"--access-token-file={folder / 'token'}", f"--project={PROJECT}", "app", *words]
        done = subprocess.run(
            command, cwd=staged, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{google.unknown}"
        return done.stdout + done.stderr

    return run


def test_a_version_is_uploaded_promoted_and_split(gcloud: Any, google: AdminApi) -> None:
    """Deployed beside what serves, then promoted, then given a tenth of the traffic: the whole of a careful release."""
    gcloud("deploy", "app.yaml", "--version=v1", "--no-promote")
    quiet = dict(google.split)
    gcloud("deploy", "app.yaml", "--version=v2", "--promote")
    promoted = dict(google.split["allocations"])
    gcloud("services", "set-traffic", "default", "--splits=v1=0.9,v2=0.1", "--split-by=random")

    assert (quiet, promoted) == ({}, {"v2": 1.0})
    assert google.split["allocations"] == {"v1": 0.9, "v2": 0.1}


def test_what_is_deployed_is_what_app_yaml_says(gcloud: Any, google: AdminApi) -> None:
    """Every handler demands HTTPS, warm-up requests are asked for, and the model is among the files."""
    gcloud("deploy", "app.yaml", "--version=v3", "--no-promote")
    version = google.versions["v3"]

    assert {handler["securityLevel"] for handler in version["handlers"]} == {"SECURE_ALWAYS"}
    assert version["inboundServices"] == ["INBOUND_SERVICE_WARMUP"]
    assert {"main.py", "requirements.txt", "model/babyweight/1/model.tflite"} <= set(version["deployment"]["files"])
