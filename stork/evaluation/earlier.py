"""Versions that were published before, asked what they make of the same rows."""

from datetime import datetime

from stork.data.sources import Rows
from stork.declaration import Declaration
from stork.errors import DataError, StorkError
from stork.evaluation.metrics import Floats
from stork.serving.loader import load_version
from stork.store.registry import Registry
from stork.store.version import load_manifest, read_verdict
from stork.training.transform import encode_rows


class EarlierVersion:
    """
    A version that answers rows as its own schema takes them.

    Raises:
        VersionBroken: it does not load.
    """

    def __init__(self, registry: Registry, declaration: Declaration, version: int) -> None:
        self.version, self.label = version, declaration.training.label
        self.loaded = load_version(registry, declaration.model.name, version, declaration)

    def predict(self, rows: Rows) -> Floats:
        """
        The label of each row, shape (n,).

        Raises:
            DataError: it knows other features, values or outputs, or does not answer.
        """
        try:
            predicted: Floats = self.loaded.predict(encode_rows(self.loaded.schema, rows))[self.label].ravel()
        except (StorkError, KeyError, ValueError) as error:
            raise DataError(f"version {self.version} does not take these rows: {error}") from error
        return predicted


def blessed_versions(registry: Registry, declaration: Declaration, candidate: datetime) -> list[int]:
    """
    The newest `[evaluation] staleness_versions` versions that were blessed, oldest first.

    What the candidate became, a version created at the same instant, is none of them.
    """
    name, most = declaration.model.name, declaration.evaluation.staleness_versions
    found = [
        version
        for version, folder in registry.versions(name).items()
        if read_verdict(folder, "BLESSED")[0] == "BLESSED" and load_manifest(folder).created != candidate
    ]
    return found[-most:] if most else []
