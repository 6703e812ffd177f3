"""Running Stork where Apache Beam is installed: in the environment it has to itself."""

import os
import subprocess
from collections.abc import Callable

import pytest

from stork.config import PROJECT, Settings

PYTHON = PROJECT / ".venv" / "beam" / "bin" / "python"
OnBeam = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def on_beam() -> OnBeam:
    """Let Beam's Python carry out a command, over the root of these settings."""
    if not PYTHON.exists():
        pytest.skip("the environment of Apache Beam (.venv/beam) is not installed")

    def run(settings: Settings, *words: str, module: str = "stork.data.on_beam") -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, **settings.environment()}
        command = [str(PYTHON), *(["-m", module] if module else []), *words]
        return subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    return run
