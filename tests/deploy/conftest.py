"""The Cloud SDK where there is one, and an environment in which it asks nobody but loopback."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from stage_app import stage_app


@pytest.fixture(scope="session")
def sdk() -> Path:
    """The root of the Google Cloud SDK."""
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        pytest.skip("the Google Cloud SDK (gcloud) is not installed")
    command = [gcloud, "info", "--format=value(installation.sdk_root)"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return Path(found.stdout.strip())


@pytest.fixture(scope="session")
def offline(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which no Google tool looks for credentials, updates or metadata anywhere."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    kept.pop("GOOGLE_APPLICATION_CREDENTIALS", None)
    return kept | {
        "NO_GCE_CHECK": "true",
        "CLOUDSDK_CONFIG": str(tmp_path_factory.mktemp("gcloud")),
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
        "CLOUDSDK_CORE_CHECK_GCE_METADATA": "false",
    }


@pytest.fixture(scope="session")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The application as `make deploy` stages it, with an admin key."""
    target = tmp_path_factory.mktemp("staged") / "app"
    stage_app(tensorflow=False, admin_key="k" * 20, target=target)
    return target
