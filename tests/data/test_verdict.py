"""A verdict is of the spans and expectations it was given for; every span is held to the one before it."""

import pytest
from arrivals import Deployment, change
from listener import Listener

from stork.errors import NotValid
from stork.orchestration.runner import start

pytestmark = pytest.mark.tensorflow


def transform(deployment: Deployment) -> None:
    start(deployment.settings, "parcels", ["transform"], {}, Listener())


def test_an_older_verdict_is_not_of_a_newer_span(deployment: Deployment) -> None:
    """After an ingest alone `transform` refuses, names the span nobody looked at, and says what to run."""
    deployment.arrive(deployment.lines[::2], steps=["ingest"])

    with pytest.raises(
        NotValid, match=r"on span 2, received one on span 1 .*`stork pipeline run parcels --to validate`"
    ):
        transform(deployment)


def test_an_older_verdict_is_not_by_newer_expectations(deployment: Deployment) -> None:
    """Once data.toml says something else, the verdict by the old one no longer lets `transform` pass."""
    transform(deployment)
    deployment.expect("[examples]\nmin = 5000\n")

    with pytest.raises(NotValid, match=r"model.toml and data.toml as they are, received one by others"):
        transform(deployment)


def test_a_change_is_not_lost_once_another_span_arrives(deployment: Deployment) -> None:
    """Two spans ingested before anybody looks: the first of them is held to its predecessor all the same."""
    fast = [change(line, 2, "fast") for line in deployment.lines]
    deployment.arrive(fast, steps=["ingest"])
    record = deployment.arrive(fast[::2])

    assert record.steps["validate"].summary["verdict"] == "NOT_VALID"
    assert "error: COMPARATOR_L_INFTY_HIGH: span 2, service" in deployment.told()
    assert "span 3 beside span 2" in deployment.told() and "span 2 beside span 1" in deployment.told()


def test_the_span_before_those_chosen_counts(deployment: Deployment) -> None:
    """Of spans to train on the first, too, has one before it: with `--spans 2` the third last is compared with."""
    deployment.arrive([change(line, 2, "fast") for line in deployment.lines], steps=["ingest"])
    deployment.arrive([change(line, 2, "fast") for line in deployment.lines[::2]], spans=2)

    assert "error: COMPARATOR_L_INFTY_HIGH: span 2, service" in deployment.told()


def test_an_accepted_change_is_a_warning(deployment: Deployment) -> None:
    """What data.toml says was accepted of a span's column stops nothing, and is still told."""
    deployment.expect('[[accepted]]\ncolumns = ["service"]\nspan = 2\nreason = "a new shop"\n')
    deployment.arrive([change(line, 2, "fast") for line in deployment.lines])

    assert "warning: COMPARATOR_L_INFTY_HIGH: span 2, service" in deployment.told()
