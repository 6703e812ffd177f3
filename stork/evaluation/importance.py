"""What each feature is worth to a model: its error where the feature's values are dealt anew among the test rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from stork.data.sources import Rows
from stork.evaluation.intervals import ALL, Ends, find_intervals
from stork.evaluation.metrics import Floats, measure

SEED = 31
MOST = 20_000  # rows: more are a sample of so many
DEALS = 3  # the errors of so many are put together: one alone is luck where few rows have a rare value


@dataclass(frozen=True)
class Importance:
    """
    The RMSE without what a feature says, the model's own on the same rows, and the interval of their ratio.

    A feature that two columns tell alike may be worth little by either, and its values are shuffled also where other
    features rule them out: it is what this model would lose, not what another could do without.
    """

    rmse: float
    own_rmse: float
    ratio: Ends

    @property
    def share(self) -> float:
        """The model's own RMSE as a share of that without the feature; NaN where that is 0."""
        return self.own_rmse / (self.rmse or float("nan"))

    @property
    def is_beneficial(self) -> bool:
        """Whether chance does not explain that the model is better with the feature."""
        return self.ratio.high < 1.0


def find_importance(rows: Rows, predict: Callable[[Rows], Floats]) -> dict[str, Importance]:
    """
    Of every feature, by permutation (Breiman 2001), the same each time; `predict` gives the label of rows, shape (n,).

    Source: https://doi.org/10.1023/A:1010933404324
    """
    random = np.random.default_rng(SEED)
    if len(rows) > MOST:
        rows = rows.select(np.isin(np.arange(len(rows)), random.choice(len(rows), MOST, replace=False)))
    error = predict(rows) - rows.label
    without = {name: shuffled_error(rows, name, predict, random) for name in rows.columns}
    ratios = find_intervals(error, {ALL: np.ones(len(rows), bool)}, without)[ALL].ratios
    zeros = np.zeros(len(rows))
    own = measure(zeros, error).rmse
    return {name: Importance(measure(zeros, wrong).rmse, own, ratios[name]) for name, wrong in without.items()}


def rank(importance: Mapping[str, Importance]) -> list[tuple[str, Importance]]:
    """The features by name, the one that is worth most first."""
    return sorted(importance.items(), key=lambda item: -item[1].rmse)


def shuffled_error(rows: Rows, name: str, predict: Callable[[Rows], Floats], random: np.random.Generator) -> Floats:
    """The error of each row with others' values of the feature in it, shape (n,): the root mean square of all deals."""
    squares = np.zeros(len(rows))
    for _ in range(DEALS):
        dealt = [rows.columns[name][place] for place in random.permutation(len(rows))]
        squares += (predict(replace(rows, columns={**rows.columns, name: dealt})) - rows.label) ** 2
    return np.sqrt(squares / DEALS)
