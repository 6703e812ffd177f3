"""
How good the model is beside its rivals, on the same rows: `make quality ARGS="--data rows.csv.gz"`.

All learn from the training split, may stop on eval, and are scored on the test split of data/split.py. Gradient
boosting is scikit-learn's HistGradientBoostingRegressor, which handles missing values natively. With `--seeds 10` the
model and gradient boosting are trained with ten seeds each. Without --data the rows are generated from the model's
sample.json. Needs what `make test` installs.
"""

import sys
from dataclasses import replace
from pathlib import Path

import click
import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.rows import choose_rows, taking_rows
from stork.data.sources import Rows
from stork.data.spans import Splits
from stork.data.split import split_rows
from stork.declaration import Declaration
from stork.evaluation.metrics import Metrics, measure, measure_slices
from stork.evaluation.rivals import BOOSTED, MEAN, predict_rivals
from stork.publishing.report import score_baseline
from stork.schema.frozen import Schema
from stork.store.registry import Registry

HEAD = f"{'test rows':<52}{'rows':>7}{'RMSE':>9}{'MAE':>9}{'bias':>9}{'x mean':>9}"


@click.command()
@taking_rows
@click.option("--seeds", default=0, help="Train with so many other seeds too.")
def main(registry: Registry, declaration: Declaration, rows: Rows, splits: Splits, seeds: int) -> None:
    """Print the table."""
    train, stop, test = splits
    click.echo(
        f"{'; '.join(rows.source)}\nrows: {len(train):,} train, {len(stop):,} eval, {len(test):,} test\n\n{HEAD}"
    )
    rivals = {name: measure(test.label, predicted) for name, predicted in predict_rivals(declaration, splits).items()}
    for name, found in rivals.items():
        show(name, found, rivals[MEAN])
    baseline = score_baseline(registry, declaration, test)[0].metrics
    if baseline is not None:
        show("the version in service", baseline, rivals[MEAN])
    prediction = predict_fresh(declaration, splits, test)
    show("trained now", measure(test.label, prediction), rivals[MEAN])
    generated = choose_rows(registry, declaration)
    if generated.source != rows.source:
        taught = Splits(*split_rows(generated, declaration.training))
        found = measure(test.label, predict_fresh(declaration, taught, test))
        show("trained now, on generated rows", found, rivals[MEAN])
    click.echo("\nThe model trained now, by slice")
    for title, found in measure_slices(declaration, test, prediction).items():
        show(title, found)
    if seeds:
        compare_seeds(declaration, splits, seeds)


def show(title: str, found: Metrics, mean: Metrics | None = None) -> None:
    """One line of the table."""
    ratio = f"{found.rmse / mean.rmse:>9.4f}" if mean else ""
    click.echo(f"{title:<52}{found.rows:>7}{found.rmse:>9.4f}{found.mae:>9.4f}{found.bias:>+9.4f}{ratio}")


def predict_fresh(declaration: Declaration, splits: Splits, asked: Rows) -> "np.ndarray":
    """What Stork's own model, trained on these rows, predicts."""
    from stork.training.trainer import train_model
    from stork.training.transform import encode_rows, fit_constants

    schema = Schema.of(declaration)
    constants = fit_constants(schema, declaration.training.label, splits.train)
    trained = train_model(schema, declaration.training, constants, splits.train, splits.eval)
    return trained.predict(encode_rows(schema, asked))


def predict_boosted(declaration: Declaration, splits: Splits, asked: Rows) -> "np.ndarray":
    """The same of gradient boosting."""
    return predict_rivals(declaration, replace(splits, test=asked))[BOOSTED]


def compare_seeds(declaration: Declaration, splits: Splits, seeds: int) -> None:
    """Means and standard deviations over seeds, on eval, which they stop by, and on test, which nobody chose by."""
    click.echo(f"\n{f'RMSE over {seeds} seeds':<52}{'eval':>9}{'sd':>9}{'test':>9}{'sd':>9}")
    for title, predict in (("the model", predict_fresh), ("gradient boosting", predict_boosted)):
        found = []
        for seed in range(1, seeds + 1):
            training = msgspec.structs.replace(declaration.training, seed=seed)
            other = msgspec.structs.replace(declaration, training=training)
            found.append([measure(r.label, predict(other, splits, r)).rmse for r in (splits.eval, splits.test)])
        means, deviations = np.mean(found, axis=0), np.std(found, axis=0)
        figures = "".join(f"{m:>9.4f}{d:>9.4f}" for m, d in zip(means, deviations, strict=True))
        click.echo(f"{title:<52}{figures}")


if __name__ == "__main__":
    main()
