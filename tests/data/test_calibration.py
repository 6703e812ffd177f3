"""A threshold is exceeded by chance as often as it was asked to be, and a span has no false alarms."""

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow
import pytest

from bench.validation import describe_tables
from stork.data.anomalies import Comparison
from stork.data.calibration import threshold_of_counts, threshold_of_shares
from stork.data.comparators import jensen_shannon, js_of_counts, js_of_histograms, l_infinity, normalized_difference
from stork.data.comparing import Pair, columns_of, compare_all, compare_values
from stork.data.expectations import Expectation
from stork.data.gathering import Plan
from stork.declaration.data_schema import Column, Comparing, Measure

PAIRS = 400  # the rate's standard deviation is 0.011
SIZES = (300, 500)
# Many rare values are what a threshold goes wrong with.
RARE = 1 / np.arange(1, 81) / (1 / np.arange(1, 81)).sum()
MEASURES = {
    "l_infinity": lambda one, other: l_infinity(one, other).value,
    "jensen_shannon": js_of_counts,
    "normalized_difference": lambda one, other: normalized_difference(one, other).value,
}
EXPECTED = {
    "shop": Expectation("shop", "text"),
    "age": Expectation("age", "integer"),
    "size": Expectation("size", "number"),
}
Random = np.random.Generator
Floats = npt.NDArray[np.float64]
# Numbers with more values than are listed, each as so many are drawn.
NUMBERS: dict[str, Callable[[Random, int], Floats]] = {
    "normal": lambda random, n: random.normal(7, 1.3, n),
    "heavy tails": lambda random, n: random.standard_cauchy(n),
    "of all sizes": lambda random, n: np.exp(random.normal(0, 5, n)),
    "heaped": lambda random, n: np.round(random.normal(7, 1.3, n) * 16) / 16,
    "often the same": lambda random, n: np.where(random.random(n) < 0.4, 0.0, random.normal(5, 1, n)),
}
PLAN = Plan({"shop": "text", "age": "integer", "size": "number"}, "size")


@pytest.mark.parametrize("measure", MEASURES)
def test_chance_exceeds_a_threshold_as_often_as_asked(measure: Measure) -> None:
    """Of 400 pairs of samples of one origin, of 80 values, about a twentieth is above the threshold for 0.05."""
    random, high = np.random.default_rng(3), 0
    for _ in range(PAIRS):
        one, other = (Counter(map(str, random.choice(80, size, p=RARE))) for size in SIZES)
        pooled = sorted((one + other).values())
        high += MEASURES[measure](one, other) > threshold_of_counts(measure, pooled, SIZES, 0.05)

    assert 0.02 < high / PAIRS < 0.085


def test_so_does_the_share_of_rows_with_a_value() -> None:
    """The same where a tenth of the rows has none."""
    random, high = np.random.default_rng(4), 0
    for _ in range(PAIRS):
        one, other = (int(random.binomial(size, 0.9)) for size in SIZES)
        high += abs(one / 300 - other / 500) > threshold_of_shares(one + other, SIZES, 0.05)

    assert 0.02 < high / PAIRS < 0.085


def compare_numbers(one: Floats, other: Floats, rate: float) -> Comparison:
    """The comparison of two samples of numbers, by a threshold for this rate."""
    sides = [describe_tables([pyarrow.table({"size": side})], PLAN) for side in (one, other)]
    (columns,) = columns_of(Pair("drift", "size", 2, ("span 2", "span 1"), *sides), {"size": EXPECTED["size"]})
    return compare_values(columns, Comparing(), rate)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [(name, (200, 320)) for name in NUMBERS if name != "heaped"] + [("heaped", (300, 500)), ("heaped", (150, 1500))],
)
def test_so_do_numbers_with_many_values(name: str, sizes: tuple[int, int]) -> None:
    """The same between shared edges, whatever the distribution and however different the sizes."""
    random = np.random.default_rng(6)
    made = [compare_numbers(*(NUMBERS[name](random, size) for size in sizes), 0.05) for _ in range(PAIRS)]

    assert 0.02 < sum(not each.passed for each in made) / PAIRS < 0.085
    assert not any(each.treatment.counts for each in made[:20])


