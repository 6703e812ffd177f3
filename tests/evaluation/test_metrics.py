"""Metrics: the formulas, on numbers that can be checked by hand, and the slices."""

import msgspec
import numpy as np
import pytest
from parcels import parcels

from stork.data.sources import Rows
from stork.evaluation.metrics import Metrics, measure, measure_slices

PARCELS = msgspec.structs.replace(parcels(), evaluation=msgspec.structs.replace(parcels().evaluation, min_slice_rows=2))


def rows_of(service: list[str], insured: list[bool | None]) -> Rows:
    return Rows({"service": service, "insured": insured}, np.zeros(len(service)), ())


@pytest.mark.parametrize(
    ("label", "prediction", "expected"),
    [
        ([7.0, 8.0], [7.5, 8.5], Metrics(rows=2, rmse=0.5, mae=0.5, bias=0.5)),
        ([7.0, 7.0], [4.0, 11.0], Metrics(rows=2, rmse=12.5**0.5, mae=3.5, bias=0.5)),
        ([7.0], [7.0], Metrics(rows=1, rmse=0.0, mae=0.0, bias=0.0)),
    ],
)
def test_errors_are_measured(label: list[float], prediction: list[float], expected: Metrics) -> None:
    """RMSE punishes large errors, MAE counts all alike, bias keeps the sign: prediction minus label."""
    assert measure(np.array(label), np.array(prediction)) == expected


def test_float32_predictions_are_measured_in_float64() -> None:
    """Many small errors are summed without losing digits."""
    found = measure(np.zeros(10_000), np.full(10_000, 0.1, np.float32))
    assert found.rmse == pytest.approx(0.1, rel=1e-7)


def test_every_value_is_a_slice() -> None:
    """A slice's metrics are those of its own rows, under the titles a person reads."""
    found = measure_slices(PARCELS, rows_of(["slow", "slow", "fast", "fast"], [True] * 4), np.array([1, 1, 2, 4.0]))
    assert found["service: slow"] == Metrics(rows=2, rmse=1.0, mae=1.0, bias=1.0)
    assert found["service: fast"].mae == 3.0


def test_known_and_missing_are_slices_of_an_optional_feature() -> None:
    """How good predictions are where the value is not known can be seen; a required feature has no such slice."""
    rows = rows_of(["slow"] * 6, [True, True, False, False, None, None])
    found = measure_slices(PARCELS, rows, np.arange(6.0))
    assert {title: metrics.rows for title, metrics in found.items()} == {
        "service: slow": 6, "insured: True": 2, "insured: False": 2, "insured: known": 4, "insured: missing": 2
    }  # fmt: skip


def test_a_small_slice_is_left_out() -> None:
    """Fewer rows than `min_slice_rows` say nothing, and are not printed as if they did."""
    assert "service: fast" not in measure_slices(PARCELS, rows_of(["slow", "slow", "fast"], [True] * 3), np.ones(3))
