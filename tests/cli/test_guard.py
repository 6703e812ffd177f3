"""Roles on the command line: where keys are asked for nothing changes without one, and the audit names it."""

import dataclasses
import re

import click
import pytest
from click.testing import CliRunner, Result

from stork.access.key_store import KeyStore
from stork.access.keys import Role, load_admin_key
from stork.cli import cli
from stork.cli.guard import RULES, verbs_of
from stork.config import PROJECT, Settings
from stork.orchestration.dag import PIPELINE
from stork.store.audit import last_lines
from stork.store.registry import Registry

VERBS = dict(verbs_of(cli))
# What makes a verb with a condition change something.
CHANGING = {"traffic": ["--off"], "shadow": ["--off"], "clean-up": ["--delete"], "schema infer": ["--write"]}


@pytest.fixture
def closed(settings: Settings) -> Settings:
    """A deployment that asks everybody who they are."""
    return dataclasses.replace(settings, access="keys")


def run(settings: Settings, *words: str, key: str = "") -> Result:
    return CliRunner(env={**settings.environment(), "STORK_KEY": key}).invoke(cli, [*words])


def words_of(verb: str) -> list[str]:
    """The verb with something for each argument it must have, and for each option."""
    words = [*verb.split(), *CHANGING.get(verb, [])]
    for parameter in VERBS[verb].params:
        if parameter.required:
            value = "1" if parameter.type == click.INT else "babyweight"
            words += [value] if isinstance(parameter, click.Argument) else [parameter.opts[0], value]
    return words


def test_every_verb_has_a_rule() -> None:
    """A new verb does not pass unseen, and no rule is left of one that is gone."""
    assert set(VERBS) == set(RULES)


def test_the_table_of_the_docs_is_the_codes() -> None:
    """Each verb stands in docs/access.md beside the role that the code asks for."""
    text = (PROJECT / "docs" / "access.md").read_text()
    rows = re.findall(r"^\| (.*`.*) \| (nothing|`\w+`) \|$", text.split("## On the command line")[1], re.M)
    told = {(verb, needs.strip("`")) for verbs, needs in rows for verb in re.findall(r"`([^`]+)`", verbs)}
    wanted = set()
    for verb, rule in RULES.items():
        if verb not in {node.name for node in PIPELINE}:
            said = "clean-up --delete" if verb == "clean-up" else verb
            wanted.add((said, rule.role.replace("anyone", "nothing")))
            wanted |= {(verb, "nothing")} if rule.when else set()

    assert told == wanted


@pytest.mark.parametrize("verb", sorted(verb for verb, rule in RULES.items() if rule.role != "anyone"))
def test_what_changes_is_refused_without_a_key(closed: Settings, verb: str) -> None:
    """Before it begins, whatever it is; and the audit says that somebody tried."""
    done = run(closed, *words_of(verb))
    (line,) = last_lines(closed, 10)

    assert done.exit_code == 1
    assert f"stork {verb}: expected a key of the role {RULES[verb].role} in STORK_KEY" in done.output
    assert (line["what"], line["outcome"], line["verb"]) == ("access", "refused", verb)


@pytest.mark.parametrize("words", [["versions"], ["traffic"], ["shadow"], ["clean-up"], ["config", "show"]])
def test_looking_needs_no_key(closed: Settings, words: list[str]) -> None:
    """Who may read the files may have them shown."""
    assert run(closed, *words, "babyweight").exit_code == 0


@pytest.mark.parametrize(("role", "allowed"), [("read", False), ("operate", True), ("admin", True)])
def test_a_key_is_held_to_its_role(closed: Settings, role: Role, allowed: bool) -> None:
    """One of a lower role changes nothing."""
    _, token = KeyStore(closed.root).create("ops", role)
    done = run(closed, "switch", "babyweight", "1", key=token)

    assert (done.exit_code == 0, Registry(closed).state("babyweight").generation == 1) == (allowed, allowed)
    assert allowed or f"has the role {role} here; this needs operate" in done.output


def test_the_audit_names_the_key_that_acted(settings: Settings) -> None:
    """Also where none is asked for; without one it is the user of the machine."""
    key, token = KeyStore(settings.root).create("ops", "operate")
    run(settings, "switch", "babyweight", "1", key=token)
    run(settings, "switch", "babyweight", "1")
    first, second = last_lines(settings, 10)

    assert first["who"] == f"ops/{key.id}"
    assert second["who"] not in ("", first["who"])


def test_a_key_that_is_none_is_refused(settings: Settings) -> None:
    """Also where none is asked for: it would be a mistake to go on as somebody else. It is never shown."""
    done = run(settings, "switch", "babyweight", "1", key="stork_0123abcd_made-up")

    assert done.exit_code == 1 and "STORK_KEY: expected a key of this deployment" in done.output
    assert "made-up" not in done.output and last_lines(settings, 10)[-1]["outcome"] == "refused"


def test_the_admin_key_opens_everything(closed: Settings) -> None:
    """The one that the first server made: with it the other keys are made."""
    done = run(closed, "keys", "create", "ops", key=load_admin_key(closed))

    assert done.exit_code == 0
    assert [key.name for key in KeyStore(closed.root).list()] == ["ops"]
