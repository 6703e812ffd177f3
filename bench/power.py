"""
From what shift on validation tells two spans apart, by their rows: `make walk ARGS=...` has real ones, these are made.

Two samples of a normal distribution, one of them shifted, are described and compared as two spans are, and the shift is
halved in until it is found in nine of ten pairs. `bits` is the Jensen-Shannon divergence of the two distributions.
"""

import sys
from pathlib import Path

import click
import numpy as np
import pyarrow

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.validation import describe_tables
from stork.data.comparing import Columns, Pair, compare_values
from stork.data.expectations import Expectation
from stork.data.gathering import Plan
from stork.declaration.data_schema import Comparing

PLAN = Plan({"size": "number"}, "size")
SIZE = Expectation("size", "number", is_label=True)
SEED = 7
STEPS = 7


def is_found(random: np.random.Generator, rows: int, shift: float, rate: float) -> bool:
    """Whether one sample, shifted by so many standard deviations, is told from another."""
    samples = random.normal(shift, 1, rows), random.normal(0, 1, rows)
    sides = [describe_tables([pyarrow.table({"size": side})], PLAN) for side in samples]
    pair = Pair("drift", "size", 2, ("span 2", "span 1"), *sides)
    return not compare_values(Columns(pair, SIZE, sides[0].columns[0], sides[1].columns[0]), Comparing(), rate).passed


def find_shift(rows: int, rate: float, pairs: int) -> float:
    """The smallest shift that is found in nine of ten pairs, in standard deviations."""
    low, high = 0.0, 20 / rows**0.5
    for _ in range(STEPS):
        middle, random = (low + high) / 2, np.random.default_rng(SEED)
        found = sum(is_found(random, rows, middle, rate) for _ in range(pairs))
        low, high = (low, middle) if found >= 0.9 * pairs else (middle, high)
    return high


def bits_of(shift: float) -> float:
    """The divergence of two normal distributions so many standard deviations apart."""
    x, step = np.linspace(-10, 10 + shift, 20_001, retstep=True)
    p, q = (np.exp(-((x - mean) ** 2) / 2) / (2 * np.pi) ** 0.5 for mean in (0.0, shift))
    m = (p + q) / 2
    return float(((p * np.log2(p / m) + q * np.log2(q / m)) / 2).sum() * step)


@click.command()
@click.option("--rows", multiple=True, type=int, default=(1_000, 4_000, 16_000), help="Of each side; repeatable.")
@click.option("--sd", default=1.0, help="The standard deviation, in the label's unit.")
@click.option("--rate", default=0.001 / 30, help="How often chance may exceed the threshold.")
@click.option("--pairs", default=60, help="Of samples, at every shift that is tried.")
def main(rows: tuple[int, ...], sd: float, rate: float, pairs: int) -> None:
    """Print the table."""
    print("| rows of each span | shift, sd | shift of the mean | bits |\n|---|---|---|---|")
    for many in rows:
        shift = find_shift(many, rate, pairs)
        print(f"| {many:,} | {shift:.3f} | {shift * sd:.3f} | {bits_of(shift):.4f} |", flush=True)


if __name__ == "__main__":
    main()
