"""
How sure a figure is: 95% intervals by the Poisson bootstrap, those of all slices and ratios from the same draws.

In each replicate a row counts as often as a Poisson number of mean 1 says, which is what drawing as many rows anew does
where there are many (Chamandy et al. 2012, https://research.google/pubs/pub43157/). Sums over rows are then one matrix
product, and a ratio of two models is drawn on the same rows for both: what is hard for both cancels out.
"""

from collections.abc import Mapping
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


class Ends(NamedTuple):
    """The ends of an interval; NaN where nothing can be said."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether a value lies inside."""
        return self.low <= value <= self.high


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
    figures = [np.ones_like(error), error**2, np.abs(error), error, *(other**2 for other in others.values())]
    statistics = np.stack(figures, axis=1).astype(np.float64)  # (n, s)
    masks = np.stack(list(groups.values()), axis=1)  # (n, g)
    drawn = draw_sums(masks, statistics)  # (REPLICATES, g, s)
    with np.errstate(invalid="ignore", divide="ignore"):  # a draw may leave a small group without a row
        means = drawn[..., 1:] / drawn[..., :1]
        rmse = np.sqrt(means[..., 0])
        ratios = {name: rmse / np.sqrt(means[..., 3 + i]) for i, name in enumerate(others)}
    return {
        name: Intervals(
            ends_of(rmse[:, g]),
            ends_of(means[:, g, 1]),
            ends_of(means[:, g, 2]),
            {other: ends_of(ratio[:, g]) for other, ratio in ratios.items()},
        )
        for g, name in enumerate(groups)
    }


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
