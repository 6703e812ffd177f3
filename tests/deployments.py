"""Small changes to a deployment of tests: more versions of the shipped model, more lines in its declaration."""

import json
import shutil
from pathlib import Path
from typing import Any

from stork.config import PROJECT, Settings
from stork.schema.frozen import load_schema
from stork.store.files import write_atomically
from stork.store.version import load_manifest, write_manifest

SHIPPED = PROJECT / "model" / "babyweight"


def publish_copy(settings: Settings, version: int, **schema: dict[str, Any]) -> Path:
    """
    Publish the shipped version once more, under another number.

    With `schema`, its features and outputs of these names are declared differently, and it has no golden requests.
    """
    folder = settings.root / "models" / "babyweight" / str(version)
    shutil.copytree(SHIPPED / "1", folder)
    if schema:
        document = json.loads((folder / "schema.json").read_text())
        for part in (*document["features"], *document["outputs"]):
            part.update(schema.get(part["name"], {}))
        (folder / "schema.json").write_text(json.dumps(document))
        (folder / "golden.json").unlink()
        write_manifest(folder, load_schema(folder / "schema.json"), load_manifest(SHIPPED / "1").twin)
    return folder


def declare_more(settings: Settings, toml: str) -> None:
    """Let the deployment's declaration be the shipped one and these lines."""
    path = settings.root / "models" / "babyweight" / "model.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, f"{(SHIPPED / 'model.toml').read_text()}\n{toml}\n".encode())  # a server may be reading it
