"""Where a model errs: calibration, bands and bins on rows whose truth is known."""

import numpy as np
import pytest
from parcels import parcel_rows, parcels

from stork.data.sources import Rows
from stork.evaluation.residuals import BARS, EDGES, Errors, bin_rows, calibrate, find_errors

ROWS = parcel_rows(2000)


def errors_of(rows: Rows, prediction: np.ndarray, noise: float = 1.0) -> Errors:
    """Of predictions for these rows, where the errors on eval were normal with this deviation."""
    return find_errors(parcels(), rows, prediction, np.random.default_rng(1).normal(0, noise, 5000))


def noisy(scale: float = 1.0) -> Errors:
    """Of predictions that are right but for a normal error of `scale`."""
    return errors_of(ROWS, ROWS.label + np.random.default_rng(2).normal(0, scale, len(ROWS)))


@pytest.mark.parametrize(("stretch", "shift"), [(1.0, 0.0), (0.5, 0.0), (2.0, 0.0), (1.0, 3.0)])
def test_a_prediction_that_is_off_shows_in_the_line(stretch: float, shift: float) -> None:
    """Labels that are `stretch` x the prediction and `shift` more have that slope and intercept, and both are sure."""
    prediction = np.random.default_rng(0).normal(10, 2, 3000)
    label = stretch * prediction + shift + np.random.default_rng(1).normal(0, 0.5, 3000)
    line = calibrate(label, prediction)

    assert line.slope_ends.holds(stretch) and line.intercept_ends.holds(shift)
    assert line.slope_ends.high - line.slope_ends.low < 0.05


@pytest.mark.parametrize("share", [0.5, 0.8, 0.9, 0.95])
def test_bands_hold_as_many_labels_as_they_held_on_eval(share: float) -> None:
    """Where the errors on test are like those on eval, so is the share in each band; larger ones leave it."""
    (same,) = [band for band in noisy().bands if band.share == share]
    (wider,) = [band for band in noisy(2.0).bands if band.share == share]

    assert same.received == pytest.approx(share, abs=0.04)
    assert wider.received < share - 0.1


def test_an_error_that_depends_on_a_feature_shows_in_its_bins() -> None:
    """Parcels above 10 kg are predicted 3 too high: their bins say so, and no other does."""
    heavy = np.array(ROWS.columns["kilograms"]) > 10
    bins = errors_of(ROWS, ROWS.label + 3 * heavy).by_feature["kilograms"]

    assert {round(b.metrics.bias, 6) for b in bins if b.high <= 10} == {0.0}
    assert {round(b.metrics.bias, 6) for b in bins if b.low > 10} == {3.0}


def test_only_numbers_have_bins() -> None:
    """A category is a slice; what is missing is in no bin."""
    found = noisy().by_feature
    known = sum(zone is not None for zone in ROWS.columns["zone"])

    assert set(found) == {"kilograms", "zone"}
    assert sum(b.metrics.rows for b in found["zone"]) == known


def test_every_row_is_in_the_distribution() -> None:
    """The histogram counts all rows, the quantiles rise."""
    found = noisy()

    assert (len(found.histogram), sum(found.histogram)) == (BARS, len(ROWS))
    assert list(found.quantiles.values()) == sorted(found.quantiles.values())


def test_the_size_does_not_grow_with_the_rows() -> None:
    """Ten times the rows have as many bins and bars."""
    many = parcel_rows(20_000)
    found, more = noisy(), errors_of(many, many.label + 1.0)

    assert len(more.by_prediction) == len(EDGES) + 1 and len(more.histogram) == len(found.histogram)


@pytest.mark.parametrize(
    ("values", "sizes"),
    [
        ([1.0] * 5, [5]),
        ([1.0] * 50 + [2.0], [51]),
        ([1.0] * 70 + [2.0] * 30, [70, 30]),
        (list(range(100)), [10] * 10),
        (list(range(1000)), [10, 40, 50, *[100] * 8, 50, 40, 10]),
        ([float("nan")] * 3, []),
    ],
)
def test_bins_part_no_equal_values(values: list[float], sizes: list[int]) -> None:
    """A value that many rows have is one bin; tails are bins of their own where they have ten rows."""
    assert [int(mask.sum()) for mask in bin_rows(np.array(values, float)).values()] == sizes
