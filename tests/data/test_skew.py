"""Skew on a real log: what a predictor answered and logged, beside the rows that were learned from."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from arrivals import Deployment
from candidates import export_candidate, honest
from click.testing import CliRunner
from listener import Listener
from parcels import parcel_rows

from stork.cli import cli
from stork.errors import DataError, StorkError
from stork.orchestration.runner import start
from stork.serving.ask import Ask
from stork.serving.predictor import Predictor

pytestmark = pytest.mark.tensorflow


def validate_log(deployment: Deployment, instances: list[dict[str, Any]]) -> str:
    """Let a predictor answer each of these, and one that it refuses; then validate with what it logged."""
    export_candidate(deployment.settings.root / "models" / "parcels" / "1", honest, twin=True)
    logging = replace(deployment.settings, log=str(deployment.home / "log"))
    predictor = Predictor(logging)
    for begin in range(0, len(instances), 20):
        predictor.predict(Ask(instances[begin : begin + 20], version=1))
    with pytest.raises(StorkError):
        predictor.predict(Ask([{"kilograms": -1, "service": "fast"}], version=1))
    predictor.stop()
    start(logging, "parcels", ["validate"], {"log": True}, Listener())
    return replace(deployment, settings=logging).told()


def test_requests_like_the_training_rows_show_no_skew(deployment: Deployment) -> None:
    """Same origin: every feature is compared, none differs; label and weight are not missed; refused ones not read."""
    told = validate_log(deployment, parcel_rows(600, seed=5).instances())

    assert "spans 1: 0 errors" in told and "log, " not in told
    assert "beside 600 logged instances: 10 comparisons, 10 passed" in told


def test_requests_unlike_the_training_rows_are_named(deployment: Deployment) -> None:
    """The feature whose values moved, with both shares; and one that is no longer sent."""
    rows = parcel_rows(600, seed=5).instances()
    told = validate_log(deployment, [{**row, "service": "fast", "zone": None} for row in rows])

    assert "error: COMPARATOR_L_INFTY_HIGH: log, service: expected the distribution as in 600 logged instances" in told
    assert "most in slow: " in told and "served 0.0%" in told and "COMPARATOR_CONTROL_DATA_MISSING: log, zone" in told
    assert "kilograms: expected" not in told


@pytest.mark.parametrize("how", ["omit", "hash"])
def test_what_the_log_hides_is_named_as_not_comparable(tmp_path: Path, how: str) -> None:
    """A warning for the feature, and no comparison of it."""
    deployment = Deployment.begin(tmp_path, log=f'{how} = ["shop"]')
    told = validate_log(deployment, parcel_rows(600, seed=5).instances())

    assert "warning: COMPARATOR_CONTROL_DATA_MISSING: log, shop: expected values in 600 logged instances" in told
    assert "none: [log] of model.toml hides them" in told and "8 comparisons, 8 passed" in told


def test_serving_has_expectations_of_its_own(deployment: Deployment) -> None:
    """A column that data.toml expects in requests, too, is asked of the log; one that is of TRAINING alone is not."""
    deployment.expect(
        '[column.zone]\nmin_fraction = 0.5\n[column.shop]\nmin_fraction = 0.5\nenvironments = ["TRAINING"]\n'
    )
    rows = [{"kilograms": row["kilograms"], "service": row["service"]} for row in parcel_rows(600, seed=5).instances()]
    told = validate_log(deployment, rows)

    assert "error: FEATURE_TYPE_NOT_PRESENT: log, zone: expected a value in at least 50.0% of the rows" in told
    assert "log, shop" not in told


def test_no_line_is_proposed_for_skew(deployment: Deployment) -> None:
    """`schema diff` and `accept` name what requests differ in, and what a person may do; nothing is written."""
    rows = parcel_rows(600, seed=5).instances()
    validate_log(deployment, [{**row, "service": "fast"} for row in rows])
    runner = CliRunner(env=deployment.settings.environment())
    shown = runner.invoke(cli, ["schema", "diff", "parcels"])
    accepted = runner.invoke(cli, ["schema", "accept", "parcels", "--reason", "new customers"])

    assert shown.exit_code == accepted.exit_code == 1
    for told in (shown.output, accepted.output):
        assert "COMPARATOR_L_INFTY_HIGH: log, service: " in told and "no change is proposed: learn from rows" in told
    assert not (deployment.settings.models / "parcels" / "data.toml").exists()


def test_an_empty_log_is_an_error(deployment: Deployment) -> None:
    """No comparison is no proof: where nothing is logged, or not in files, the step says so."""
    with pytest.raises(DataError, match="expected a prediction log in files, received STORK_LOG=off"):
        start(deployment.settings, "parcels", ["validate"], {"log": True}, Listener())
