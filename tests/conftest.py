"""What many tests stand on: the shipped declaration, settings of a temporary deployment, a running server."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from server import Server, start_server

from stork.config import PROJECT, Settings
from stork.declaration import Declaration, load_declaration
from stork.schema.frozen import Schema
from stork.serving.predictor import Predictor

for variable in [name for name in os.environ if name.startswith("STORK_")]:
    del os.environ[variable]  # a developer's own settings must not change what the tests see

TESTS = Path(__file__).parent
# The files that take longest begin, so that in the end no process is left alone with one: `pytest --durations=50`.
LONGEST = [
    TESTS / name
    for name in (
        "data/test_walk.py",
        "orchestration/test_elsewhere.py",
        "orchestration/test_pipeline.py",
        "orchestration/test_kills.py",
        "publishing/test_importer.py",
        "chaos/test_chaos.py",
        "web/test_openapi_fuzz.py",
        "orchestration/test_canary.py",
        "beam/test_on_beam.py",
        "remote/test_shared_root.py",
        "evaluation/test_exam.py",
        "serving/backends/test_saved_model_process.py",
        "data/test_calibration.py",
        "web/test_servers.py",
        "serving/test_versions_in_service.py",
        "web/dialects/test_tensorflow_signatures.py",
        "training/test_tuning.py",
        "publishing/test_ramp.py",
    )
]
assert all(path.is_file() for path in LONGEST), "a file that is to begin is not there"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the files into this order; all others stay as they are."""
    items.sort(key=lambda item: LONGEST.index(item.path) if item.path in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def declaration() -> Declaration:
    """The declaration of the shipped model."""
    return load_declaration(PROJECT / "model" / "babyweight" / "model.toml")


@pytest.fixture(scope="session")
def schema(declaration: Declaration) -> Schema:
    """The schema a version of the shipped model made today would get."""
    return Schema.of(declaration)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A deployment of its own: the shipped models, everything that changes in a temporary folder."""
    return Settings(root=tmp_path / "var", log=str(tmp_path / "log"))


@pytest.fixture
def predictor(settings: Settings) -> Iterator[Predictor]:
    """The predictor of that deployment, not following changes."""
    predictor = Predictor(settings)
    yield predictor
    predictor.stop()


@pytest.fixture
def server(settings: Settings) -> Iterator[Server]:
    """A real server process (gunicorn, one worker) of that deployment, on a loopback port of its own."""
    with start_server(settings) as running:
        yield running


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that only ask: nothing about it is changed."""
    folder = tmp_path_factory.mktemp("shared")
    with start_server(Settings(root=folder / "var", log=str(folder / "log"))) as running:
        yield running


@pytest.fixture(scope="session")
def second_version(tmp_path_factory: pytest.TempPathFactory, schema: Schema) -> Path:
    """A version of the shipped model's schema that predicts something else. Takes TensorFlow and ten seconds, once."""
    from versions import export_version

    folder = tmp_path_factory.mktemp("second") / "version"
    export_version(folder, schema, pounds=8.0)
    return folder


@pytest.fixture
def two_versions(settings: Settings, second_version: Path) -> Settings:
    """A deployment with the shipped version 1 and a published version 2."""
    shutil.copytree(second_version, settings.root / "models" / "babyweight" / "2")
    return settings
