"""A stranger with the OpenAPI document and thousands of odd requests: schemathesis against a real server."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from server import Server, start_server

from stork.config import Settings

KEY = "a key to fuzz with"
ROUTES: dict[str, Any] = {"health_route": "/v1/endpoints/7/deployedModels/8", "predict_route": "/v1/container:predict"}
# No 5xx, and no status, type, header or body that the document does not know.
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,allow_header_conformance"
)

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("schemathesis") is None, reason="schemathesis is not installed: requirements-dev.txt"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose admin key is known, so that also the switch is reached; its longest lists are soon explained."""
    folder = tmp_path_factory.mktemp("fuzz")
    settings = Settings(root=folder / "var", log=str(folder / "log"), admin_key=KEY, max_instances=20, **ROUTES)
    with start_server(settings, workers=2) as running:
        yield running


def fuzz(server: Server, folder: Path, checks: str, *options: str) -> subprocess.CompletedProcess[str]:
    """What schemathesis said; its seed is fixed, so that a failure is found again."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json", "--checks", checks,
               "--phases", "examples,coverage,fuzzing", "--seed", "1", "--continue-on-failure", "--no-color",
               "--warnings", "off", *options]  # fmt: skip
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_no_request_meets_a_defect_or_an_undescribed_answer(server: Server, tmp_path: Path) -> None:
    """Whatever the document allows or forbids is sent to every operation of every dialect."""
    done = fuzz(server, tmp_path, CHECKS, "-n", "15", "--exclude-method", "PUT")

    assert done.returncode == 0, done.stdout[-5000:]
    assert server.request("GET", "/readyz").status == 200


def test_what_the_document_allows_is_accepted(server: Server, tmp_path: Path) -> None:
    """Stork's own dialect refuses nothing that its schema lets through, and other methods with 405."""
    done = fuzz(
        server, tmp_path, f"{CHECKS},positive_data_acceptance,unsupported_method", "-n", "50",
        "--exclude-path-regex", "^/(v1/|v2/|invocations)", "--exclude-method", "PUT",
    )  # fmt: skip

    assert done.returncode == 0, done.stdout[-5000:]


def test_the_switch_holds_too(server: Server, tmp_path: Path) -> None:
    """The operation that changes something, with the key; without it, and with another, 401."""
    key = ["-H", f"Authorization: Bearer {KEY}"]
    done = fuzz(server, tmp_path, f"{CHECKS},ignored_auth", "-n", "10", "--include-method", "PUT", *key)

    assert done.returncode == 0, done.stdout[-5000:]
