"""The verdict on a candidate: both thresholds, and what it says without a version in service."""

import pytest

from stork.declaration import Evaluation
from stork.evaluation.metrics import Metrics
from stork.evaluation.quality import judge

LIMITS = Evaluation(max_rmse_ratio=0.8, max_baseline_ratio=1.01)


def rmse(value: float) -> Metrics:
    return Metrics(rows=100, rmse=value, mae=0.0, bias=0.0)


@pytest.mark.parametrize(
    ("candidate", "baseline", "name"),
    [
        (1.5, 1.5, "BLESSED"),
        (1.6, 1.6, "BLESSED"),  # exactly 0.8 x the mean's: thresholds are inclusive
        (1.61, 1.61, "NOT_BLESSED"),
        (1.51, 1.5, "BLESSED"),
        (1.52, 1.5, "NOT_BLESSED"),
        (float("nan"), 1.5, "NOT_BLESSED"),
    ],
)
def test_both_thresholds_must_hold(candidate: float, baseline: float, name: str) -> None:
    """Good enough against the mean, and hardly worse than the version in service; a NaN is neither."""
    verdict = judge(LIMITS, rmse(candidate), mean=rmse(2.0), baseline=rmse(baseline))
    assert (verdict.name, verdict.rubber_stamped) == (name, False)


@pytest.mark.parametrize(("candidate", "name"), [(1.5, "BLESSED"), (1.9, "NOT_BLESSED")])
def test_the_first_version_is_rubber_stamped(candidate: float, name: str) -> None:
    """Without a version in service the comparison with it is skipped, and said to be; the other is not."""
    verdict = judge(LIMITS, rmse(candidate), mean=rmse(2.0), baseline=None)
    assert (verdict.name, verdict.rubber_stamped) == (name, True)


def test_reasons_hold_the_numbers() -> None:
    """Every reason names what was measured, what it was compared with, and the limit."""
    verdict = judge(LIMITS, rmse(1.5), mean=rmse(2.0), baseline=rmse(1.0))
    assert verdict.reasons == [
        "RMSE 1.5000 is 0.7500 x that of predicting the mean (2.0000), at most 0.8 x is allowed",
        "RMSE 1.5000 is 1.5000 x that of the version in service (1.0000), at most 1.01 x is allowed",
    ]


def test_labels_that_never_vary_bless_nothing() -> None:
    """Where the mean is right every time there is nothing to be better than."""
    assert judge(LIMITS, rmse(0.0), mean=rmse(0.0), baseline=None).name == "NOT_BLESSED"
