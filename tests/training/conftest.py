"""One small model, trained once for all tests here."""

from pathlib import Path

import pytest
from parcels import parcel_rows, parcels

from stork.schema.frozen import Schema
from stork.training.export import export_model
from stork.training.trainer import Trained, train_model
from stork.training.transform import fit_constants


@pytest.fixture(scope="session")
def trained() -> Trained:
    """A model of what a parcel costs, from 2,000 made-up rows."""
    schema, rows = Schema.of(parcels()), parcel_rows(2000)
    constants = fit_constants(schema, "cost", rows)
    return train_model(schema, parcels().training, constants, rows, parcel_rows(300, seed=1))


@pytest.fixture(scope="session")
def exported(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the model was exported to."""
    folder = tmp_path_factory.mktemp("exported")
    export_model(trained, Schema.of(parcels()), folder)
    return folder
