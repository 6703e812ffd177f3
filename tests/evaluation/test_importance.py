"""What a feature is worth is told from what it is not."""

import numpy as np
import pytest
from parcels import parcel_rows

from stork.data.sources import Rows
from stork.evaluation.importance import MOST, find_importance, rank
from stork.evaluation.metrics import Floats


def predict(rows: Rows) -> Floats:
    """As the parcels cost, but for the noise: by kilograms and service; a little by the shop, which says nothing."""
    fast = np.array([service == "fast" for service in rows.columns["service"]])
    north = np.array([shop == "north" for shop in rows.columns["shop"]])
    return 2 + np.array(rows.columns["kilograms"], float) + 5 * fast + 0.001 * north


def test_what_a_model_needs_is_told_from_what_it_does_not() -> None:
    """Only the two features that the label is made of are beneficial; one that nothing reads changes nothing at all."""
    found = find_importance(parcel_rows(400), predict)

    assert [name for name, worth in found.items() if worth.is_beneficial] == ["kilograms", "service"]
    assert found["zone"].ratio == (1.0, 1.0)


def test_the_error_without_a_feature_is_its_spread() -> None:
    """Dealing values anew doubles their variance in the error: of kilograms, uniform in 0 to 20, to 2 x 20^2 / 12."""
    found = find_importance(parcel_rows(4000), predict)

    assert found["kilograms"].rmse == pytest.approx((2 * 20**2 / 12) ** 0.5, rel=0.03)


def test_a_sample_is_held_to_itself() -> None:
    """Of more rows than are asked, the model's own error is of those that were: a feature without worth is at 1."""
    found = find_importance(parcel_rows(MOST + 5000), predict)

    assert found["zone"].share == pytest.approx(1.0, abs=1e-9)
    assert [name for name, _ in rank(found)][:2] == ["kilograms", "service"]


def test_it_is_the_same_each_time() -> None:
    """The same rows and model make the same figures."""
    assert find_importance(parcel_rows(50), predict) == find_importance(parcel_rows(50), predict)
