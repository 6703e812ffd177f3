"""The verbs, as a person runs them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from server import BABY, Server, free_port

from stork.cli import cli
from stork.config import PROJECT, Settings


def run(settings: Settings, *words: str) -> Result:
    """Run a verb in this process, in the deployment of the settings."""
    return CliRunner(env=settings.environment()).invoke(cli, [*words])


def test_versions_shows_what_serves(settings: Settings) -> None:
    """One line per version: its error, its verdicts, its aliases."""
    done = run(settings, "versions", "babyweight")

    assert done.exit_code == 0
    assert "BLESSED, INFRA_BLESSED" in done.output and "stable" in done.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["versions", "nobody"], "no model named 'nobody'; there is: babyweight"),
        (["switch", "babyweight", "9"], "has no version 9; there is: 1"),
        (["rollback", "babyweight"], "was never moved"),
        (["push", "babyweight"], "push reads what the step `ingest` leaves, which no run of 'babyweight' did"),
        (["log", "babyweight", "--sql", "select 1"], "nothing logged yet"),
        (["ingest", "babyweight", "--data", "nowhere.csv"], "nowhere.csv: no such file"),
        (["pipeline", "run", "babyweight", "--to", "trian"], "expected a step (ingest,"),
        (["pipeline", "resume", "../7"], "no run '../7'"),
    ],
)
def test_a_mistake_is_one_line_and_no_traceback(settings: Settings, words: list[str], message: str) -> None:
    """What went wrong is said, and the exit code tells scripts so."""
    done = run(settings, *words)

    assert done.exit_code != 0 and message in done.output
    assert "Traceback" not in done.output


def test_a_misspelt_setting_stops_every_verb(settings: Settings) -> None:
    """A setting that does nothing would be found out too late."""
    done = CliRunner(env={"STORK_ROOTT": "x"}).invoke(cli, ["versions", "babyweight"])

    assert done.exit_code == 1 and "STORK_ROOTT is no setting" in done.output


def test_switching_says_that_no_server_follows_when_none_runs(settings: Settings) -> None:
    """The alias moves all the same: the next server serves it."""
    shutil.copytree(PROJECT / "model" / "babyweight" / "1", settings.root / "models" / "babyweight" / "2")
    done = run(settings, "switch", "babyweight", "2")

    assert done.output.startswith("stable of babyweight is now version 2 (before: 1); no server is running\n")
    assert "no row of the log was asked: no request has been logged yet" in done.output
    assert "version 1 (before: 2)" in run(settings, "rollback", "babyweight").output


def test_the_log_shows_what_was_asked_and_refused(server: Server) -> None:
    """The last records, as JSON lines, oldest first; and a query over all of them."""
    answered = server.predict().json
    server.predict({**BABY, "mother_age": 900})
    lines = run(server.settings, "log", "babyweight", "--last", "2").stdout.splitlines()
    query = "select status, count(*) as requests from predictions group by 1 order by 1"
    first, second = map(json.loads, lines)

    assert (first["id"], first["predictions"]["weight_pounds"]) == (
        answered["id"],
        [answered["predictions"][0]["weight_pounds"]],
    )
    assert (second["status"], "expected 10 to 60, received 900" in second["error"]) == (400, True)
    assert all(status in run(server.settings, "log", "babyweight", "--sql", query).output for status in ("200", "400"))


def test_serve_says_where_it_is_and_a_busy_port_plainly(settings: Settings, server: Server) -> None:
    """The form's address, a curl line and the key; a port in use is an error with the way out."""
    command = [sys.executable, "-m", "stork", "serve"]
    environment = {**os.environ, **settings.environment()}
    busy = subprocess.run(
        command, cwd=PROJECT, env={**environment, "PORT": str(server.port)}, capture_output=True, text=True, timeout=30,
        check=False,
    )  # fmt: skip
    port = free_port()
    with subprocess.Popen(
        command, cwd=PROJECT, env={**environment, "PORT": str(port)}, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = "".join(process.stdout.readline() for _ in range(3))
        process.terminate()

    assert busy.returncode == 1 and "already in use; PORT=8081" in busy.stderr
    assert f"http://127.0.0.1:{port}/" in said and "curl -H" in said
    assert (Path(settings.root) / "keys" / "admin").read_text() in said


def test_a_key_is_shown_once_listed_without_it_and_revoked(settings: Settings) -> None:
    """The key alone is on stdout, for scripts; lists name its id, limits and end; each step is in the audit."""
    limits = ["--requests", "5/hour", "--rows", "9/day", "--spike", "2/second", "--expires", "90d"]
    made = run(settings, "keys", "create", "team", *limits)
    token, identity = made.stdout.strip(), made.stdout.split("_")[1]
    listed = run(settings, "keys", "list")
    assert f"{identity}  " in listed.output and "predict, requests 5/hour, rows 9/day, spike 2/second" in listed.output
    assert token not in listed.output + made.stderr and "shown this once" in made.stderr

    assert run(settings, "keys", "revoke", identity).output == f"revoked key {identity} of team\n"
    audited = [json.loads(line) for line in run(settings, "audit", "--last", "2").output.splitlines()]
    assert [(line["what"], line["key"], line["door"]) for line in audited] == [("key", identity, "cli")] * 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["keys", "create", "a", "--role", "root"], "'root' is not one of 'predict', 'read', 'operate', 'admin'"),
        (["keys", "create", "a", "--expires", "soon"], "expected a number and h, d or w, such as 90d"),
        (["keys", "create", "a", "--rows", "many"], "such as 100/minute; received 'many'"),
        (["keys", "revoke", "0123abcd"], "no key has the id '0123abcd'; there is: none"),
    ],
)
def test_a_key_that_cannot_be_is_not_made(settings: Settings, words: list[str], message: str) -> None:
    """The line says what was expected."""
    done = run(settings, *words)

    assert done.exit_code != 0 and message in done.output
