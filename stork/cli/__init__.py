"""The verbs of `python -m stork`. Each one reads its options, calls one function, and prints what it returned."""

import json
import os
import socket
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click

from stork import __version__
from stork.access.keys import load_admin_key
from stork.cli.access import audit, keys
from stork.cli.config import config
from stork.cli.guard import guard
from stork.cli.pipeline import STEPS, clean_up, evidence, lineage, pipeline, quiet_tensorflow
from stork.cli.schema import schema
from stork.cli.terminal import PATIENCE, Terminal, waiting
from stork.cli.traffic import ramp, shadow, traffic
from stork.config import PROJECT, Settings
from stork.errors import StorkError
from stork.store.audit import audit as note
from stork.store.prediction_log import last_records, segments
from stork.store.registry import STABLE, Registry
from stork.store.runs import Expected
from stork.store.version import load_manifest, verdict_names

# Seconds, a guess for a first time: the check before a switch, and an import of a SavedModel, on two cores.
CHECKED, IMPORTED = 4.0, 10.0


class Verbs(click.Group):
    """The command group: a deliberate error is one line on stderr and exit code 1, never a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except StorkError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Verbs)
@click.version_option(__version__)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Stork: the home of a tabular model in production."""
    if not ctx.resilient_parsing:
        ctx.obj = Settings.from_environment()


@cli.command()
@click.option(
    "--port",
    default=8080,
    envvar=["AIP_HTTP_PORT", "PORT"],
    show_default=True,
    show_envvar=True,
    help="Port to listen on.",
)
@click.pass_obj
def serve(settings: Settings, port: int) -> None:
    """Serve the form and the API with gunicorn."""
    address = f"{settings.bind}:{port}"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.bind, port))
        except OSError as error:
            raise click.ClickException(f"{address}: {error.strerror}; PORT=8081 make run takes another port") from error
    if not settings.predict_route:  # what a container says is kept in logs, where no key belongs
        greet(settings, port)
    command = ["-m", "gunicorn", "-c", "gunicorn.conf.py", "-b", address, "main:app"]
    os.chdir(PROJECT)
    os.execv(sys.executable, [sys.executable, *command])


def greet(settings: Settings, port: int) -> None:
    """Say where the form is, how to ask over JSON, and which key changes things."""
    from stork.schema.decode import example_of
    from stork.schema.frozen import Schema

    base = f"http://{'127.0.0.1' if settings.bind == '0.0.0.0' else settings.bind}:{port}"
    registry = Registry(settings)
    names = registry.models()
    click.echo(f"Form:      {base}/")
    if names:
        declaration = registry.declaration(settings.model or names[0])
        body = json.dumps(example_of(Schema.of(declaration)))
        click.echo(f"JSON:      curl -H 'Content-Type: application/json' -d '{body}' {base}/api/predict")
    click.echo(f"Admin key: {load_admin_key(settings) or 'none: set STORK_ADMIN_KEY'}")
    click.echo("Ctrl-C stops it.")


@cli.command()
@click.argument("name")
@click.pass_obj
def versions(settings: Settings, name: str) -> None:
    """List the versions of a model."""
    registry = Registry(settings)
    aliases = registry.aliases(name)
    click.echo(f"{'version':>7}  {'created':<17} {'RMSE':>7}  {'verdicts':<24} aliases")
    for version, folder in registry.versions(name).items():
        manifest = load_manifest(folder)
        verdicts = ", ".join(verdict_names(folder)) or "-"
        rmse = f"{manifest.metrics['rmse']:.3f}" if "rmse" in manifest.metrics else "-"
        named = ", ".join(alias for alias, target in aliases.items() if target == version)
        created = f"{manifest.created:%Y-%m-%d %H:%M}Z"
        click.echo(f"{version:>7}  {created:<17} {rmse:>7}  {verdicts:<24} {named}".rstrip())
        if manifest.waived:
            click.echo(f"{'':>7}  waived: {manifest.waived}")
        if manifest.waived_data:
            click.echo(f"{'':>7}  rows not valid, waived: {manifest.waived_data}")


@cli.command()
@click.argument("name")
@click.argument("version", type=int)
@click.option("--alias", default=STABLE, show_default=True, help="The alias to move.")
@click.option("--watch", type=click.IntRange(1, 60), help="Wait so many seconds before reporting how it goes after.")
@click.pass_obj
def switch(settings: Settings, name: str, version: int, alias: str, watch: int | None) -> None:
    """Make an alias name a version, after it has shown that it loads and answers; report what the switch did."""
    from stork.publishing.swap_report import last_report
    from stork.publishing.switch import switch_alias

    with checking(settings, name):
        done = switch_alias(settings, name, version, alias)
    echo_switch(done)
    report = done.report
    if watch:
        time.sleep(watch)
        report = last_report(settings, name) or report
    for line in report.lines():
        click.echo(f"  {line}")


