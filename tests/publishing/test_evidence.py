"""The evidence page of a version and its ML Test Score: what is on record is shown, what is not is said."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from listener import Listener
from parcels import parcel_rows, write_csv, write_parcels

from stork.config import PROJECT, Settings
from stork.declaration import Declaration
from stork.declaration.serving import Budgets
from stork.evaluation.importance import Importance
from stork.evaluation.intervals import Ends
from stork.evaluation.staleness import Age, Curve, Staleness
from stork.orchestration.dag import steps_until
from stork.orchestration.runner import start
from stork.publishing.evidence import Evidence, gather_evidence
from stork.publishing.evidence_origin import show_data
from stork.publishing.evidence_page import TESTS, write_evidence
from stork.publishing.lineage import StepLineage
from stork.publishing.ml_test import Sheet, fill_in
from stork.publishing.ml_test_service import judge_canary
from stork.report.page import count
from stork.store.registry import Registry
from stork.store.runs import find_run
from stork.store.serving_state import Change
from stork.store.version import verify

pytestmark = pytest.mark.tensorflow
SECTIONS = ("metrics", "slices", "calibration", "staleness", "exam", "data", "schema", "input", "lineage", "mltest")


def run_parcels(home: Path, rows: int) -> Settings:
    """Version 1 of the parcels model, out of a whole run on so many rows."""
    settings = Settings(models=home / "model", root=home / "var", log="off")
    write_parcels(settings.models)
    data = write_csv(home / "rows.csv", parcel_rows(rows))
    data.write_text(data.read_text() + "99,1,slow,true,north,9\n")
    start(settings, "parcels", steps_until(), {"data": [str(data)]}, Listener())
    return settings


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return run_parcels(tmp_path_factory.mktemp("run"), 1000)


@pytest.fixture(scope="module")
def evidence(settings: Settings) -> Evidence:
    return gather_evidence(settings, "parcels", 1)


def page_of(settings: Settings) -> str:
    return (Registry(settings).version_folder("parcels", 1) / "evidence.html").read_text()


def test_a_lineage_is_in_the_order_of_the_work(evidence: Evidence) -> None:
    """So that walking back from a version begins with its push."""
    assert list(evidence.lineage.steps) == steps_until()


def points_of(sheet: Sheet) -> dict[str, float]:
    return {line.test.id: line.answer.points for line in sheet.lines}


def test_push_leaves_the_page_with_the_version(settings: Settings) -> None:
    """Every section is there, nothing has to be fetched or run, and the version is still whole."""
    page = page_of(settings)

    assert [name for name in SECTIONS if f'id="{name}"' not in page] == []
    assert not re.search(r"<script|src=|<link|@import|url\(", page)
    verify(Registry(settings).version_folder("parcels", 1))


def test_the_numbers_are_the_runs(settings: Settings, evidence: Evidence) -> None:
    """Metrics, rivals, rows, the exam, checksums and seed stand on the page as the run recorded them."""
    page, report, exam = page_of(settings), evidence.report, evidence.exam
    assert report is not None and exam is not None
    record = find_run(settings, evidence.lineage.steps["train"].run).record
    expected = [f"{report.test.rmse:.4f}", *(f"{rival.rmse:.4f}" for rival in report.rivals.values())]
    expected += [f"{report.errors.calibration.slope:.3f}", f"{exam.crash_rate:.4%}", f"p99 {exam.p99_ms:g} ms"]
    expected += [count(rows) for rows in evidence.lineage.spans[0].rows.values()]
    expected += [evidence.lineage.spans[0].read[0].sha256, evidence.schema.hash, "kilograms: outside 0 to 30"]
    expected += [record.steps["train"].fingerprint[:16], *evidence.quality[1]["reasons"]]
    expected += [*evidence.manifest.packages.values(), "Validated spans: 1; ", evidence.validity[0]]

    assert [text for text in expected if text not in page] == []


@pytest.mark.parametrize("hidden", [(), ("kilograms",)])
def test_figures_of_what_the_log_hides_are_not_shown(evidence: Evidence, hidden: tuple[str, ...]) -> None:
    """Neither mean nor ends, which others have; in how many rows it is missing stays."""
    log = msgspec.structs.replace(evidence.declaration.log, omit=hidden)
    section = show_data(replace(evidence, declaration=msgspec.structs.replace(evidence.declaration, log=log)))
    (figures,) = [row[4:] for table in section.tables for row in table.rows if row[:2] == ("kilograms", "number")]

    assert (set(figures) == {"-"}) is bool(hidden)


def test_the_sheet_is_on_the_page_and_for_programs(settings: Settings, evidence: Evidence) -> None:
    """28 tests, seven a section; mltest.json has the points of the page, and the score is the least of the sums."""
    folder = Registry(settings).version_folder("parcels", 1)
    plain = msgspec.json.decode((folder / "mltest.json").read_bytes())

    assert list(plain["sums"].values()) == [
        sum(line["points"] for line in plain["tests"][first : first + 7]) for first in (0, 7, 14, 21)
    ]
    assert (len(plain["tests"]), plain["score"]) == (28, min(plain["sums"].values()))
    assert f"ML Test Score: {plain['score']:g}" in page_of(settings)


def test_a_page_does_not_grow_with_the_rows(settings: Settings, tmp_path: Path) -> None:
    """Ten times the rows, the same page: its size is within a tenth."""
    larger = run_parcels(tmp_path, 10_000)

    assert len(page_of(larger)) == pytest.approx(len(page_of(settings)), rel=0.1)


def test_what_is_gone_is_said(settings: Settings, tmp_path: Path) -> None:
    """Without its runs and spans a version is still told of, and every loss has a sentence."""
    left = Settings(models=settings.models, root=tmp_path / "var", log="off")
    shutil.copytree(settings.root / "models", left.root / "models")
    run = gather_evidence(settings, "parcels", 1).lineage.steps["evaluate"].run
    write_evidence(gather_evidence(left, "parcels", 1), tmp_path / "evidence.html")
    page = (tmp_path / "evidence.html").read_text()

    assert page.count(f"Run {run}, which evaluated it, is gone.") == 4
    for text in ("Span 1 is gone", "No statistics of its rows", "its run is gone", "No validation of its rows"):
        assert text in page


def test_a_version_that_no_run_made_is_told_of(tmp_path: Path) -> None:
    """The shipped version has a page; it has no runs, spans or exam, and earns nothing that would rest on them."""
    evidence = gather_evidence(Settings(root=tmp_path / "var", log="off"), "babyweight", 1)
    sheet = write_evidence(evidence, tmp_path / "evidence.html")
    page = (tmp_path / "evidence.html").read_text()

    assert all(text in page for text in ("names no run", "names no span", "No exam of thousands", "no intervals"))
    assert {test for test, points in points_of(sheet).items() if points} == {"I4"}


def test_records_of_another_form_are_as_if_gone(settings: Settings, tmp_path: Path) -> None:
    """What an older Stork left in a form that is not read now stops no page."""
    left = Settings(models=settings.models, root=tmp_path / "var", log="off")
    shutil.copytree(settings.root, left.root)
    for name in ("report.json", "span-1.json", "anomalies.json"):
        for path in left.root.glob(f"runs/*/*/{name}"):
            path.write_text("[]")
    found = gather_evidence(left, "parcels", 1)

    assert (found.report, found.statistics, found.validation) == (None, {}, None)
    assert "cannot be read" in found.report_problem and found.exam is not None


USELESS = {"zone": Importance(1.0, 1.0, Ends(0.99, 1.01))}
TAKEN = {
    "D2": lambda found: replace(found, report=replace(found.report, importance=USELESS)),
    "D1": lambda found: replace(found, lineage=msgspec.structs.replace(found.lineage, spans=[])),
    "D7": lambda found: without_step(found, "transform"),
    "M3": lambda found: without_step(found, "tune"),
    "M4": lambda found: replace(found, report=replace(found.report, staleness=aged(0.5))),
    "I1": lambda found: without_step(found, "train"),
    "I2": lambda found: without_step(found, "train"),
    "I3": lambda found: without_step(found, "ingest"),
    "I4": lambda found: replace(found, quality=("NOT_BLESSED", {"waived": "we know better"})),
    "I7": lambda found: replace(found, others=[]),
    "Mo2": lambda found: replace(found, validation=None),
    "Mo5": lambda found: replace(found, exam=None),
    "Mo6": lambda found: replace(found, declaration=bounded(found.declaration, 0.0)),
    "M5": lambda found: replace(found, report=None),
    "M6": lambda found: replace(found, quality=("BLESSED", {})),
}


def bounded(declaration: Declaration, most: float) -> Declaration:
    """With budgets of so many milliseconds and megabytes."""
    budgets = Budgets(p99_ms=most, memory_mb=most)
    return msgspec.structs.replace(declaration, serving=msgspec.structs.replace(declaration.serving, budgets=budgets))


def aged(days: float) -> Staleness:
    """Version 7, scored again so many days after what it learned from."""
    ages = tuple(Age(span, age, 100, 1.0, Ends(0.9, 1.1)) for span, age in ((1, 0.0), (2, days)))
    return Staleness(0.05, "", 2, (Curve(7, ages, limit=1.05, seen=days),), ())


def without_step(evidence: Evidence, name: str) -> Evidence:
    steps = {step: done for step, done in evidence.lineage.steps.items() if step != name}
    return replace(evidence, lineage=msgspec.structs.replace(evidence.lineage, steps=steps))


def with_everything(evidence: Evidence) -> Evidence:
    """
    The run, as if it was tuned, had beaten the linear model, and was held to budgets, to a version before it, to the
    past; and the log to its rows.
    """
    assert evidence.report is not None and evidence.validation is not None
    rivals = {name: replace(rival, rmse=9.0) for name, rival in evidence.report.rivals.items()}
    sure = evidence.report.intervals["all"]
    ratios = {name: type(ends)(0.1, 0.2) for name, ends in sure.ratios.items()}
    intervals = evidence.report.intervals | {"all": replace(sure, ratios=ratios)}
    tuned = StepLineage(run="earlier", summary={"trials": 5, "rmse": 1.0, "declared_rmse": 1.1})
    held = [{"slice": "service: fast", "holds": True}]
    return replace(
        evidence,
        report=replace(
            evidence.report,
            rivals=rivals,
            intervals=intervals,
            staleness=aged(30.0),
            importance={"zone": Importance(2.0, 1.0, Ends(0.4, 0.6))},
        ),
        lineage=msgspec.structs.replace(evidence.lineage, steps={**evidence.lineage.steps, "tune": tuned}),
        quality=("BLESSED", {"against": 7, "comparisons": held}),
        others=[7],
        declaration=bounded(evidence.declaration, 10_000.0),
        validity=("VALID", {}),
        validation=msgspec.structs.replace(evidence.validation, rows={"1": 700, "log": 300}),
    )


@pytest.mark.parametrize("test", TAKEN)
def test_a_point_goes_with_its_fact(evidence: Evidence, test: str) -> None:
    """What earned a point is taken away, and the point is gone."""
    whole = with_everything(evidence)

    assert points_of(fill_in(TESTS, whole))[test] == 1.0
    assert points_of(fill_in(TESTS, TAKEN[test](whole)))[test] == 0.0


def test_features_that_say_nothing_take_the_point(evidence: Evidence) -> None:
    """The label of parcels is of kilograms and service alone: the run's own record names the three others."""
    assert evidence.report is not None
    worth = {name for name, found in evidence.report.importance.items() if found.is_beneficial}

    assert worth == {"kilograms", "service"}
    assert points_of(fill_in(TESTS, evidence))["D2"] == 0.0


