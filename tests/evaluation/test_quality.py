"""The verdict on a candidate: every threshold, slice by slice, and what it says where there is nothing to compare."""

from typing import Any

import pytest
from fakes import fake_declaration

from stork.declaration import Declaration
from stork.errors import DataError
from stork.evaluation.intervals import ALL, IN_SERVICE
from stork.evaluation.quality import Measured, Scored, Sureness, judge
from stork.evaluation.rivals import LINEAR

FEATURES = [{"name": "colour", "title": "Colour", "kind": "category", "values": [{"value": "Red"}, {"value": "Blue"}]}]


def limits(**evaluation: Any) -> Declaration:
    """A declaration that slices by colour and allows 0.8 x the mean's RMSE."""
    declared = {"slices": ["colour"], "max_rmse_ratio": 0.8, "max_baseline_ratio": 1.01, **evaluation}
    return fake_declaration(FEATURES, [{"name": "y"}], evaluation=declared)


def rmse(value: float | None, rows: int = 100) -> Scored:
    return Scored(rows=rows, rmse=value)


def measured(candidate: float | None, baseline: float | None = 1.5, **more: Any) -> Measured:
    """A candidate's RMSE where that of the mean is 2, and that of version 3, in service, `baseline`."""
    return Measured(test=rmse(candidate), mean=rmse(2.0), baseline=rmse(baseline), baseline_version=3, **more)


def unsure(low: float | None, high: float | None, other: str = IN_SERVICE, title: str = ALL) -> dict[str, Sureness]:
    """An interval of the ratio to another, on all rows or on a slice."""
    return {title: Sureness({other: (low, high)})}


def sliced(red: float | None, reference: float | None = 1.0, **more: Any) -> Measured:
    """A candidate that is as good as version 3, but has its own RMSE on the red rows."""
    return measured(1.5, slices={"Colour: Red": rmse(red)}, baseline_slices={"Colour: Red": rmse(reference)}, **more)


@pytest.mark.parametrize(
    ("candidate", "baseline", "name"),
    [
        (1.5, 1.5, "BLESSED"),
        (1.6, 1.6, "BLESSED"),  # exactly 0.8 x the mean's: thresholds are inclusive
        (1.61, 1.61, "NOT_BLESSED"),
        (1.51, 1.5, "BLESSED"),
        (1.52, 1.5, "NOT_BLESSED"),
        (None, 1.5, "NOT_BLESSED"),
        (1.5, None, "NOT_BLESSED"),
        (1.5, 0.0, "NOT_BLESSED"),
        (0.0, 0.0, "NOT_BLESSED"),
        (1e-14, 1e-14, "NOT_BLESSED"),
    ],
)
def test_both_thresholds_must_hold(candidate: float | None, baseline: float | None, name: str) -> None:
    """Good enough against the mean, hardly worse than the version in service; what is no number, or beside 0, fails."""
    verdict = judge(limits(), measured(candidate, baseline))
    assert (verdict.name, verdict.rubber_stamped) == (name, False)


@pytest.mark.parametrize(("candidate", "name"), [(1.5, "BLESSED"), (1.9, "NOT_BLESSED")])
def test_the_first_version_is_rubber_stamped(candidate: float, name: str) -> None:
    """Without a version in service the comparison with it is skipped, and said to be; the other is not."""
    verdict = judge(limits(), Measured(test=rmse(candidate), mean=rmse(2.0), slices={"Colour: Red": rmse(9.0)}))
    assert (verdict.name, verdict.rubber_stamped) == (name, True)
    assert verdict.reasons[-1] == "rubber-stamped: no version in service to compare with"


def test_a_version_that_cannot_be_compared_is_no_rubber_stamp() -> None:
    """Where one is in service, but does not take these rows, nothing is blessed: that is for a person to waive."""
    lost = Measured(test=rmse(1.5), mean=rmse(2.0), baseline_version=3, baseline_problem="version 3 knows no colour")
    verdict = judge(limits(), lost)
    assert (verdict.name, verdict.rubber_stamped) == ("NOT_BLESSED", False)
    assert verdict.reasons == ["expected a comparison with the version in service; version 3 knows no colour"]


def test_reasons_hold_the_numbers() -> None:
    """Every reason names what was measured, what it was compared with, and the limit; also of a positive verdict."""
    good, bad = judge(limits(), measured(1.5)), judge(limits(), measured(1.5, 1.0))
    assert good.reasons == [
        "RMSE 1.5000 is 0.7500 x that of predicting the mean (2.0000), at most 0.8 x is allowed",
        "RMSE 1.5000 is 1.0000 x that of version 3, which is in service (1.5000), at most 1.01 x is allowed",
    ]
    assert bad.reasons == [
        "RMSE 1.5000 is 1.5000 x that of version 3, which is in service (1.0000), at most 1.01 x is allowed"
    ]


