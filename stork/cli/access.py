"""The verbs that say who may ask, and who changed what: keys, audit."""

import json
import re
from datetime import timedelta

import click

from stork.access.key_store import Key, KeyStore
from stork.access.keys import ROLES, Role
from stork.config import Settings
from stork.store.audit import audit as note
from stork.store.audit import audit_path, last_lines

UNITS = {"h": "hours", "d": "days", "w": "weeks"}


class Lasting(click.ParamType[timedelta]):
    """`90d` as a timedelta: hours, days or weeks."""

    name = "duration"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        found = re.fullmatch(r"([1-9][0-9]{0,5})([hdw])", value)
        if found is None:
            self.fail(f"expected a number and h, d or w, such as 90d; received {value!r}", param, ctx)
        return timedelta(**{UNITS[found[2]]: int(found[1])})


@click.group()
def keys() -> None:
    """Make, list and revoke the keys that programs and people ask with."""


@keys.command()
@click.argument("name")
@click.option("--role", default="predict", show_default=True, type=click.Choice(ROLES[1:]), help="What it may do.")
@click.option("--requests", default="", metavar="N/UNIT", help="Requests per minute, hour, day or month: 1000/hour.")
@click.option("--rows", default="", metavar="N/UNIT", help="Rows predicted per minute, hour, day or month: 100000/day.")
@click.option("--spike", default="", metavar="N/UNIT", help="Requests per second or minute, spread evenly: 20/second.")
@click.option("--expires", type=Lasting(), help="How long it lasts, such as 12h, 90d or 4w; default: until revoked.")
@click.pass_obj
def create(settings: Settings, /, name: str, role: Role, expires: timedelta | None, **limits: str) -> None:
    """Make a key for NAME, a team or a program, and print it: this once, since only its hash is kept."""
    key, token = KeyStore(settings.root).create(name, role, expires, **limits)
    note(settings, "key", key=key.id, name=key.name, role=key.role, before=None, after=describe(key))
    click.echo(token)
    click.echo(f"key {key.id} of {key.name}: {describe(key)}; it is shown this once", err=True)


@keys.command("list")
@click.pass_obj
def list_keys(settings: Settings) -> None:
    """List the keys there are, oldest first; never the keys themselves."""
    click.echo(f"{'id':<8}  {'created':<10}  {'name':<24}  what it may do")
    for key in KeyStore(settings.root).list():
        click.echo(f"{key.id:<8}  {key.created:%Y-%m-%d}  {key.name:<24}  {describe(key)}")


@keys.command()
@click.argument("identity", metavar="ID")
@click.pass_obj
def revoke(settings: Settings, identity: str) -> None:
    """Forget the key ID; within a second every server process refuses it."""
    key = KeyStore(settings.root).revoke(identity)
    note(settings, "key", key=key.id, name=key.name, role=key.role, before=describe(key), after=None)
    click.echo(f"revoked key {key.id} of {key.name}")


def describe(key: Key) -> str:
    """Role, limits and end of a key, in a line."""
    limits = {"requests": key.requests, "rows": key.rows, "spike": key.spike}
    said = [f"{what} {limit}" for what, limit in limits.items() if limit] or ["no limits"]
    if key.expires is not None:
        said.append(f"{'expired' if key.is_expired() else 'until'} {key.expires:%Y-%m-%d %H:%M} UTC")
    return f"{key.role}, {', '.join(said)}"


@click.command()
@click.option("--last", default=20, show_default=True, type=click.IntRange(min=1), help="How many lines to print.")
@click.pass_obj
def audit(settings: Settings, last: int) -> None:
    """Print who changed what, and who was refused: JSON lines, oldest first."""
    if audit_path(settings) is None:
        raise click.ClickException("STORK_LOG is 'stdout': the audit is there too, and cannot be read here")
    for line in last_lines(settings, last):
        click.echo(json.dumps(line, ensure_ascii=False))
