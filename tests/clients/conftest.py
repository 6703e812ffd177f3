"""Running the clients that others wrote, in the environment they have to themselves."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from server import BABY, Server

from stork.config import PROJECT

PYTHON = PROJECT / ".venv" / "clients" / "bin" / "python"


@pytest.fixture(scope="module")
def run_client(shared_server: Server) -> Callable[[str], Any]:
    """Let a script beside this file ask the shared server about a baby; what it prints as JSON."""

    def run(script: str) -> Any:
        if not PYTHON.exists():
            pytest.skip("the environment of foreign clients (.venv/clients) is not installed")
        command = [str(PYTHON), str(Path(__file__).with_name(script)), shared_server.url, json.dumps(BABY)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run
