"""Whether a candidate is good enough: a verdict with its reasons, always."""

from dataclasses import dataclass

from stork.declaration import Evaluation
from stork.evaluation.metrics import Metrics


@dataclass(frozen=True)
class Verdict:
    """BLESSED or NOT_BLESSED, why, and whether there was no version in service to compare with."""

    blessed: bool
    reasons: list[str]
    rubber_stamped: bool

    @property
    def name(self) -> str:
        return "BLESSED" if self.blessed else "NOT_BLESSED"


def judge(evaluation: Evaluation, candidate: Metrics, mean: Metrics, baseline: Metrics | None) -> Verdict:
    """
    The verdict on a candidate, all three measured on the same rows; `mean` predicts the mean for everybody.

    Thresholds are inclusive, as in TensorFlow Model Analysis; a NaN never passes. Without a baseline the comparison
    with it is rubber-stamped, the other is not.
    """
    blessed, reason = compare(candidate, mean, evaluation.max_rmse_ratio, "predicting the mean")
    if baseline is None:
        return Verdict(blessed, [reason, "rubber-stamped: no version in service to compare with"], rubber_stamped=True)
    held, other = compare(candidate, baseline, evaluation.max_baseline_ratio, "the version in service")
    return Verdict(blessed and held, [reason, other], rubber_stamped=False)


def compare(candidate: Metrics, other: Metrics, limit: float, title: str) -> tuple[bool, str]:
    """
    Whether the candidate's RMSE is at most `limit` x the other's, and the sentence that says so.

    >>> compare(Metrics(9, 1.5, 1.0, 0.0), Metrics(9, 2.0, 1.0, 0.0), 0.8, "the mean")
    (True, 'RMSE 1.5000 is 0.7500 x that of the mean (2.0000), at most 0.8 x is allowed')
    """
    ratio = candidate.rmse / other.rmse if other.rmse else float("nan")
    sentence = f"RMSE {candidate.rmse:.4f} is {ratio:.4f} x that of {title} ({other.rmse:.4f})"
    return ratio <= limit, f"{sentence}, at most {limit:g} x is allowed"
