"""One place to look for the configuration in effect, and a misspelt one never goes unnoticed."""

import json

import pytest
from click.testing import CliRunner

from stork.cli import cli
from stork.config import SETTINGS, Settings
from stork.errors import SettingError


def show(environment: dict[str, str], *words: str) -> dict[str, dict[str, tuple[object, str]]]:
    """`config show --json` as {part: {name: (value, source)}}."""
    done = CliRunner(env=environment).invoke(cli, ["config", "show", *words, "--json"])
    found = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    return {part: {item["name"]: (item["value"], item["source"]) for item in items} for part, items in found.items()}


def test_every_setting_is_shown_with_its_source(settings: Settings) -> None:
    """Each variable once, also those that were not given."""
    found = show({"STORK_ROOT": str(settings.root), "STORK_WORKERS": "3"})["settings"]

    assert list(found) == [name for name, *_ in SETTINGS]
    assert (found["STORK_WORKERS"], found["STORK_QUEUE"]) == ((3, "STORK_WORKERS"), (64, "default"))


def test_a_container_is_named_as_the_source() -> None:
    """What the service around a container says is told from what its owner says."""
    found = show({"AIP_HTTP_PORT": "8080", "AIP_HEALTH_ROUTE": "/health"})["settings"]

    assert found["STORK_HEALTH_ROUTE"] == ("/health", "AIP_HEALTH_ROUTE")
    assert found["STORK_BIND"] == ("0.0.0.0", "AIP_HTTP_PORT")


def test_a_secret_is_not_shown() -> None:
    """Neither the admin key nor the password in an address: what is printed ends up in tickets."""
    environment = {"STORK_ADMIN_KEY": "0123456789-secret", "STORK_LIMITS_URL": "redis://me:secret@10.0.0.3:6379/0"}
    shown = CliRunner(env=environment).invoke(cli, ["config", "show"]).output

    assert "secret" not in shown
    assert "redis://(hidden)@10.0.0.3:6379/0" in shown


def test_the_declaration_is_shown_whole(settings: Settings) -> None:
    """Every section, with its keys, each with a line or as a default."""
    (found,) = [part for name, part in show(settings.environment(), "babyweight").items() if name != "settings"]
    sections = {name.split(".")[0].split("[")[0] for name in found}

    assert {"model", "feature", "output", "serving", "data", "training", "evaluation", "retention"} <= sections
    assert all(source == "default" or source.startswith("model.toml:") for _, source in found.values())


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("STORK_ROTO", "x", "STORK_ROTO is no setting of Stork; did you mean STORK_ROOT?"),
        ("STORK_ZZZZZ", "x", "expected one of STORK_ACCESS, "),
        ("STORK_BACKEND", "tensorflow", "expected one of auto, litert, saved_model, vertex, mlengine, received"),
        ("STORK_THREADS", "0", "STORK_THREADS: expected more than 0, received 0"),
        ("STORK_DEADLINE", "nan", "STORK_DEADLINE: expected more than 0, received nan"),
        ("STORK_SERVER", "stark", "STORK_SERVER: expected stork or gthread, received 'stark'"),
        ("STORK_AUDIT_MB", "-5", "STORK_AUDIT_MB: expected more than 0, received -5"),
        ("STORK_QUEUE", "-1", "STORK_QUEUE: expected 0 or more, received -1"),
    ],
)
def test_a_setting_that_means_nothing_is_refused(variable: str, value: str, message: str) -> None:
    """Before any verb begins, with what was expected, and the nearest name where one is near."""
    with pytest.raises(SettingError) as refused:
        Settings.from_environment({variable: value})

    assert message in str(refused.value)
