"""
What a net must be better than, learned from the same rows and asked the same: the mean, a linear model, boosted trees.

None of them is told of the test split; trees stop on eval, as the net does.
"""

from collections.abc import Callable

import numpy as np

from stork.data.sources import Rows
from stork.data.spans import Splits
from stork.declaration import Declaration
from stork.evaluation.metrics import Floats
from stork.schema.frozen import Schema
from stork.training.transform import Constants, Transform, Vocabulary, encode_rows, fit_constants

MEAN, LINEAR, BOOSTED = "the mean", "the linear model", "gradient boosting"
RIDGE = 1.0  # in rows: what the penalty weighs beside those that have the column
TREES = 1000  # at most; eval ends it long before

Rival = Callable[[Declaration, Constants, Rows, Rows, Rows], Floats]


def predict_rivals(
    declaration: Declaration, splits: Splits, told: Callable[[str], None] = lambda name: None
) -> dict[str, Floats]:
    """What each rival predicts for the test split, shape (n,), by its name, which is `told` when it is done."""
    constants = fit_constants(Schema.of(declaration), declaration.training.label, splits.train)
    found = {}
    for name, predict in RIVALS.items():
        found[name] = predict(declaration, constants, *splits)
        told(name)
    return found


def predict_mean(declaration: Declaration, constants: Constants, train: Rows, stop: Rows, test: Rows) -> Floats:
    """The mean of the training labels, for everybody."""
    return np.full(len(test), train.label.mean())


def predict_linear(declaration: Declaration, constants: Constants, train: Rows, stop: Rows, test: Rows) -> Floats:
    """
    Ridge regression on all that the net's transform makes of a row: numbers, their steps, and zeros and ones.

    So it bends along each feature, but what one feature adds does not depend on another.
    """
    known, asked = (encode(declaration, constants, rows) for rows in (train, test))
    weights = np.ones(len(train)) if train.weights is None else train.weights
    centre, mean = np.average(known, axis=0, weights=weights), np.average(train.label, weights=weights)
    columns = known - centre  # (n, p)
    weighted = columns * weights[:, None]
    penalty = RIDGE * weights.mean() * np.eye(columns.shape[1])
    slopes = np.linalg.solve(weighted.T @ columns + penalty, weighted.T @ (train.label - mean))  # (p,)
    predicted: Floats = (asked - centre) @ slopes + mean
    return predicted


def encode(declaration: Declaration, constants: Constants, rows: Rows) -> Floats:
    """The wide and the deep half of the net's input, shape (n, p)."""
    schema = Schema.of(declaration)
    halves = Transform(schema, constants)(encode_rows(schema, rows))
    return np.concatenate([half.numpy() for half in halves], axis=1).astype(np.float64)


def predict_boosted(declaration: Declaration, constants: Constants, train: Rows, stop: Rows, test: Rows) -> Floats:
    """scikit-learn's HistGradientBoostingRegressor with its defaults, missing values as such, until eval gets worse."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    trees = HistGradientBoostingRegressor(early_stopping=True, max_iter=TREES, random_state=declaration.training.seed)
    known, halting, asked = (tabulate(declaration, constants, rows) for rows in (train, stop, test))
    seen = np.isfinite(known).any(axis=0)  # scikit-learn finds no bins for a column that no training row has
    if not seen.any():
        return predict_mean(declaration, constants, train, stop, test)
    known, halting, asked = (table[:, seen] for table in (known, halting, asked))
    # Its threads wait for each other thousands of times: where another process has a processor, that takes minutes.
    with threadpool_limits(1, user_api="openmp"):
        trees.fit(
            known,
            train.label,
            sample_weight=train.weights,
            X_val=halting,
            y_val=stop.label,
            sample_weight_val=stop.weights,
        )
        predicted: Floats = trees.predict(asked)
    return predicted


def tabulate(declaration: Declaration, constants: Constants, rows: Rows) -> Floats:
    """
    The features as floats, shape (n, features), NaN where missing.

    A text is its place among the declared values, else among the words of the transform; one unknown comes after them.
    """
    columns = []
    for feature in declaration.features:
        fitted = constants.features[feature.name]
        words = [value.value for value in feature.values if isinstance(value.value, str)]
        if feature.kind == "string" and isinstance(fitted, Vocabulary):
            words = [str(word) for word in fitted.values]
        codes = {word: place for place, word in enumerate(words)}
        columns.append(
            [
                np.nan if v is None else float(codes.get(v, len(codes))) if isinstance(v, str) else float(v)
                for v in rows.columns[feature.name]
            ]
        )
    return np.array(columns, np.float64).T


RIVALS: dict[str, Rival] = {MEAN: predict_mean, LINEAR: predict_linear, BOOSTED: predict_boosted}