def test_a_simpler_model_that_is_as_good_takes_the_point(evidence: Evidence) -> None:
    """The label of parcels is a sum: the linear model is not worse, so the run earns nothing for having asked."""
    assert points_of(fill_in(TESTS, evidence))["M5"] == 0.0


@pytest.mark.parametrize(
    ("changes", "points"),
    [
        ([("alias", "stable", 1, "cli")], 0.0),
        ([("alias", "canary", 1, "cli"), ("traffic", "", {"stable": 90, "canary": 10}, "cli")], 0.5),
        ([("alias", "canary", 2, "cli"), ("traffic", "", {"stable": 90, "canary": 10}, "cli")], 0.0),
        ([("alias", "canary", 1, "ramp"), ("traffic", "", {"stable": 90, "canary": 10}, "ramp")], 0.0),
        ([("alias", "canary", 1, "ramp"), ("alias", "stable", 1, "ramp")], 1.0),
    ],
)
def test_only_a_ramp_to_the_end_is_automated(
    evidence: Evidence, changes: list[tuple[str, str, object, str]], points: float
) -> None:
    """A ramp that made it stable is a point, a split by hand half of one; a ramp that ended early is nothing."""
    time = evidence.manifest.created
    history = [
        msgspec.convert({"time": time, "kind": kind, "alias": alias, "before": None, "after": after, "by": by}, Change)
        for kind, alias, after, by in changes
    ]

    assert judge_canary(replace(evidence, history=history)).points == points


def test_every_test_that_the_sheet_names_exists() -> None:
    """A point that names a test rests on one that is there."""
    named = {name for test in TESTS for name in test.held_by}
    written = "\n".join(path.read_text() for path in (PROJECT / "tests").rglob("test_*.py"))

    assert named and [name for name in named if f"def {name}(" not in written] == []
