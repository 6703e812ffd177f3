"""
How good the model is beside gradient boosting, on the same rows: `make quality ARGS="--data rows.csv.gz"`.

All learn from the training split and are scored on the test split of data/split.py. Gradient boosting is scikit-learn's
HistGradientBoostingRegressor with its defaults, which handles missing values natively. Without --data the rows are
generated from the model's sample.json. Needs what `make test` installs.
"""

import sys
from pathlib import Path

import click
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.rows import choose_rows, taking_rows
from stork.data.sources import Rows
from stork.data.spans import Splits
from stork.data.split import split_rows
from stork.declaration import Declaration
from stork.evaluation.metrics import Metrics, measure, measure_slices
from stork.publishing.report import score_baseline
from stork.schema.frozen import Schema
from stork.store.registry import Registry

HEAD = f"{'test rows':<52}{'rows':>7}{'RMSE':>9}{'MAE':>9}{'bias':>9}{'x mean':>9}"


@click.command()
@taking_rows
def main(registry: Registry, declaration: Declaration, rows: Rows, splits: Splits) -> None:
    """Print the table."""
    train, stop, test = splits
    mean = measure(test.label, np.full(len(test), train.label.mean()))
    click.echo(
        f"{'; '.join(rows.source)}\nrows: {len(train):,} train, {len(stop):,} eval, {len(test):,} test\n\n{HEAD}"
    )
    show("predicting the mean", mean, mean)
    baseline = score_baseline(registry, declaration, test).metrics
    if baseline is not None:
        show("the version in service", baseline, mean)
    prediction = predict_fresh(declaration, train, stop, test)
    show("trained now", measure(test.label, prediction), mean)
    generated = choose_rows(registry, declaration)
    if generated.source != rows.source:
        taught, halted, _ = split_rows(generated, declaration.training)
        found = measure(test.label, predict_fresh(declaration, taught, halted, test))
        show("trained now, on generated rows", found, mean)
    for title, learned in (("train", [train]), ("train and eval", [train, stop])):
        for early in (False, True):
            found = measure(test.label, predict_boosted(declaration, learned, test, early))
            show(f"gradient boosting on {title}, {'' if early else 'no '}early stopping", found, mean)
    click.echo("\nThe model trained now, by slice")
    for title, found in measure_slices(declaration, test, prediction).items():
        show(title, found)


def show(title: str, found: Metrics, mean: Metrics | None = None) -> None:
    """One line of the table."""
    ratio = f"{found.rmse / mean.rmse:>9.4f}" if mean else ""
    click.echo(f"{title:<52}{found.rows:>7}{found.rmse:>9.4f}{found.mae:>9.4f}{found.bias:>+9.4f}{ratio}")


def predict_fresh(declaration: Declaration, train: Rows, stop: Rows, test: Rows) -> "np.ndarray":
    """What Stork's own model, trained on these rows, predicts for the test rows."""
    from stork.training.trainer import train_model
    from stork.training.transform import encode_rows, fit_constants

    schema = Schema.of(declaration)
    constants = fit_constants(schema, declaration.training.label, train)
    trained = train_model(schema, declaration.training, constants, train, stop)
    return trained.predict(encode_rows(schema, test))


def predict_boosted(declaration: Declaration, learned: list[Rows], test: Rows, early: bool) -> "np.ndarray":
    """The same of gradient boosting."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    tables = [tabulate(declaration, rows) for rows in (*learned, test)]
    labels = np.concatenate([rows.label for rows in learned])
    boosted = HistGradientBoostingRegressor(early_stopping=early, random_state=declaration.training.seed)
    return boosted.fit(np.concatenate(tables[:-1]), labels).predict(tables[-1])


def tabulate(declaration: Declaration, rows: Rows) -> "np.ndarray":
    """The features as floats, shape (n, features), NaN where missing; text by its place in the vocabulary."""
    columns = []
    for feature in declaration.features:
        codes = {value.value: i for i, value in enumerate(feature.values) if isinstance(value.value, str)}
        columns.append([np.nan if v is None else float(codes.get(v, v)) for v in rows.columns[feature.name]])
    return np.array(columns).T


if __name__ == "__main__":
    main()
