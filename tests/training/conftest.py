"""One small model, trained once for all tests here."""

from pathlib import Path

import pytest
from parcels import parcel_rows, parcels

from stork.schema.frozen import Schema
from stork.training.export import export_model
from stork.training.trainer import Trained, train_model


@pytest.fixture(scope="session")
def trained() -> Trained:
    """A model of what a parcel costs, from 2,000 made-up rows."""
    schema = Schema.of(parcels())
    return train_model(schema, parcels().training, parcel_rows(2000), parcel_rows(300, seed=1), lambda *_: None)


@pytest.fixture(scope="session")
def exported(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the model was exported to."""
    folder = tmp_path_factory.mktemp("exported")
    export_model(trained, Schema.of(parcels()), folder)
    return folder