@pytest.mark.parametrize("rate", [0.001, 0.0001])
def test_a_rare_rate_errs_on_the_safe_side(rate: float) -> None:
    """Where the tail is extrapolated, chance exceeds a threshold less often than asked, and is not shut out."""
    amounts = np.array([2, 18, 180, *(200,) * 8, 180, 18, 2])  # as shared edges have them
    threshold = threshold_of_counts("jensen_shannon", amounts.tolist(), (1000, 1000), rate)
    drawn = np.random.default_rng(9).multivariate_hypergeometric(amounts, 1000, 100_000).astype(float)
    differences = jensen_shannon(drawn, amounts - drawn)

    assert (differences > threshold).mean() < rate and differences.max() > 0.8 * threshold


@pytest.mark.parametrize(("rows", "shift"), [(1_000, 0.4), (4_000, 0.2)])
def test_a_shift_of_numbers_is_found(rows: int, shift: float) -> None:
    """At the rate of one of a span's comparisons; one of a quarter of that is not."""
    random, found = np.random.default_rng(7), {shift: 0, shift / 4: 0}
    for moved in found:
        for _ in range(10):
            one, other = random.normal(moved, 1, rows), random.normal(0, 1, rows)
            found[moved] += not compare_numbers(one, other, 0.001 / 30).passed

    assert found == {shift: 10, shift / 4: 0}


def test_tfdvs_measure_holds_a_column_to_its_threshold() -> None:
    """Where it is asked for: the divergence of both sides' own ten buckets, held to what is declared."""
    wanted = Expectation("size", "number", Column(measure="tfdv_jensen_shannon", drift=0.07))
    random = np.random.default_rng(8)
    sides = [describe_tables([pyarrow.table({"size": random.normal(mean, 1, 500)})], PLAN) for mean in (0.0, 0.5)]
    (columns,) = columns_of(Pair("drift", "size", 2, ("span 2", "span 1"), *sides), {"size": wanted})
    made = compare_values(columns, Comparing(), 0.001)
    one, other = columns.treatment.numbers, columns.control.numbers

    assert one is not None and other is not None and made.treatment.histogram == one.histogram
    assert (made.value, made.threshold, made.calibrated) == (js_of_histograms(one, other), 0.07, False)


def compare_made(pairs: int, rate: float, moved: float = 0.0) -> Iterator[list[Comparison]]:
    """Validations of 400 made rows beside 400 others: a text, an integer, a number; `moved` shifts the text."""
    random = np.random.default_rng(5)

    def make(share: float) -> pyarrow.Table:
        shops = random.choice(["a", "b", "c"], 400, p=[0.5 + share, 0.4 - share, 0.1])
        known = random.random(400) < 0.9
        shops = [shop if there else None for shop, there in zip(shops.tolist(), known, strict=True)]
        sizes = random.normal(7, 1.3, 400)
        return pyarrow.table({"shop": shops, "age": random.poisson(28, 400), "size": sizes})

    for _ in range(pairs):
        sides = [describe_tables([make(share)], PLAN) for share in (moved, 0.0)]
        pair = Pair("drift", "size", 2, ("span 2", "span 1"), sides[0], sides[1])
        yield list(compare_all(pair, EXPECTED, Comparing(false_alarms=rate)))


def alarms(validations: Iterator[list[Comparison]]) -> int:
    """How many of them have a comparison that does not pass."""
    return sum(any(not made.passed for made in comparisons) for comparisons in validations)


def test_rows_of_one_origin_raise_no_alarm() -> None:
    """None of 20 validations, at the rate that is declared by default; 0.3 of the rows otherwise shows in all."""
    assert alarms(compare_made(20, 0.001)) == 0
    assert alarms(compare_made(5, 0.001, moved=0.3)) == 5