@pytest.mark.parametrize(
    ("red", "reference", "ratios", "blessed"),
    [
        (1.1, 1.0, {}, True),
        (1.2, 1.0, {}, False),
        (1.2, 1.0, {"colour": 1.2}, True),
        (1.2, 1.0, {"Colour: Red": 1.2}, True),
        (1.2, 1.0, {"colour": 1.3, "Colour: Red": 1.15}, False),
        (None, 1.0, {}, False),
        (1.0, None, {}, False),
        (1.0, 0.0, {}, False),
    ],
)
def test_no_slice_may_be_worse_than_its_tolerance(
    red: float | None, reference: float | None, ratios: dict[str, float], blessed: bool
) -> None:
    """Held to the version in service: by its own tolerance, else its feature's, else that of all, 1.1 inclusive."""
    verdict = judge(limits(max_slice_ratios=ratios), sliced(red, reference))
    assert verdict.blessed == blessed
    assert blessed or "Colour: Red (100 rows): RMSE" in verdict.reasons[0]


def test_a_slice_that_fails_is_named_with_what_was_expected() -> None:
    """One bad slice is enough, however good the rest is, and the reason says which it is."""
    verdict = judge(limits(), sliced(1.3))
    assert verdict.reasons == [
        "Colour: Red (100 rows): RMSE 1.3000 is 1.3000 x that of version 3, which is in service (1.0000), "
        "at most 1.1 x is allowed"
    ]


def test_a_slice_named_in_a_threshold_must_have_rows() -> None:
    """What somebody cares for by name cannot be missing unnoticed; few rows are not none."""
    declared = limits(max_slice_ratios={"Colour: Blue": 1.2})
    missing, few = judge(declared, sliced(1.0)), judge(declared, sliced(1.0, small_slices={"Colour: Blue": 2}))
    assert missing.reasons[0].startswith("Colour: Blue: expected rows, received none")
    assert (missing.blessed, few.blessed) == (False, True)


def test_small_slices_are_named_and_say_nothing() -> None:
    """A slice of too few rows is not judged, and the verdict says which and why."""
    verdict = judge(limits(), sliced(1.0, small_slices={"Colour: Blue": 2}))
    assert verdict.reasons[-1] == "not judged, of fewer than 10 rows: Colour: Blue (2)"
    assert (verdict.blessed, verdict.not_judged) == (True, {"Colour: Blue": 2})


@pytest.mark.parametrize(("candidate", "blessed"), [(1.0, True), (0.99, False), (0.0, False)])
def test_what_is_suspiciously_good_is_refused(candidate: float, blessed: bool) -> None:
    """Below the declared lower bound, which is inclusive too, the candidate has probably seen the label."""
    verdict = judge(limits(min_rmse_ratio=0.5), measured(candidate))
    assert verdict.blessed == blessed
    assert blessed or "at least 0.5 and at most 0.8 x is allowed: suspiciously good" in verdict.reasons[0]


def test_much_better_than_the_version_in_service_is_suspicious_when_declared() -> None:
    """The same bound exists against the version in service, and neither does anything where it is not declared."""
    good = measured(0.3)
    assert judge(limits(), good).blessed
    assert not judge(limits(min_baseline_ratio=0.5), good).blessed


def test_without_a_report_there_is_nothing_to_judge(tmp_path: Any) -> None:
    """A missing report is told with its path, and is no verdict."""
    with pytest.raises(DataError, match=r"report\.json"):
        Measured.load(tmp_path)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.98, 1.02, "; 0.980 to 1.020 x with 95% confidence, so the difference is within the noise"),
        (1.001, 1.02, "; 1.001 to 1.020 x with 95% confidence"),
        (None, 1.02, ""),
    ],
)
def test_a_difference_within_the_noise_is_said_to_be(low: float | None, high: float, said: str) -> None:
    """The interval stands in the reason, and changes no verdict."""
    verdict = judge(limits(), measured(1.5, intervals=unsure(low, high)))

    assert verdict.blessed
    assert verdict.reasons[1].endswith(f"(1.5000), at most 1.01 x is allowed{said}")


def test_an_interval_beyond_the_limit_refuses_nothing() -> None:
    """What is held to the limits is the ratio, of all rows and of slices: an interval only says how sure it is."""
    ends = unsure(1.2, 1.9) | unsure(1.2, 1.9, title="Colour: Red")

    assert judge(limits(), sliced(1.0, intervals=ends)).blessed


@pytest.mark.parametrize(
    ("linear", "margin", "said"),
    [
        (1.6, 0.0, "the linear model loses: RMSE 1.5000 is 0.9375 x its 1.6000, less than 1 x is expected"),
        (1.5, 0.0, "the linear model does not lose, so a simpler model would do: RMSE 1.5000 is 1.0000 x its 1.5000"),
        (1.6, 0.1, "the linear model does not lose, so a simpler model would do: RMSE 1.5000 is 0.9375 x its 1.6000"),
        (2.0, 0.25, "the linear model loses: RMSE 1.5000 is 0.7500 x its 2.0000, at most 0.75 x is expected"),
        (0.0, 0.0, "the linear model does not lose"),
        (None, 0.0, "the linear model does not lose"),
    ],
)
def test_the_verdict_says_whether_a_simpler_model_would_do(linear: float | None, margin: float, said: str) -> None:
    """The linear model must lose by the declared margin; where it does not, that is said and nothing is refused."""
    verdict = judge(limits(linear_margin=margin), measured(1.5, rivals={LINEAR: rmse(linear)}))

    assert verdict.blessed
    assert verdict.reasons[-1].startswith(said)
