"""Intervals: they hold the truth about as often as they say, and pairing makes them narrow."""

import doctest

import numpy as np
import pytest

from stork.evaluation import intervals, metrics, quality, residuals, rivals, staleness
from stork.evaluation.intervals import CELLS, Intervals, find_intervals


def errors(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The errors of two models that find the same rows hard, shape (rows,): sd 1 and 1.05, means 0.1 and 0.1."""
    random = np.random.default_rng(seed)
    shared = random.normal(0.1, 1, rows)
    return shared, shared + random.normal(0, (1.05**2 - 1) ** 0.5, rows)


def intervals_of(rows: int, seed: int) -> Intervals:
    error, other = errors(rows, seed)
    return find_intervals(error, {"all": np.ones(rows, bool)}, {"other": other})["all"]


@pytest.mark.parametrize("module", [intervals, metrics, quality, residuals, rivals, staleness])
def test_the_worked_numbers_are_so(module: object) -> None:
    """The examples in the docstrings are what the functions return."""
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=[10, 300])
def samples(request: pytest.FixtureRequest) -> list[Intervals]:
    """The intervals of 200 samples of so many rows."""
    return [intervals_of(request.param, seed) for seed in range(200)]


@pytest.mark.parametrize(
    ("figure", "truth"),
    [("rmse", 1.01**0.5), ("mae", 0.8019), ("bias", 0.1), ("ratio", (1.01 / (1.05**2 + 0.01)) ** 0.5)],
)
def test_intervals_hold_the_truth_as_often_as_they_say(samples: list[Intervals], figure: str, truth: float) -> None:
    """Also of ten rows, the fewest that are judged: 95% of the samples, and 90% to 99% is what chance allows."""
    ends = [sure.ratios["other"] if figure == "ratio" else getattr(sure, figure) for sure in samples]

    assert 0.90 <= np.mean([end.holds(truth) for end in ends]) <= 0.99


def test_a_pair_is_narrower_than_two() -> None:
    """Where two models err on the same rows, the interval of their ratio is far narrower than that of either RMSE."""
    found = intervals_of(1000, 0)
    paired, alone = found.ratios["other"], found.rmse

    assert (paired.high - paired.low) < (alone.high - alone.low) / 2


def test_a_better_model_is_told_from_the_noise() -> None:
    """On 1,000 rows a difference of 5% is beyond the noise when it is paired; none at all is a ratio of 1 for sure."""
    error, other = errors(1000, 1)
    found = find_intervals(error, {"all": np.ones(1000, bool)}, {"other": other, "itself": error})["all"]

    assert found.ratios["other"].high < 1
    assert found.ratios["itself"] == (1.0, 1.0)


def test_a_group_is_of_its_own_rows() -> None:
    """The interval of a slice says nothing of the rows outside."""
    error = np.array([1.0, -1.0] * 50 + [5.0] * 100)
    found = find_intervals(error, {"first": np.arange(200) < 100, "second": np.arange(200) >= 100})

    assert (found["first"].rmse, found["second"].bias) == ((1.0, 1.0), (5.0, 5.0))


def test_intervals_are_the_same_each_time() -> None:
    """A report does not change because it is made again."""
    assert intervals_of(100, 3) == intervals_of(100, 3)


def test_many_rows_make_a_narrow_interval() -> None:
    """Rows beyond those that are drawn one by one count too: the width shrinks with the root of their number."""
    few, many = intervals_of(CELLS, 0).rmse, intervals_of(16 * CELLS, 0).rmse

    assert (few.high - few.low) / (many.high - many.low) == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_what_cannot_be_said_is_no_number(rows: int) -> None:
    """Without rows there is no interval, nor of a single one, or two, of which a draw is often the same one twice."""
    found = find_intervals(np.array([1.0, 2.0, 4.0]), {"few": np.arange(3) < rows})["few"]

    assert np.isnan([found.rmse, found.mae, found.bias]).all()


def test_errors_that_are_the_same_have_no_width() -> None:
    """A figure that no draw can change is known as it is, also where rounding touches it."""
    found = find_intervals(np.full(50, 0.3), {"all": np.ones(50, bool)})["all"]

    assert np.ptp([found.rmse, found.mae, found.bias]) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("rows", range(2, 10))
def test_of_few_rows_no_interval_is_endless(rows: int) -> None:
    """Where draws of rows that err alike seem sure, nothing is said rather than something absurd."""
    for seed in range(40):
        random = np.random.default_rng(seed)
        error, other = random.normal(0, 1, (2, rows))
        found = find_intervals(error, {"few": np.ones(rows, bool)}, {"other": other})["few"]
        for ends in (found.rmse, found.mae, found.bias, found.ratios["other"]):
            assert np.isnan(ends).all() or max(np.abs(ends)) < 1e6
