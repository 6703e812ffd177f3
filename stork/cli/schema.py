"""The verbs of data.toml, the data schema: write a first one, show what rows would change in it, accept that."""

import difflib
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from stork.config import Settings
from stork.errors import Conflict, NotValid
from stork.store.audit import audit, audit_refusal, who

if TYPE_CHECKING:
    from stork.data.schema_document import Note


@click.group()
def schema() -> None:
    """What rows should look like: infer it, see what new rows would change, accept that with a reason."""


@schema.command()
@click.argument("name")
@click.option("--write", is_flag=True, help="Leave it as data.toml beside the model's model.toml.")
@click.option("--force", is_flag=True, help="Replace the data.toml that is there.")
@click.pass_obj
def infer(settings: Settings, name: str, write: bool, force: bool) -> None:
    """Print a first data.toml, from the statistics of the newest span."""
    from stork.data.schema_review import infer as infer_from
    from stork.data.schema_review import leave, open_review

    review = open_review(settings, name)
    found = infer_from(review, note_of("as first seen"))
    if not write:
        click.echo(found.text, nl=False)
    elif review.path.exists() and not force:
        raise Conflict(f"{settings.place(review.path)} is there: `stork schema diff {name}`, or --force to replace it")
    else:
        with audit_refusal(settings, "schema", model=name):
            leave(settings, review, found.text)
        audit(settings, "schema", model=name, span=review.newest.span, file=str(review.path), before=review.text)
        click.echo(f"{settings.place(review.path)}: from span {review.newest.span}; review every line")
    for rest in found.by_hand:
        click.echo(f"to do by hand: {rest}", err=True)


@schema.command()
@click.argument("name")
@click.pass_obj
def diff(settings: Settings, name: str) -> None:
    """Show what would have to change for the spans in play to be valid; exit with 1 if anything would."""
    from stork.data.schema_review import open_review, propose

    review = open_review(settings, name)
    found = propose(review, note_of("REASON"))
    place = settings.place(review.path)
    before, after = review.text.splitlines(keepends=True), found.text.splitlines(keepends=True)
    click.echo("".join(difflib.unified_diff(before, after, str(place), f"{place} (proposed)")), nl=False)
    for change in found.changes:
        click.echo(f"change: {change}")
    for rest in found.by_hand:
        click.echo(f"to do by hand: {rest}")
    if found.changes:
        click.echo(f"`stork schema accept {name} --reason TEXT` makes these changes")
    if found.changes or found.by_hand:
        sys.exit(1)  # for a CI that asks whether the schema still holds
    click.echo(f"span {review.newest.span} is as expected: nothing to change")


@schema.command()
@click.argument("name")
@click.option(
    "--reason", required=True, metavar="TEXT", help="Why the rows are right; it is written beside the change."
)
@click.option("--only", multiple=True, metavar="COLUMN", help="Change nothing but this column's; repeatable.")
@click.pass_obj
def accept(settings: Settings, name: str, reason: str, only: tuple[str, ...]) -> None:
    """Make the changes that `schema diff` shows, each with the reason, the date and the span."""
    from stork.data.schema_review import leave, open_review, propose

    if not reason.strip():
        raise click.BadParameter("expected words that say why, received none", param_hint="--reason")
    with audit_refusal(settings, "schema", model=name):
        review = open_review(settings, name)
        found = propose(review, note_of(reason), only)
        if not found.changes and found.by_hand:
            raise NotValid(f"{name}: to do by hand: {'; '.join(map(str, found.by_hand))}")
        if found.changes:
            leave(settings, review, found.text)
    if not found.changes:
        click.echo(f"span {review.newest.span} is as expected: nothing to change")
        return
    told = [str(change) for change in found.changes]
    audit(settings, "schema", model=name, span=review.newest.span, file=str(review.path), reason=reason, changes=told)
    for line in told:
        click.echo(f"changed: {line}")
    for rest in found.by_hand:
        click.echo(f"to do by hand: {rest}", err=True)
    click.echo(f"{settings.place(review.path)} is written; `stork validate {name}` asks again")


def note_of(reason: str) -> "Note":
    """Who runs the verb, today."""
    from stork.data.schema_document import Note

    return Note(" ".join(reason.split()), who().name, f"{datetime.now(UTC):%Y-%m-%d}")
