"""The step `validate` on real spans: what is caught, by which name, and what that stops."""

import pytest
from arrivals import Deployment, change
from click.testing import CliRunner
from listener import Listener

from stork.cli import cli
from stork.errors import DeclarationError, NotValid
from stork.orchestration.dag import steps_until
from stork.orchestration.runner import start
from stork.store.runs import newest_output
from stork.store.version import load_manifest, read_verdict

pytestmark = pytest.mark.tensorflow


def first_lines(deployment: Deployment) -> tuple[str, list[str]]:
    header, *lines = (deployment.home / "rows.csv").read_text().splitlines()
    return header, lines


def test_rows_like_those_before_are_valid(deployment: Deployment) -> None:
    """Another sample of the same origin passes; the verdict says so, and every comparison is kept."""
    header, lines = first_lines(deployment)
    record = deployment.arrive(lines[::2], header)

    assert record.steps["validate"].summary["verdict"] == "VALID"
    assert "= kilograms jensen_shannon" in deployment.told()


@pytest.mark.parametrize(
    ("place", "value", "name"),
    [
        (0, "heavy", "FLOAT_TYPE_STRING_NOT_FLOAT"),
        (0, "99", "FLOAT_TYPE_BIG_FLOAT"),
        (0, "", "FEATURE_TYPE_LOW_FRACTION_PRESENT"),
        (1, "2.5", "INT_TYPE_NOT_INT_STRING"),
        (2, "sail", "ENUM_TYPE_UNEXPECTED_STRING_VALUES"),
        (3, "7", "BOOL_TYPE_BIG_INT"),
    ],
)
def test_what_is_wrong_has_its_name(deployment: Deployment, place: int, value: str, name: str) -> None:
    """A tenth of the rows wrong in one column is an error of TFDV's name, with a refused row that shows it."""
    header, lines = first_lines(deployment)
    record = deployment.arrive([change(x, place, value) if i % 10 == 0 else x for i, x in enumerate(lines)], header)

    assert record.steps["validate"].summary["verdict"] == "NOT_VALID"
    assert f"error: {name}: " in deployment.told() and "for example refused.parquet row 1" in deployment.told()


def test_a_lost_and_a_new_column_are_named(deployment: Deployment) -> None:
    """A required column that no file has is missing; one that nothing declares is a warning."""
    header, lines = first_lines(deployment)
    deployment.arrive([f"{line.split(',', 1)[1]},red" for line in lines], header.split(",", 1)[1] + ",colour")

    assert "error: SCHEMA_MISSING_COLUMN: span 2, kilograms" in deployment.told()
    assert "warning: SCHEMA_NEW_COLUMN: span 2, colour" in deployment.told()


def test_another_distribution_is_an_error(deployment: Deployment) -> None:
    """Shares of values that moved by far more than chance, with the value that moved most."""
    header, lines = first_lines(deployment)
    deployment.arrive([change(line, 2, "fast") for line in lines], header)

    assert "error: COMPARATOR_L_INFTY_HIGH: span 2, service" in deployment.told()


def test_transform_refuses_what_is_not_valid(deployment: Deployment) -> None:
    """The report is kept, the step after it stops and says how to go on; with a reason it goes on, on record."""
    header, lines = first_lines(deployment)
    lines = [change(line, 2, "fast") if i % 2 else line for i, line in enumerate(lines)]
    with pytest.raises(NotValid, match=r"COMPARATOR_L_INFTY_HIGH.*--waive-data REASON"):
        deployment.arrive(lines, header, steps_until("transform"))
    start(deployment.settings, "parcels", ["validate", "transform", "train"], {"waive_data": "a new shop"}, Listener())
    folder, trained = (newest_output(deployment.settings, "parcels", step) for step in ("validate", "train"))

    assert folder is not None and read_verdict(folder, "VALID")[1]["waived"] == "a new shop"
    assert trained is not None and load_manifest(trained / "candidate").waived_data == "a new shop"


def test_the_verb_fails_where_rows_are_not_valid(deployment: Deployment) -> None:
    """`stork validate` exits with 1, for a CI; with a reason it does not."""
    deployment.expect("[column.zone]\nunique = [100, 200]\n")
    environment = deployment.settings.environment()
    asked = [
        CliRunner().invoke(cli, ["validate", "parcels", *more], env=environment) for more in ([], ["--waive-data", "x"])
    ]

    assert [done.exit_code for done in asked] == [1, 0]
    assert "FEATURE_TYPE_LOW_UNIQUE" in asked[0].output


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[column.zone]\nmin_fracton = 1", "did you mean `min_fraction`"),
        ('[column.kilograms]\nmeasure = "l_infinity"', "is for categories"),
        ('[column.shop]\nmeasure = "tfdv_jensen_shannon"\ndrift = 0.1', "is for numbers"),
        ('[column.kilograms]\nmeasure = "tfdv_jensen_shannon"', "expected drift or skew beside"),
        ('[column.zone]\nkind = "text"', "declared in model.toml"),
    ],
)
def test_a_wrong_data_schema_is_refused(deployment: Deployment, text: str, problem: str) -> None:
    """Unknown keys, contradictions, and a measure that says 0 of every number."""
    deployment.expect(text)
    with pytest.raises(DeclarationError, match=problem):
        start(deployment.settings, "parcels", ["validate"], {}, Listener())


def test_the_page_has_every_anomaly_and_comparison(deployment: Deployment) -> None:
    """anomalies.html names the verdict, what was found, and draws each comparison, those that passed too."""
    header, lines = first_lines(deployment)
    deployment.arrive([change(line, 2, "fast") for line in lines], header)
    folder = newest_output(deployment.settings, "parcels", "validate")
    assert folder is not None
    html = (folder / "anomalies.html").read_text()

    assert "NOT_VALID" in html and "<code>COMPARATOR_L_INFTY_HIGH</code>" in html
    assert 'aria-label="service: l_infinity"' in html.replace("l infinity", "l_infinity")
    assert 'aria-label="kilograms: jensen shannon"' in html
