"""Versions that nobody asks for any more: let go in the right order, and their memory given back."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from deployments import declare_more, publish_copy

from stork.config import PROJECT, Settings
from stork.serving.routing import Route
from stork.store.registry import Registry

CYCLES = """
import json, sys
from pathlib import Path
from stork.config import Settings
from stork.schema.decode import example_of
from stork.serving.loader import load_version
from stork.store.registry import Registry

registry = Registry(Settings.from_environment())
name = registry.models()[0]
declaration = registry.declaration(name)
resident = []
for cycle in range(50):
    loaded = load_version(registry, name, 1, declaration)
    for rows in (1, 1, 500):
        loaded.predict(loaded.decoder.decode([example_of(loaded.schema)] * rows).tensors)
    loaded.local.close()
    del loaded
    resident.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6)
print(json.dumps(resident))
"""


@pytest.mark.parametrize("backend", ["litert", pytest.param("saved_model", marks=pytest.mark.tensorflow)])
def test_fifty_versions_later_the_memory_is_what_it_was(settings: Settings, backend: str) -> None:
    """From the tenth load and unload to the fiftieth a process grows by less than a twentieth."""
    environment = {**settings.environment(), "STORK_BACKEND": backend, "PATH": "/usr/bin", "PYTHONPATH": str(PROJECT)}
    if not Path("/proc/self/statm").exists():
        pytest.skip("this system does not tell a process's memory in /proc")
    done = subprocess.run(
        [sys.executable, "-c", CYCLES], env=environment, cwd=PROJECT, capture_output=True, text=True, check=True
    )
    resident = json.loads(done.stdout)

    assert resident[49] < resident[9] * 1.05, resident


def test_the_version_asked_longest_ago_goes_first(settings: Settings) -> None:
    """`[serving] keep` of those that no alias names stay loaded; what an alias names always does."""
    declare_more(settings, "")
    path = settings.root / "models" / "babyweight" / "model.toml"
    path.write_text(path.read_text().replace("start = 1", "start = 1\nkeep = 2"))
    for version in (2, 3, 4):
        publish_copy(settings, version)
    route = Route(Registry(settings), "babyweight", lambda model, version, rows: None)
    route.follow()
    for version in (2, 3, 2, 4):
        route.resolve(version)

    assert route.loaded() == [1, 2, 4]
