"""The same raw rows by every road that answers: what training saw, serving sees."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parcels import parcel_rows, parcels, write_parcels
from server import start_server

from stork.config import Settings
from stork.data.sources import Rows
from stork.publishing.candidate import write_candidate
from stork.publishing.push import publish
from stork.publishing.switch import switch_alias
from stork.schema.frozen import Schema
from stork.serving.loader import load_local
from stork.store.version import write_manifest
from stork.training.trainer import Trained
from stork.training.transform import encode_rows

pytestmark = pytest.mark.tensorflow

SCHEMA = Schema.of(parcels())
# Ends of every domain, a word never seen, and all that may be missing missing, in every combination.
VALUES: list[tuple[Any, ...]] = [
    (0.0, 0.01, 7.3, 30.0),
    (None, 1, 5, 9),
    ("slow", "fast"),
    (None, True, False),
    (None, "north", "nowhere"),
]
ROWS = Rows(
    dict(zip(parcel_rows(1).columns, map(list, zip(*product(*VALUES), strict=True)), strict=True)), np.zeros(288), ()
)


def ask_training_graph(trained: Trained) -> np.ndarray:
    """The Keras model as the training step calls it, on what the transform makes of the rows."""
    import tensorflow as tf

    graph = tf.function(lambda tensors: trained.net(list(trained.transform(tensors)), training=True))
    return graph(encode_rows(SCHEMA, ROWS)).numpy() * trained.sd + trained.mean


def ask_saved_model(folder: Path) -> np.ndarray:
    """The exported graph, in TensorFlow."""
    import tensorflow as tf

    signature = tf.saved_model.load(str(folder)).signatures["serving_default"]
    return signature(**{name: tf.constant(value) for name, value in encode_rows(SCHEMA, ROWS).items()})["cost"].numpy()


def ask_server(settings: Settings) -> np.ndarray:
    """The HTTP API of a real server."""
    with start_server(settings) as server:
        body = {"model": "parcels", "instances": ROWS.instances()}
        answered = server.request("POST", "/api/predict", body).json["predictions"]
        return np.array([prediction["cost"] for prediction in answered])


@pytest.fixture(scope="module")
def answers(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """What each road answers to the rows, shape (n,)."""
    home = tmp_path_factory.mktemp("parity")
    settings = Settings(models=home / "model", root=home / "var", log="off")
    write_parcels(settings.models)
    folder = home / "candidate"
    folder.mkdir()
    write_manifest(folder, SCHEMA, write_candidate(folder, SCHEMA, trained, parcel_rows(50), None))
    switch_alias(settings, "parcels", publish(settings, "parcels", folder), "stable")
    answered = {
        "training graph": ask_training_graph(trained),
        "SavedModel": ask_saved_model(folder),
        "LiteRT": load_local("litert", folder, SCHEMA).predict(encode_rows(SCHEMA, ROWS))["cost"],
        "HTTP": ask_server(settings),
    }
    return {road: found.ravel() for road, found in answered.items()}


@pytest.mark.parametrize("road", ["SavedModel", "LiteRT", "HTTP"])
def test_serving_answers_as_the_training_graph(road: str, answers: dict[str, np.ndarray]) -> None:
    """Missing values, categories, unseen words and ends of domains: within 1e-5 of what the net gave in training."""
    expected = answers["training graph"]
    assert np.ptp(expected) > 10
    assert (np.abs(answers[road] - expected) <= 1e-5 * np.maximum(1, np.abs(expected))).all()
