"""Where a model errs: along its own prediction and numeric features; and whether predictions mean what they say."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stork.data.sources import Rows
from stork.declaration import Declaration
from stork.evaluation.intervals import Ends, Intervals, draw_sums, ends_of, find_intervals
from stork.evaluation.metrics import Floats, Mask, Metrics, measure

# Where bins of rows in order end, by the share of rows below: tails are looked at closely, where there are the rows.
EDGES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
LEAST = 10  # rows beyond an edge
BARS = 40
SHARES = (0.5, 0.8, 0.9, 0.95)
NO_WIDTH = 1e-6  # all errors are the same, but for what rounding makes of them
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True)
class Bin:
    """The rows from `low` to `high` of what orders them, on average `mean`; quartiles are those of the error."""

    low: float
    high: float
    mean: float
    metrics: Metrics
    intervals: Intervals
    quartiles: tuple[float, float, float]


@dataclass(frozen=True)
class Calibration:
    """
    label = `intercept` + `slope` x prediction, by least squares: 0 and 1 where predictions mean what they say.

    A slope below 1: what is predicted to be far from the average is not so far.
    """

    slope: float
    slope_ends: Ends
    intercept: float
    intercept_ends: Ends


@dataclass(frozen=True)
class Band:
    """
    Between the quantiles `low` and `high` of the error on eval lies `share` of it; `received` is the share on test.

    So a label lies between prediction - `high` and prediction - `low` in `received` of the cases.
    """

    share: float
    low: float
    high: float
    received: float


@dataclass(frozen=True)
class Errors:
    """
    What is known of the error, prediction minus label, on test.

    `quantiles` by their share; `histogram` are the rows of equal bars between `histogram_ends`. `by_prediction` has
    bins of rows in the order of the prediction, `by_feature` of each numeric feature.
    """

    calibration: Calibration
    bands: tuple[Band, ...]
    quantiles: dict[str, float]
    histogram_ends: Ends
    histogram: tuple[int, ...]
    by_prediction: tuple[Bin, ...]
    by_feature: dict[str, tuple[Bin, ...]]


def find_errors(declaration: Declaration, test: Rows, prediction: Floats, stop: Floats) -> Errors:
    """Of the predictions for `test`, shape (n,); `stop` are the errors on eval, shape (m,)."""
    error = prediction.astype(np.float64) - test.label
    low, high = float(error.min()), float(error.max())
    if high - low < NO_WIDTH:
        low, high = low - NO_WIDTH, high + NO_WIDTH
    histogram = np.histogram(error, BARS, (low, high))[0]
    columns = {
        feature.name: np.array([np.nan if v is None else v for v in test.columns[feature.name]], np.float64)
        for feature in declaration.features
        if feature.kind in ("number", "integer") and not feature.values
    }
    return Errors(
        calibration=calibrate(test.label, prediction),
        bands=tuple(find_band(share, stop, error) for share in SHARES),
        quantiles={
            f"{share:g}": float(value) for share, value in zip(QUANTILES, np.quantile(error, QUANTILES), strict=True)
        },
        histogram_ends=Ends(low, high),
        histogram=tuple(histogram.tolist()),
        by_prediction=measure_bins(prediction, test.label, prediction),
        by_feature={name: measure_bins(column, test.label, prediction) for name, column in columns.items()},
    )


def calibrate(label: Floats, prediction: Floats) -> Calibration:
    """
    The line of least squares through (prediction, label), both of shape (n,).

    Labels that are twice the predictions, less 1:

    >>> found = calibrate(np.array([1.0, 3.0, 5.0]), np.array([1.0, 2.0, 3.0]))
    >>> found.slope, found.intercept
    (2.0, -1.0)
    """
    x, y = prediction.astype(np.float64), label.astype(np.float64)
    x_mean, y_mean = float(x.mean()), float(y.mean())
    x, y = x - x_mean, y - y_mean  # small sums keep their digits
    statistics = np.stack([np.ones_like(x), x, y, x * x, x * y], axis=1)  # (n, 5)
    whole = np.ones((len(x), 1), bool)
    slope, bent = fit_line(statistics.sum(0))
    slopes, offsets = fit_line(draw_sums(whole, statistics)[:, 0])
    intercepts = y_mean + offsets - slopes * x_mean
    return Calibration(float(slope), ends_of(slopes), float(y_mean + bent - slope * x_mean), ends_of(intercepts))


def fit_line(sums: Floats) -> tuple[Floats, Floats]:
    """Slope and intercept from the sums of 1, x, y, x^2 and x y, shape (..., 5); NaN where all x are the same."""
    n, x, y, xx, xy = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = (n * xy - x * y) / (n * xx - x * x)
        return slope, (y - slope * x) / n


def find_band(share: float, stop: Floats, error: Floats) -> Band:
    """
    How many errors are in the band that held `share` of those in `stop`.

    >>> find_band(0.5, np.array([-2.0, -1.0, 0.0, 1.0, 2.0]), np.array([0.0, 0.5, 1.5, 3.0]))
    Band(share=0.5, low=-1.0, high=1.0, received=0.5)
    """
    low, high = np.quantile(stop, [(1 - share) / 2, (1 + share) / 2])
    return Band(share, float(low), float(high), float(np.mean((error >= low) & (error <= high))))


def measure_bins(values: Floats, label: Floats, prediction: Floats) -> tuple[Bin, ...]:
    """The errors of rows that are near to each other in `values`, shape (n,); rows without a value are in no bin."""
    masks = bin_rows(values)
    error = prediction.astype(np.float64) - label
    intervals: Mapping[str, Intervals] = find_intervals(error, masks) if masks else {}
    return tuple(
        Bin(
            low=float(values[mask].min()),
            high=float(values[mask].max()),
            mean=float(values[mask].mean()),
            metrics=measure(label[mask], prediction[mask]),
            intervals=intervals[name],
            quartiles=tuple(np.quantile(error[mask], [0.25, 0.5, 0.75]).tolist()),
        )
        for name, mask in masks.items()
    )


def bin_rows(values: Floats) -> dict[str, Mask]:
    """
    Masks of bins between `EDGES`, shape (n,); equal values are never parted, and a row without a value is in none.

    >>> [int(mask.sum()) for mask in bin_rows(np.array([1.0] * 60 + [2.0] * 40)).values()]
    [60, 40]
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return {}
    shares = [share for share in EDGES if round(min(share, 1 - share) * len(known)) >= LEAST]
    edges = np.unique(np.quantile(known, shares, method="higher"))
    number = np.searchsorted(edges, values, side="right")  # NaN goes behind the last edge
    number[~np.isfinite(values)] = -1
    return {str(n): number == n for n in range(len(edges) + 1) if (number == n).any()}