@cli.command()
@click.argument("name")
@click.option("--alias", default=STABLE, show_default=True, help="The alias to move back.")
@click.pass_obj
def rollback(settings: Settings, name: str, alias: str) -> None:
    """Make an alias name what it named before its last move."""
    from stork.publishing.switch import roll_back

    with checking(settings, name):
        done = roll_back(settings, name, alias)
    echo_switch(done)


def checking(settings: Settings, name: str) -> AbstractContextManager[Terminal]:
    """The check before an alias moves, on a terminal."""
    from stork.publishing.swap_report import last_report

    last = last_report(settings, name)
    took = last.checked.seconds if last else 0.0
    usual = Expected(took, "last time") if took > PATIENCE else Expected(CHECKED)  # that was of a lighter backend
    return waiting(f"checking {name}", usual)


def echo_switch(done: Any) -> None:
    """Say what moved, and who follows already."""
    before = f" (before: {done.before})" if done.before is not None else ""
    servers = f"{done.followed} of {done.servers} server processes serve it" if done.servers else "no server is running"
    click.echo(f"{done.alias} of {done.model} is now version {done.version}{before}; {servers}")
    for warning in done.warnings:
        click.echo(f"warning: {warning}", err=True)


@cli.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="The model it becomes, or becomes the next version of.")
@click.option("--signature", help="The signature to serve; default: serving_default, or the only one.")
@click.option("--alias", help="Make this alias name the new version.")
@click.pass_obj
def import_saved_model(settings: Settings, path: Path, name: str, signature: str | None, alias: str | None) -> None:
    """Publish a foreign SavedModel: a form and an API for it, without code."""
    quiet_tensorflow()
    from stork.publishing.importer import import_model
    from stork.publishing.switch import switch_alias

    with waiting(f"trying {path.name}", Expected(IMPORTED)):
        done = import_model(settings, path, name, signature)
    click.echo(f"published {name} version {done.version} (signature {done.signature})")
    if done.twin.proved:
        click.echo(f"LiteRT answers: its twin is equal on {done.twin.rows} rows")
    else:
        click.echo(f"TensorFlow answers, since there is no LiteRT twin: {done.twin.reason}")
    if done.refused_rows:
        click.echo(f"the model refuses some values of its inputs: {done.refused_rows}")
    for output, facts in done.left_out.items():
        click.echo(f"output {output!r} is left out: {facts}")
    if done.draft is not None:
        click.echo(f"now fill in titles and help: {settings.place(done.draft)}")
    if alias:
        with checking(settings, name):
            switched = switch_alias(settings, name, done.version, alias)
        echo_switch(switched)
    elif not done.serves:
        click.echo(f"it serves when you say so: stork switch {name} {done.version}")


@cli.command()
@click.argument("name")
@click.option("--data", multiple=True, required=True, type=click.Path(path_type=Path), help="File of rows; repeatable.")
@click.option("--where", default="true", help="SQL condition on the rows.")
@click.pass_obj
def sample(settings: Settings, name: str, data: tuple[Path, ...], where: str) -> None:
    """Compute a model's sample.json (frequency tables, nobody's row) from real rows."""
    import msgspec

    from stork.data.sample import summarise
    from stork.data.sources import read_rows
    from stork.store.files import write_atomically

    registry = Registry(settings)
    declaration = registry.declaration(name)
    rows = read_rows(declaration, list(data), where)
    path = registry.home(name) / "sample.json"
    write_atomically(path, msgspec.json.encode(summarise(declaration, rows)) + b"\n")
    note(settings, "sample", model=name, file=path.name)
    click.echo(f"{path}: tables of {len(rows)} rows; refused: {rows.refused or 'none'}")


@cli.command()
@click.argument("name")
@click.option("--last", default=20, show_default=True, type=click.IntRange(min=1), help="How many records to print.")
@click.option("--sql", help="A query over the table `predictions` (needs DuckDB), instead of the last records.")
@click.pass_obj
def log(settings: Settings, name: str, last: int, sql: str | None) -> None:
    """Print the prediction log of a model: JSON lines, oldest first, or the rows of a query."""
    Registry(settings).home(name)
    if settings.log in ("stdout", "off"):
        raise click.ClickException(f"STORK_LOG is {settings.log!r}: there are no log files to read here")
    folder = Path(settings.log) / name
    if sql is not None:
        from stork.store.log_query import query_log

        click.echo(query_log(folder, sql))
        return
    if not segments(folder):
        click.echo(f"nothing logged yet in {folder}", err=True)
    for record in last_records(folder, last):
        click.echo(json.dumps(record, ensure_ascii=False))


for verb in (pipeline, *STEPS, lineage, evidence, clean_up, traffic, shadow, ramp, keys, audit, config, schema):
    cli.add_command(verb)
guard(cli)


def main() -> None:
    """The program's entry."""
    cli(prog_name="stork")
