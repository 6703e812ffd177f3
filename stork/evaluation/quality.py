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

    The threshold is inclusive, as in TensorFlow Model Analysis; a NaN never passes. Without a baseline the comparison
    with it is rubber-stamped, the threshold is not.
    """
    ratio = candidate.rmse / mean.rmse if mean.rmse else float("nan")
    good = ratio <= evaluation.max_rmse_ratio
    limit = f"{evaluation.max_rmse_ratio:g} x the mean's RMSE"
    reasons = [f"RMSE {candidate.rmse:.4f} is {ratio:.4f} x the mean's, {'within' if good else 'above'} the {limit}"]
    if baseline is None:
        reasons.append("no version in service to compare with: rubber-stamped")
        return Verdict(good, reasons, rubber_stamped=True)
    better = candidate.rmse <= baseline.rmse
    reasons.append(f"the version in service has RMSE {baseline.rmse:.4f}, which is {'not ' if better else ''}lower")
    return Verdict(good and better, reasons, rubber_stamped=False)
