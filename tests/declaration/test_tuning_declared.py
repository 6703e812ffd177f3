"""The space that is searched is checked when the declaration is read, not when the search begins."""

import pytest
from parcels import parcels

from stork.declaration import Search
from stork.declaration.checks import search_problems

TRAINING = parcels().training  # learning_rate 0.02, batch_size 64, units [8], epochs 8


@pytest.mark.parametrize(
    ("key", "search"),
    [
        ("learning_rate", Search(low=0.001, high=0.1, log=True)),
        ("batch_size", Search(choices=(32, 64))),
        ("units", Search(choices=((8,), (16, 8)))),
        ("l2", Search(low=0, high=0.01)),
    ],
)
def test_a_good_search_has_no_problem(key: str, search: Search) -> None:
    """Ranges of numbers, on a logarithmic scale or not, choices of numbers and of lists."""
    assert search_problems(key, search, TRAINING) == []


@pytest.mark.parametrize(
    ("key", "search", "problem"),
    [
        ("epochs", Search(), "expected `low` and `high`, or `choices`"),
        ("epochs", Search(low=1), "expected `low` and `high`, or `choices`"),
        ("epochs", Search(low=1, high=9, choices=(8,)), "expected `low` and `high`, or `choices`"),
        ("epochs", Search(low=9, high=2), "expected low < high; received 9 to 2"),
        ("epochs", Search(low=0, high=9), "0 is no value of [training] epochs: Expected `int` >= 1"),
        ("epochs", Search(low=2.5, high=9), "2.5 is no value of [training] epochs: Expected `int`, got `float`"),
        ("units", Search(low=1, high=9), "1 is no value of [training] units: Expected `array`, got `int`"),
        ("l2", Search(low=0, high=0.1, log=True), "expected low < high, above 0 for `log`; received 0 to 0.1"),
        ("l2", Search(choices=(0.001,), log=True), "`log` belongs to `low` and `high`"),
        ("batch_size", Search(choices=(16, 32)), "expected the declared 64 among the choices, to compare with"),
        ("learning_rate", Search(low=0.1, high=0.2), "expected the declared 0.02 in 0.1 to 0.2, to compare with"),
    ],
)
def test_a_search_that_makes_no_sense_is_told(key: str, search: Search, problem: str) -> None:
    """Bounds that are none, values the key does not take, and a space without the declared value."""
    assert any(found.startswith(problem) for found in search_problems(key, search, TRAINING))
