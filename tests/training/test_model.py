"""The net's last step: predictions bend inside the declared range."""

import numpy as np
import pytest

from stork.training.model import bend_inside

pytestmark = pytest.mark.tensorflow


def bend(score: float, low: float, high: float) -> float:
    return float(bend_inside(np.array([score], np.float32), low, high)[0])


@pytest.mark.parametrize("score", [-1e4, -20.0, -5.0, 9.0, 20.0, 1e4])
def test_no_score_leaves_the_limits(score: float) -> None:
    """However far out, the score comes back between the limits (to rounding), and is finite."""
    assert -5.0001 <= bend(score, -5.0, 9.0) <= 9.0001


@pytest.mark.parametrize("score", [-1.0, 0.0, 2.5])
def test_a_score_far_from_the_limits_stays(score: float) -> None:
    """In the middle of the range nothing is bent by more than a hundredth of a standard deviation."""
    assert bend(score, -6.0, 9.0) == pytest.approx(score, abs=0.01)


def test_without_limits_nothing_is_bent() -> None:
    """An output without a range is left alone."""
    assert bend(-123.0, -np.inf, np.inf) == -123.0


def test_a_lower_score_stays_lower() -> None:
    """Near the floor predictions still differ: a clip would make them all one."""
    scores = [bend(score, -5.0, 9.0) for score in (-9.0, -7.0, -5.0, -3.0)]
    assert scores == sorted(set(scores))
