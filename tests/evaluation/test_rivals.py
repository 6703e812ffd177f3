"""Rivals: each learns what it can learn, from the same rows as the net, and nothing from the test split."""

from dataclasses import replace

import numpy as np
import pytest
from parcels import parcel_rows, parcels

from stork.data.sources import Rows
from stork.data.spans import Splits
from stork.data.split import split_rows
from stork.evaluation.rivals import BOOSTED, LINEAR, MEAN, predict_boosted, predict_rivals
from stork.schema.frozen import Schema
from stork.training.transform import fit_constants

pytestmark = pytest.mark.tensorflow


def splits_of(rows: Rows) -> Splits:
    return Splits(*split_rows(rows, parcels().training))


def rmse(splits: Splits) -> dict[str, float]:
    """Each rival's RMSE on the test split."""
    found = predict_rivals(parcels(), splits)
    return {name: float(np.sqrt(np.mean((p - splits.test.label) ** 2))) for name, p in found.items()}


def test_each_learns_what_it_can() -> None:
    """A sum of features is learned by the linear model and, nearly, by trees; their noise is 0.1."""
    found = rmse(splits_of(parcel_rows(3000)))

    assert found[LINEAR] < 0.15 and found[BOOSTED] < 0.3
    assert found[MEAN] > 5


def test_only_trees_learn_what_features_do_together() -> None:
    """Where fast parcels cost twice as much per kilogram, no sum of what each feature adds is right."""
    rows = parcel_rows(3000)
    fast = np.array([service == "fast" for service in rows.columns["service"]])
    found = rmse(splits_of(replace(rows, label=np.array(rows.columns["kilograms"]) * (1 + fast))))

    assert found[BOOSTED] < 0.5 < 1.5 < found[LINEAR]


def test_labels_of_the_test_split_change_nothing() -> None:
    """What a rival predicts for a row does not depend on the row's label."""
    splits = splits_of(parcel_rows(500))
    other = replace(splits, test=replace(splits.test, label=splits.test.label + 100))
    before, after = (predict_rivals(parcels(), s) for s in (splits, other))

    assert all((before[name] == after[name]).all() for name in before)


def test_a_missing_text_and_one_nobody_saw_are_asked_too() -> None:
    """A shop that no training row has is answered, and so is none."""
    splits = splits_of(parcel_rows(500))
    shops = ["new", None] * (len(splits.test) // 2) + [None] * (len(splits.test) % 2)
    test = replace(splits.test, columns={**splits.test.columns, "shop": shops})

    assert all(np.isfinite(p).all() for p in predict_rivals(parcels(), replace(splits, test=test)).values())


def test_rows_of_no_weight_teach_nothing() -> None:
    """Where the declaration weighs rows, rivals do as the net does."""
    rows = parcel_rows(2000)
    wrong = np.arange(len(rows)) % 2 == 0
    bad = replace(rows, label=np.where(wrong, 90.0, rows.label), weights=np.where(wrong, 0.0, 1.0))
    splits = splits_of(bad)
    found = rmse(replace(splits, test=splits.test.select(splits.test.weights == 1)))

    assert found[LINEAR] < 0.2 and found[BOOSTED] < 0.5


@pytest.mark.parametrize("lost", [("zone",), ("kilograms", "zone", "service", "insured", "shop")])
def test_a_feature_that_no_row_has_teaches_nothing(lost: tuple[str, ...]) -> None:
    """Rivals learn from the others; from no feature at all comes the mean."""
    rows = parcel_rows(500)
    empty: dict[str, list[object]] = {name: [None] * len(rows) for name in lost}
    splits = splits_of(replace(rows, columns={**rows.columns, **empty}))
    constants = fit_constants(Schema.of(parcels()), "cost", splits_of(parcel_rows(500)).train)
    predicted = predict_boosted(parcels(), constants, *splits)

    assert np.isfinite(predicted).all()
    assert len(lost) == 1 or np.allclose(predicted, splits.train.label.mean())
