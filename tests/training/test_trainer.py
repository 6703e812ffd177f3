"""Training a real, small model: it learns, the same seed gives the same model, a missing value is no surprise."""

from dataclasses import astuple

import msgspec
import numpy as np
import pytest
from parcels import parcel_rows, parcels

from stork.data.sources import Rows
from stork.errors import DataError
from stork.schema.frozen import Schema
from stork.training.checkpoint import Epoch
from stork.training.learner import HIDE, hide_some
from stork.training.trainer import Trained, train_model
from stork.training.transform import Constants, encode_rows, fit_constants

pytestmark = pytest.mark.tensorflow

SCHEMA = Schema.of(parcels())
NOTHING = parcel_rows(10).select(np.zeros(10, bool))


def fit(rows: Rows) -> Constants:
    """What the step `transform` would leave of these rows."""
    return fit_constants(SCHEMA, "cost", rows)


def test_the_model_learns(trained: Trained) -> None:
    """On rows it has not seen its error is a fraction of that of predicting the mean."""
    fresh = parcel_rows(500, seed=2)
    error = trained.predict(encode_rows(SCHEMA, fresh)) - fresh.label
    assert np.sqrt(np.mean(error**2)) < 0.15 * fresh.label.std()


def test_one_seed_gives_one_model() -> None:
    """Training twice with the same seed and rows gives the same predictions, bit for bit."""
    training = msgspec.structs.replace(parcels().training, epochs=2)
    rows, stop = parcel_rows(200), parcel_rows(50, seed=1)
    first, again = (train_model(SCHEMA, training, fit(rows), rows, stop) for _ in range(2))
    asked = encode_rows(SCHEMA, stop)
    assert first.predict(asked).tolist() == again.predict(asked).tolist()


def test_every_epoch_is_told() -> None:
    """The progress callable hears the epoch, how many there can be, and the error so far."""
    told: list[Epoch] = []
    training = msgspec.structs.replace(parcels().training, epochs=2)
    train_model(SCHEMA, training, fit(parcel_rows(200)), parcel_rows(200), parcel_rows(50, seed=1), told.append)
    assert [(epoch.number, epoch.epochs) for epoch in told] == [(1, 2), (2, 2)]
    assert np.isfinite([figure for epoch in told for figure in astuple(epoch)]).all()


def test_a_feature_that_training_always_knew_may_be_missing(trained: Trained) -> None:
    """What no training row lacks is hidden in some, so that lacking it gives a prediction in between, not nonsense."""
    asked = {"kilograms": [5.0] * 3, "zone": [5] * 3, "service": ["fast"] * 3, "shop": ["north"] * 3}
    rows = Rows(asked | {"insured": [True, False, None]}, np.zeros(3), ())
    assert np.ptp(trained.predict(encode_rows(SCHEMA, rows))) < 1.0


def test_some_known_values_are_hidden() -> None:
    """A share of the known values of each optional feature is made missing; a required one never is."""
    import tensorflow as tf

    tensors = encode_rows(SCHEMA, parcel_rows(4000))
    hidden = hide_some(SCHEMA, tensors, 1, tf.constant([1, 0], tf.int64))
    assert np.isnan(hidden["insured"]).mean() - np.isnan(tensors["insured"]).mean() == pytest.approx(
        HIDE * 0.8, abs=0.02
    )
    assert (hidden["kilograms"] == tensors["kilograms"]).all()


@pytest.mark.parametrize(("train", "stop"), [(NOTHING, parcel_rows(10)), (parcel_rows(10), NOTHING)])
def test_an_empty_split_is_an_error(train: Rows, stop: Rows) -> None:
    """Without rows to train on, or to stop by, the numbers of both are said."""
    with pytest.raises(DataError, match=f"received {len(train)} and {len(stop)}"):
        train_model(SCHEMA, parcels().training, fit(parcel_rows(10)), train, stop)


def test_a_training_that_diverges_is_an_error() -> None:
    """A model that answers nothing finite is never exported: the learning rate is named."""
    training = msgspec.structs.replace(parcels().training, learning_rate=1e30)
    with pytest.raises(DataError, match=r"learning_rate 1e\+30 may be too large"):
        train_model(SCHEMA, training, fit(parcel_rows(200)), parcel_rows(200), parcel_rows(50, seed=1))
