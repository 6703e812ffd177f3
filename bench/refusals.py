"""
What `bless` makes of models that must not pass: `make refusals ARGS="--data rows.csv.gz"`.

Each is trained on the training split after something went wrong with it, scored on the test split beside the version in
service, and judged as a candidate is. Without --data the rows are generated from the model's sample.json. Needs what
`make test` installs.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.rows import taking_rows
from stork.data.sources import Rows
from stork.data.spans import Splits
from stork.declaration import Declaration, Feature
from stork.evaluation.quality import Measured, Verdict, judge
from stork.publishing.report import Candidate, score
from stork.schema.frozen import Schema
from stork.store.registry import Registry
from stork.store.version import Twin, write_manifest

SEED = 3
POUND = 0.45359237  # kilograms
Spoil = Callable[[Declaration, Splits], Splits]


def honest(declaration: Declaration, splits: Splits) -> Splits:
    """Nothing is wrong."""
    return splits


def shuffled(declaration: Declaration, splits: Splits) -> Splits:
    """The labels of the rows that are learned from belong to other rows."""
    draw = np.random.default_rng(SEED)
    return replace(splits, **{part: relabelled(rows, draw.permutation(rows.label)) for part, rows in learned(splits)})


def in_kilograms(declaration: Declaration, splits: Splits) -> Splits:
    """The labels that are learned from are in kilograms, those of the test are in pounds."""
    return replace(splits, **{part: relabelled(rows, rows.label * POUND) for part, rows in learned(splits)})


def all_in_kilograms(declaration: Declaration, splits: Splits) -> Splits:
    """Every label is in kilograms, also those that are scored on: only the version in service still knows better."""
    return Splits(*(relabelled(rows, rows.label * POUND) for rows in splits))


def blind(declaration: Declaration, splits: Splits) -> Splits:
    """The feature that goes with the label most closely is the same everywhere in what is learned from."""
    name = most_important(declaration, splits.train)
    usual = sorted(value for value in splits.train.columns[name] if value is not None)[len(splits.train) // 2]
    return replace(
        splits,
        **{part: replace(rows, columns={**rows.columns, name: [usual] * len(rows)}) for part, rows in learned(splits)},
    )


def leaking(declaration: Declaration, splits: Splits) -> Splits:
    """A feature holds the label, in the test too: what is measured is far too good."""
    feature = max((f for f in declaration.features if f.range), key=levels)
    assert feature.range is not None
    low, high = feature.range
    labels = np.concatenate([rows.label for rows in splits])
    least, most = labels.min(), labels.max()

    def leak(rows: Rows) -> Rows:
        held = low + (rows.label - least) / (most - least) * (high - low)
        column = held.round().astype(int) if feature.kind == "integer" else held
        return replace(rows, columns={**rows.columns, feature.name: column.tolist()})

    return Splits(*map(leak, splits))


CASES: dict[str, Spoil] = {
    "honest": honest,
    "trained on shuffled labels": shuffled,
    "trained in kilograms": in_kilograms,
    "trained and scored in kilograms": all_in_kilograms,
    "blind to the most important feature": blind,
    "leaks the label": leaking,
}


def learned(splits: Splits) -> list[tuple[str, Rows]]:
    return [("train", splits.train), ("eval", splits.eval)]


def relabelled(rows: Rows, label: "np.ndarray") -> Rows:
    return replace(rows, label=label)


def levels(feature: Feature) -> float:
    """How many values a feature of a range has."""
    low, high = feature.range or (0, 0)
    return high - low if feature.kind == "integer" else np.inf


def most_important(declaration: Declaration, rows: Rows) -> str:
    """The numeric feature whose correlation with the label is the largest, in absolute value."""
    found = {}
    for feature in declaration.features:
        if feature.kind in ("number", "integer"):
            column = np.array([np.nan if value is None else value for value in rows.columns[feature.name]], float)
            known = np.isfinite(column)
            found[feature.name] = abs(np.corrcoef(column[known], rows.label[known])[0, 1])
    return max(found, key=lambda name: found[name])


def train(declaration: Declaration, splits: Splits, folder: Path) -> None:
    """Leave a candidate in an empty folder; without a twin, which changes nothing of its quality."""
    from stork.training.export import export_model
    from stork.training.trainer import train_model
    from stork.training.transform import fit_constants

    schema = Schema.of(declaration)
    constants = fit_constants(schema, declaration.training.label, splits.train)
    trained = train_model(schema, declaration.training, constants, splits.train, splits.eval)
    export_model(trained, schema, folder)
    (folder / "schema.json").write_bytes(schema.to_json())
    write_manifest(folder, schema, Twin(proved=False, reason="not wanted"))


def judge_case(
    registry: Registry, declaration: Declaration, splits: Splits, spoil: Spoil, folder: Path
) -> tuple[Measured, Verdict]:
    """Train on what is left of these rows, score on their test split, judge what the report says; below the folder."""
    spoiled = spoil(declaration, splits)
    candidate = folder / "candidate"
    candidate.mkdir(parents=True)
    train(declaration, spoiled, candidate)
    known = spoiled if spoil is all_in_kilograms else replace(splits, test=spoiled.test)  # the mean is of its labels
    score(registry, declaration, known, Candidate.load(candidate), "refusals").write(folder)
    measured = Measured.load(folder)
    return measured, judge(declaration, measured)


def show(title: str, found: Measured, verdict: Verdict) -> None:
    """One line of the table."""
    ratios = [f"{comparison.ratio:.3f}" for comparison in verdict.comparisons if not comparison.slice]
    against_mean, against_baseline = (*ratios, "-")[:2]
    sliced = [comparison for comparison in verdict.comparisons if comparison.slice]
    nearest = max(sliced, key=lambda comparison: comparison.ratio, default=None)
    worst = f"{nearest.ratio:.3f} ({nearest.rows})" if nearest else "-"
    click.echo(f"{title:<40}{found.test.error:>8.3f}{against_mean:>8}{against_baseline:>14}{worst:>16}  {verdict.name}")


@click.command()
@taking_rows
@click.option("--seeds", default=0, help="Train honest candidates of so many other seeds too.")
def main(registry: Registry, declaration: Declaration, rows: Rows, splits: Splits, seeds: int) -> None:
    """Print a table, and below it every reason."""
    click.echo(f"{'; '.join(rows.source)}: {', '.join(f'{len(part):,}' for part in splits)} rows to train, eval, test")
    click.echo(f"\n{'model':<40}{'RMSE':>8}{'x mean':>8}{'x in service':>14}{'worst slice':>16}  verdict")
    reasons = []
    with tempfile.TemporaryDirectory() as scratch:
        for number, (title, spoil) in enumerate(CASES.items()):
            found, verdict = judge_case(registry, declaration, splits, spoil, Path(scratch) / str(number))
            show(title, found, verdict)
            reasons += [f"\n{title}: {verdict.name}", *(f"  {reason}" for reason in verdict.reasons)]
        for seed in range(1, seeds + 1):
            training = msgspec.structs.replace(declaration.training, seed=seed)
            other = msgspec.structs.replace(declaration, training=training)
            found, verdict = judge_case(registry, other, splits, honest, Path(scratch) / f"seed-{seed}")
            show(f"honest, seed {seed}", found, verdict)
            reasons += [f"\nhonest, seed {seed}: {verdict.name}", *(f"  {reason}" for reason in verdict.reasons)]
    click.echo("\n".join(reasons))


if __name__ == "__main__":
    main()
