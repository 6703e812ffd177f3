"""What comes before every verb: a root in a bucket is looked at, and who runs the verb is held to its role."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from stork.access.gate import Caller, Gate
from stork.access.keys import Role, includes, load_admin_key
from stork.config import Settings
from stork.errors import Forbidden, StorkError, Unauthorized
from stork.orchestration.dag import PIPELINE
from stork.remote.mirror import attach
from stork.store.audit import Actor, acting, audit


@dataclass(frozen=True)
class Rule:
    """The role that a verb needs; with `when`, only where one of these parameters is given: else it only looks."""

    role: Role
    when: tuple[str, ...] = ()


LOOKS = Rule("anyone")
# The first follows the root while it serves; the other shows the settings even where the bucket does not answer.
WITHOUT_ROOT = ("serve", "config show")
# docs/access.md has the same table; a verb that is in none is the admin's.
RULES: dict[str, Rule] = {
    **dict.fromkeys(
        ("serve", "versions", "log", "lineage", "evidence", "config show", "pipeline list", "pipeline show"), LOOKS
    ),
    "schema diff": LOOKS,
    "schema infer": Rule("operate", when=("write",)),
    **dict.fromkeys((node.name for node in PIPELINE), Rule("operate")),
    **dict.fromkeys(("pipeline run", "pipeline resume", "import", "sample", "schema accept"), Rule("operate")),
    **dict.fromkeys(("switch", "rollback", "ramp"), Rule("operate")),
    "traffic": Rule("operate", when=("shares", "off")),
    "shadow": Rule("operate", when=("version", "off")),
    "clean-up": Rule("admin", when=("delete",)),
    **dict.fromkeys(("keys create", "keys list", "keys revoke", "audit"), Rule("admin")),
}


def verbs_of(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every verb below a group by what is typed, such as `keys create`."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from verbs_of(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def guard(group: click.Group) -> None:
    """Let every verb below a group know what the root has, and ask first who runs it."""
    for verb, command in verbs_of(group):
        command.callback = asking_first(verb, RULES.get(verb, Rule("admin")), command.callback)


def asking_first(verb: str, rule: Rule, work: Any) -> Any:
    """The function of a verb, after its rule was held to; by the keys that a root in a bucket has now."""

    @functools.wraps(work)
    def asked(*words: Any, **parameters: Any) -> Any:
        context = click.get_current_context()
        if verb not in WITHOUT_ROOT and (mirror := attach(context.obj)):
            mirror.sync()
        changes = not rule.when or any(context.params.get(name) for name in rule.when)
        with admitted(context.obj, verb, rule.role if changes else "anyone", context.params.get("name")):
            return work(*words, **parameters)

    return asked


@contextmanager
def admitted(settings: Settings, verb: str, role: Role, name: Any = None) -> Iterator[None]:
    """
    Hold who runs the verb to the role, and let the audit know them while the block runs.

    Raises:
        Unauthorized: the key is not valid, or there is none where one is asked for.
        Forbidden: its role does not allow this.
    """
    if role == "anyone":
        yield
        return
    try:
        caller = identify(settings)
        check(settings, verb, role, caller)
    except StorkError as error:
        audit(settings, "access", "refused", verb=verb, name=name, reason=str(error))
        raise
    if caller is None:
        yield
        return
    token = acting.set(Actor(caller.name, "cli"))
    try:
        yield
    finally:
        acting.reset(token)


def identify(settings: Settings) -> Caller | None:
    """Who the key in STORK_KEY belongs to; None where it is empty."""
    if not settings.key:
        return None
    try:
        gate = Gate(settings, load_admin_key(settings))
        return gate.identify(lambda header: settings.key if header == "X-API-Key" else "")
    except Unauthorized:
        raise Unauthorized("STORK_KEY: expected a key of this deployment, received another") from None


def check(settings: Settings, verb: str, role: Role, caller: Caller | None) -> None:
    """
    Raises:
        Unauthorized: a key is asked for, and there is none.
        Forbidden: the role of the key does not allow this.
    """
    if caller is None:
        if settings.access == "keys":
            raise Unauthorized(f"stork {verb}: expected a key of the role {role} in STORK_KEY, received none")
    elif not includes(caller.role, role):
        raise Forbidden(f"stork {verb}: {caller.name} has the role {caller.role} here; this needs {role}")
