"""The verbs that say which version gets which requests, as a person runs them."""

import pytest
from click.testing import CliRunner, Result
from deployments import publish_copy

from stork.cli import cli
from stork.cli.traffic import read_seconds
from stork.config import Settings
from stork.errors import BadRequest


def run(settings: Settings, *words: str) -> Result:
    """Run a verb in this process, in the deployment of the settings."""
    return CliRunner(env=settings.environment()).invoke(cli, [*words])


def test_a_split_is_set_shown_and_taken_back(settings: Settings) -> None:
    """In the words it is given in."""
    publish_copy(settings, 2)
    run(settings, "switch", "babyweight", "2", "--alias", "canary")
    done = run(settings, "traffic", "babyweight", "stable=90", "canary=10")
    shown = run(settings, "traffic", "babyweight")

    assert done.output == "traffic of babyweight is now stable=90 canary=10; no server is running\n"
    assert shown.output == "stable=90 canary=10\n"
    assert "is now stable=100" in run(settings, "traffic", "babyweight", "--off").output


def test_a_shadow_is_set_shown_and_taken_back(settings: Settings) -> None:
    """By version or by alias, after it has shown that it loads."""
    publish_copy(settings, 2)
    done = run(settings, "shadow", "babyweight", "2", "--share", "10")
    shown = run(settings, "shadow", "babyweight")

    assert (done.output, shown.output) == (
        "shadow of babyweight is now version 2, 10%; no server is running\n",
        "version 2, 10%\n",
    )
    assert "is now stable, 100%" in run(settings, "shadow", "babyweight", "stable").output
    assert "is now off" in run(settings, "shadow", "babyweight", "--off").output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["traffic", "nobody"], "no model named 'nobody'"),
        (["traffic", "babyweight", "stable=ninety"], "received 'stable=ninety'"),
        (["traffic", "babyweight", "stable=50", "stable=50"], "expected each alias once"),
        (["traffic", "babyweight", "stable=90"], "sum to 100"),
        (["traffic", "babyweight", "stable=100", "--off"], "received both"),
        (["shadow", "babyweight", "nobody"], "no alias 'nobody'"),
        (["shadow", "babyweight", "1", "--share", "0"], "expected a percent from 1 to 100, received 0"),
        (["shadow", "babyweight", "1", "--off"], "received both"),
        (["ramp", "babyweight", "9"], "no version 9"),
        (["ramp", "babyweight", "1"], "is stable already"),
        (["ramp", "babyweight", "1", "--steps", "1,x"], "expected whole percents (1,5,25,100), received '1,x'"),
        (["ramp", "babyweight", "1", "--steps", "5,1"], "expected rising percents from 1 to 100, received 5,1"),
        (["ramp", "babyweight", "1", "--every", "soon"], "received 'soon'"),
    ],
)
def test_a_mistake_is_one_line_and_no_traceback(settings: Settings, words: list[str], message: str) -> None:
    """What went wrong is said, and the exit code tells scripts so."""
    done = run(settings, *words)

    assert done.exit_code != 0 and message in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("10m", 600), ("1h", 3600), ("0.5s", 0.5), ("2d", 172_800)])
def test_a_length_of_time_is_read(text: str, seconds: float) -> None:
    """As people write it."""
    assert read_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "0s", "-1m", "1 m", "1e3s"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    """With how to write one."""
    with pytest.raises(BadRequest, match="such as 30s, 10m or 1h"):
        read_seconds(text)
