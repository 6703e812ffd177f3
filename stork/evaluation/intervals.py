"""
How sure a figure is: 95% intervals by the Poisson bootstrap, those of all slices and ratios from the same draws.

In each replicate a row counts as often as a Poisson number of mean 1 says, which is what drawing as many rows anew does
where there are many (Chamandy et al. 2012, https://research.google/pubs/pub43157/). Sums over rows are then one matrix
product, and a ratio of two models is drawn on the same rows for both: what is hard for both cancels out. A drawn figure
is held to its own standard error (the bootstrap-t), which makes intervals of few rows as wide as they have to be.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from stork.evaluation.metrics import Floats, Mask

# What a report calls all rows, and the other that a ratio is to where it is no rival.
ALL, IN_SERVICE = "all", "the version in service"
REPLICATES = 1000
CONFIDENCE = 0.95
SEED = 29
# More rows than that are first put into so many cells, at random, whose sums are drawn: the time stays the same.
CELLS = 16_384
FARTHEST = 12.7  # standard errors: as far as Student's t goes, of two rows, with 95% confidence
NOTHING = 1e-9  # a standard error that is what rounding leaves of none


class Ends(NamedTuple):
    """The ends of an interval; NaN where nothing can be said."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether a value lies inside."""
        return self.low <= value <= self.high


UNKNOWN = Ends(float("nan"), float("nan"))


@dataclass(frozen=True)
class Intervals:
    """Of a group's RMSE, MAE and bias; `ratios`: of its RMSE to that of others, by their name, on the same rows."""

    rmse: Ends
    mae: Ends
    bias: Ends
    ratios: dict[str, Ends]


def find_intervals(
    error: Floats, groups: Mapping[str, Mask], others: Mapping[str, Floats] | None = None
) -> dict[str, Intervals]:
    """
    The intervals of each group of rows, a mask of shape (n,).

    `error` is prediction minus label, shape (n,); `others` are the errors of other models on the same rows.

    400 errors of 1 and -1: their mean, 0, has a standard error of 1 / sqrt(400) = 0.05.

    >>> found = find_intervals(np.array([1.0, -1.0] * 200), {"all": np.ones(400, bool)})["all"]
    >>> round(found.bias.low, 1), round(found.bias.high, 1), found.rmse
    (-0.1, 0.1, Ends(low=1.0, high=1.0))
    """
    others = dict(others or {})
    figures = [np.ones_like(error), error**2, np.abs(error), error, error**4]
    for other in others.values():
        figures += [other**2, other**4, error**2 * other**2]
    statistics = np.stack(figures, axis=1).astype(np.float64)  # (n, s)
    masks = np.stack(list(groups.values()), axis=1)  # (n, g)
    seen = masks.T.astype(np.float64) @ statistics  # (g, s)
    seen[seen[:, 0] < 2] = np.nan
    sums = np.concatenate([seen[None], draw_sums(masks, statistics)])  # (1 + REPLICATES, g, s)
    with np.errstate(invalid="ignore", divide="ignore"):  # a draw may leave a small group without a row
        means, root = sums[..., 1:] / sums[..., :1], np.sqrt(sums[..., 0])
        square, size, bias, fourth = (means[..., i] for i in range(4))
        rmse = Figure(np.log(square) / 2, deviation(fourth / square**2 - 1) / 2 / root)
        mae, mean = Figure(size, deviation(square - size**2) / root), Figure(bias, deviation(square - bias**2) / root)
        ratios = {name: rate(square, fourth, means[..., 4 + 3 * i :], root) for i, name in enumerate(others)}
        return {
            name: Intervals(
                rmse.ends(g, np.exp), mae.ends(g), mean.ends(g), {n: r.ends(g, np.exp) for n, r in ratios.items()}
            )
            for g, name in enumerate(groups)
        }


class Figure(NamedTuple):
    """
    A figure of each group as it was seen, then as it was drawn, and its standard error each time; (1 + REPLICATES, g).

    The standard error is by the delta method; of an RMSE and of a ratio the logarithm is looked at, which is nearer to
    normal.
    """

    value: Floats
    error: Floats

    def ends(self, group: int, told: Callable[[float], float] = float) -> Ends:
        """
        The bootstrap-t interval: how many of its standard errors a drawn figure is off says how far this one may be.

        Of a single row nothing can be said, nor of so few that too many draws are of a single one, or of rows that err
        alike and so seem sure.
        Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, 12.5.
        """
        value, error = self.value[:, group], self.error[:, group]
        if not error[0] > NOTHING * max(1.0, abs(value[0])):  # all errors are the same
            point = float(told(np.round(value[0], 12)))  # a model is exactly as good as itself
            return Ends(point, point)
        off = (value[1:] - value[0]) / error[1:]  # infinite where a draw was of one row only, NaN where of none
        least, most = np.quantile(off[~np.isnan(off)], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], method="nearest")
        if not max(-least, most) <= FARTHEST:
            return UNKNOWN
        return Ends(float(told(value[0] - most * error[0])), float(told(value[0] - least * error[0])))


def rate(square: Floats, fourth: Floats, other: Floats, root: Floats) -> Figure:
    """
    The logarithm of the ratio of two RMSEs on the same rows.

    `other` are the means of the other's squared error, of its fourth power, and of the product of both squared errors;
    `root` is that of the number of rows.
    """
    theirs, their_fourth, both = (other[..., i] for i in range(3))
    variance = fourth / square**2 + their_fourth / theirs**2 - 2 * both / square / theirs
    return Figure(np.log(square / theirs) / 2, deviation(variance) / 2 / root)


def deviation(variance: Floats) -> Floats:
    """The root of a variance, which rounding may have left below 0."""
    return np.sqrt(np.maximum(variance, 0.0))


def draw_sums(masks: Mask, statistics: Floats) -> Floats:
    """
    Sums of statistics, shape (n, s), over the rows of each group, shape (n, g), as often as the draw counts each row.

    Shape (REPLICATES, g, s); the same for the same arguments.
    """
    random = np.random.default_rng(SEED)
    rows, width = len(masks), masks.shape[1] * statistics.shape[1]
    order = random.permutation(rows) if rows > CELLS else np.arange(rows)
    cells = np.zeros((min(rows, CELLS), width))
    for start in range(0, rows, CELLS):
        chosen = order[start : start + CELLS]
        columns = masks[chosen, :, None] * statistics[chosen, None, :]  # (c, g, s)
        cells[: len(chosen)] += columns.reshape(len(chosen), width)
    counts = random.poisson(1.0, (REPLICATES, len(cells))).astype(np.float32)
    drawn: Floats = (counts @ cells.astype(np.float32)).reshape(REPLICATES, masks.shape[1], statistics.shape[1])
    return drawn


def ends_of(drawn: Floats, confidence: float = CONFIDENCE) -> Ends:
    """
    The middle part of what was drawn, shape (REPLICATES,); draws that are no number aside.

    >>> ends_of(np.arange(101.0), 0.5)
    Ends(low=25.0, high=75.0)
    """
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return Ends(float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Ends(float(low), float(high))
