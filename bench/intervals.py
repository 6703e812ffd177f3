"""
How often a 95% interval holds the truth, by the number of rows and the shape of the errors: `make intervals`.

Samples are drawn from distributions whose RMSE is known, and so is its ratio to that of another model that errs alike.
Needs what `make test` installs.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from stork.evaluation.intervals import Intervals, find_intervals
from stork.evaluation.metrics import Floats

ROWS = (10, 20, 50, 300)
BIAS = 0.1
FURTHER = 0.32  # what the other model errs besides, standard deviation
RMSE = (1 + BIAS**2) ** 0.5
TRUTH = {"RMSE": RMSE, "bias": BIAS, "ratio": RMSE / (RMSE**2 + FURTHER**2) ** 0.5}

# Each of standard deviation 1 and mean 0.
Draw = Callable[[np.random.Generator, int], Floats]
SHAPES: dict[str, Draw] = {
    "normal": lambda random, rows: random.normal(0.0, 1.0, rows),
    "heavy tails (t, 6 degrees)": lambda random, rows: random.standard_t(6, rows) / 1.5**0.5,
    "skewed (gamma, shape 4)": lambda random, rows: (random.gamma(4.0, 1.0, rows) - 4) / 2,
}


def sample(draw: Draw, rows: int, seed: int) -> Intervals:
    """The intervals of one sample."""
    random = np.random.default_rng(seed)
    error = draw(random, rows) + BIAS
    other = error + random.normal(0.0, FURTHER, rows)
    return find_intervals(error, {"all": np.ones(rows, bool)}, {"other": other})["all"]


def coverage(draw: Draw, rows: int, samples: int) -> list[float]:
    """The share of the samples whose interval of each figure holds the truth."""
    found = [sample(draw, rows, seed) for seed in range(samples)]
    ends = {
        "RMSE": [sure.rmse for sure in found],
        "bias": [sure.bias for sure in found],
        "ratio": [sure.ratios["other"] for sure in found],
    }
    return [float(np.mean([end.holds(TRUTH[name]) for end in ends[name]])) for name in TRUTH]


@click.command()
@click.option("--samples", default=1000, show_default=True, help="How many of each kind.")
def main(samples: int) -> None:
    """Print the table."""
    click.echo(f"{f'{samples:,} samples of each':<32}{'rows':>6}" + "".join(f"{name:>8}" for name in TRUTH))
    for shape, draw in SHAPES.items():
        for rows in ROWS:
            click.echo(f"{shape:<32}{rows:>6}" + "".join(f"{share:>8.1%}" for share in coverage(draw, rows, samples)))


if __name__ == "__main__":
    main()
