"""The exported SavedModel: the declared signature, the trained answers, nothing else, and a twin."""

from pathlib import Path
from shutil import copytree

import pytest
from parcels import parcel_rows, parcels

from stork.publishing.twin import make_twin
from stork.schema.frozen import Schema
from stork.training.trainer import Trained
from stork.training.transform import encode_rows

pytestmark = pytest.mark.tensorflow

SCHEMA = Schema.of(parcels())


def test_the_signature_is_the_schemas(exported: Path) -> None:
    """Inputs have the declared names, dtypes and shapes; the output too."""
    import tensorflow as tf

    signature = tf.saved_model.load(str(exported)).signatures["serving_default"]
    inputs = {
        name: (spec.dtype.name, spec.shape.as_list()) for name, spec in signature.structured_input_signature[1].items()
    }
    assert inputs == {
        "kilograms": ("float32", [None]),
        "zone": ("int32", [None]),
        "service": ("string", [None, 1]),
        "insured": ("float32", [None]),
        "shop": ("string", [None]),
    }
    assert signature.structured_outputs["cost"].shape.as_list() == [None, 1]


def test_the_export_answers_as_trained(exported: Path, trained: Trained) -> None:
    """The exported graph, preprocessing included, predicts what the model in memory predicts."""
    import tensorflow as tf

    asked = encode_rows(SCHEMA, parcel_rows(200, seed=3))
    loaded = tf.saved_model.load(str(exported))
    answered = loaded.signatures["serving_default"](**{name: tf.constant(v) for name, v in asked.items()})["cost"]
    assert answered.numpy().ravel() == pytest.approx(trained.predict(asked), rel=1e-5, abs=1e-5)


def test_the_export_holds_no_training(exported: Path) -> None:
    """No optimizer state and no copy of the data: the folder is a few dozen kilobytes."""
    assert sum(path.stat().st_size for path in exported.rglob("*") if path.is_file()) < 150_000


def test_the_export_has_a_twin(exported: Path, tmp_path: Path) -> None:
    """LiteRT answers the same with its built-in operations alone, for every kind of feature and missing values."""
    folder = copytree(exported, tmp_path / "model")
    twin = make_twin(folder, SCHEMA, encode_rows(SCHEMA, parcel_rows(50, seed=4)))
    assert (twin.proved, twin.reason) == (True, "")
