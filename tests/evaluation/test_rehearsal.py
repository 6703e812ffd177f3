"""What a version must show with real rows before it takes traffic."""

from pathlib import Path

import pytest
from deployments import declare_more, publish_copy
from server import BABY

from stork.config import Settings
from stork.errors import VersionBroken
from stork.evaluation.infra import check_version
from stork.evaluation.rehearsal import FREQUENT, STRANGE, choose_rows
from stork.publishing.swap_report import last_report
from stork.publishing.switch import switch_alias
from stork.serving.ask import Ask
from stork.serving.predictor import Predictor


@pytest.fixture
def logged(settings: Settings) -> Settings:
    """A deployment that was asked often about one baby, once about many others, and last about a strange one."""
    predictor = Predictor(settings)
    babies = [{**BABY, "mother_age": 16 + number % 40, "gestation_weeks": 36 + number // 40} for number in range(200)]
    for baby in [BABY] * 50 + babies + [{**BABY, "gestation_weeks": 47, "plurality": 5, "mother_race": 48}]:
        predictor.predict(Ask([baby]))
    return settings


def test_the_most_frequent_and_the_strangest_rows_are_chosen(logged: Settings) -> None:
    """The first is the one asked most often; behind the frequent ones the strangest comes first, however rare it is."""
    rows = choose_rows(Path(logged.log) / "babyweight", frozenset())

    assert rows[0] == {name: value for name, value in BABY.items() if value is not None}
    assert (rows[FREQUENT]["gestation_weeks"], len(rows)) == (47, FREQUENT + STRANGE)


def test_what_the_log_does_not_keep_is_left_out(logged: Settings) -> None:
    """A hidden feature is in no row, as it is in no record as it was."""
    rows = choose_rows(Path(logged.log) / "babyweight", frozenset({"mother_age"}))

    assert rows and not [row for row in rows if "mother_age" in row]


def test_a_version_is_compared_with_the_one_in_service(logged: Settings) -> None:
    """The same model differs from itself by nothing; latency and memory are measured."""
    publish_copy(logged, 2)
    found = check_version(logged, "babyweight", 2).rehearsal

    assert (found.against, found.differences["weight_pounds"].max, found.refused) == (1, 0.0, 0)
    assert 0 < found.p50_ms <= found.p99_ms and found.memory_mb > 10 and found.rows > 10


def test_an_answer_out_of_range_to_a_real_row_stops_the_switch(logged: Settings) -> None:
    """The golden requests may be fine: what people really ask decides too. The reason names the row."""
    publish_copy(logged, 2, weight_pounds={"range": [6, 20]})

    with pytest.raises(
        VersionBroken, match=r'logged row \{.*"gestation_weeks": 47.* weight_pounds is .*expected 6 to 20'
    ):
        switch_alias(logged, "babyweight", 2)


def test_rows_that_a_new_version_refuses_are_told_not_held_against_it(logged: Settings) -> None:
    """A version may rightly ask for more; who switches is told how many rows and why."""
    publish_copy(logged, 2, mother_age={"range": [10, 25]})
    found = switch_alias(logged, "babyweight", 2).report.checked.rehearsal

    assert found.refused > 0 and "mother_age: expected 10 to 25" in found.first_refused


@pytest.mark.parametrize(
    ("budget", "reason"),
    [("p99_ms = 0.000001", "p99 of one instance: expected at most"), ("memory_mb = 1", "expected at most 1 MB")],
)
def test_a_budget_is_kept(logged: Settings, budget: str, reason: str) -> None:
    """What a version takes more than `[serving.budgets]` says is a reason not to serve it."""
    publish_copy(logged, 2)
    declare_more(logged, f"[serving.budgets]\n{budget}")

    with pytest.raises(VersionBroken, match=reason):
        check_version(logged, "babyweight", 2)


@pytest.mark.parametrize(
    ("log", "declared", "skipped"),
    [
        ("off", "", "not kept in files"),
        (None, "", "no request has been logged yet"),
        (None, '[log]\nomit = ["mother_age"]', "the log does not keep mother_age"),
    ],
)
def test_without_rows_the_report_says_why(tmp_path: Path, log: str | None, declared: str, skipped: str) -> None:
    """The golden requests alone decide then."""
    settings = Settings(root=tmp_path / "var", log=log or str(tmp_path / "log"))
    publish_copy(settings, 2)
    declare_more(settings, declared)

    assert skipped in check_version(settings, "babyweight", 2).rehearsal.skipped


def test_the_swap_report_is_kept_and_shows_nobodys_row(logged: Settings) -> None:
    """Before, during and after, by the log; programs and pages see differences, not the rows they were found at."""
    publish_copy(logged, 2)
    switch_alias(logged, "babyweight", 2)
    Predictor(logged).predict(Ask([BABY]))
    report = last_report(logged, "babyweight")

    assert report is not None and report.phase_before is not None and report.phase_after is not None
    assert (report.phase_before.requests, report.phase_before.errors, report.phase_after.requests) == (251, 0, 1)
    assert "mother_age" not in str(report.public()) and any("differs from version 1" in line for line in report.lines())
