"""The verbs that carry out the pipeline: all of it, or each of its steps alone."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from stork.cli.terminal import Silence, Terminal
from stork.cli.traffic import read_seconds
from stork.config import Settings
from stork.orchestration.dag import PIPELINE, Node, steps_until
from stork.store.runs import RunRecord, find_run, runs_of
from stork.store.version import EVIDENCE, ML_TEST


def carry_out(settings: Settings, work: Callable[[Any], RunRecord], as_json: bool) -> RunRecord:
    """Run with the right audience; say where the run is."""
    quiet_tensorflow()
    record = work(Silence() if as_json else Terminal())
    if as_json:
        click.echo(msgspec.json.encode(record))
    else:
        click.echo(f"run {record.id}: {settings.place(settings.root / 'runs' / record.id)}")
    return record


def quiet_tensorflow() -> None:
    """Before TensorFlow is loaded: no start-up talk that a person at a terminal can do nothing about."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


# What the parameters of steps are on the command line.
OPTIONS = {
    "data": click.option("--data", multiple=True, help="CSV or Parquet file of rows, or a glob; repeatable."),
    "subscription": click.option("--subscription", help="projects/P/subscriptions/S: a window of its messages."),
    "seconds": click.option("--seconds", type=float, help="How long that window is open."),
    "messages": click.option("--messages", type=click.IntRange(min=1), help="How many messages it takes at most."),
    "where": click.option("--where", help="SQL condition on the rows."),
    "spans": click.option("--spans", type=click.IntRange(min=0), help="Train on so many of the newest spans; 0: all."),
    "compare": click.option("--compare", nargs=2, type=int, help="Two spans to show beside each other."),
    "waive_data": click.option(
        "--waive-data", metavar="REASON", help="Go on though the rows are not what is expected; recorded."
    ),
    "log": click.option(
        "--log", is_flag=True, default=None, help="Hold the logged requests to the training rows, too."
    ),
    "waive": click.option("--waive", metavar="REASON", help="Let it pass though its quality is not blessed; recorded."),
    "alias": click.option("--alias", help="Make this alias name the new version, if both blessings stand."),
    "canary": click.option(
        "--canary", type=click.IntRange(1, 100), help="Ramp the new version from so many percent of the requests on."
    ),
    "every": click.option(
        "--every",
        callback=lambda *given: given[2] and read_seconds(given[2]),
        help="How long a step of the ramp lasts.",
    ),
}


def taking(names: tuple[str, ...]) -> Callable[[Any], Any]:
    """A decorator: the options of these parameters."""

    def decorate(command: Any) -> Any:
        for name in reversed(names):
            command = OPTIONS[name](command)
        return command

    return decorate


def given(parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters that were given; those left out are as declared."""
    data = [str(Path(file).absolute()) for file in parameters.pop("data", None) or ()]
    return {name: value for name, value in parameters.items() if value is not None} | ({"data": data} if data else {})


@click.group()
def pipeline() -> None:
    """From rows to a version in service: run all steps, see what runs did, go on with one that stopped."""


@pipeline.command()
@click.argument("name")
@taking(tuple(OPTIONS))
@click.option("--to", "last", help="The last step to run.")
@click.option("--tune", is_flag=True, help="Look for better values of [training] first, and train with the best.")
@click.option("--fresh", is_flag=True, help="Do every step, also those whose result is there.")
@click.option("--json", "as_json", is_flag=True, help="Print the run's record as JSON, and nothing else.")
@click.pass_obj
def run(
    settings: Settings, /, name: str, last: str | None, tune: bool, fresh: bool, as_json: bool, **parameters: Any
) -> None:
    """Run every step; what would be done again is skipped."""
    from stork.orchestration.runner import start

    wanted = steps_until(last, ["tune"] if tune else [])
    asked = given(parameters) | ({"fresh": True} if fresh else {})
    carry_out(settings, lambda audience: start(settings, name, wanted, asked, audience), as_json)


@pipeline.command()
@click.argument("run_id", metavar="RUN")
@click.option("--json", "as_json", is_flag=True, help="Print the run's record as JSON, and nothing else.")
@click.pass_obj
def resume(settings: Settings, run_id: str, as_json: bool) -> None:
    """Go on with a run that failed or was killed, at the step it lost."""
    from stork.orchestration.runner import resume as go_on

    carry_out(settings, lambda audience: go_on(settings, run_id, audience), as_json)


@pipeline.command("list")
@click.argument("name", required=False)
@click.option("--last", default=20, show_default=True, type=click.IntRange(min=1), help="How many runs.")
@click.pass_obj
def list_runs(settings: Settings, name: str | None, last: int) -> None:
    """List runs, newest first."""
    for _, found in zip(range(last), runs_of(settings, name), strict=False):
        record = found.record
        status = "killed" if record.is_lost() else record.status
        steps = " ".join(f"{step}:{done.status}" for step, done in record.steps.items())
        click.echo(f"{record.id}  {record.model:<16} {status:<10} {steps}")


@pipeline.command()
@click.argument("run_id", metavar="RUN")
@click.pass_obj
def show(settings: Settings, run_id: str) -> None:
    """Show what went into a run and what came of it, as JSON."""
    click.echo(json.dumps(msgspec.to_builtins(find_run(settings, run_id).record), indent=2))


@click.command()
@click.argument("name")
@click.argument("version", type=int)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.pass_obj
def lineage(settings: Settings, name: str, version: int, as_json: bool) -> None:
    """Walk back from a version to the runs, spans and refused rows it comes from."""
    from stork.publishing.lineage import tell_lineage, trace_version

    found = trace_version(settings, name, version)
    click.echo(msgspec.json.format(msgspec.json.encode(found)) if as_json else "\n".join(tell_lineage(found)))


@click.command()
@click.argument("name")
@click.argument("version", type=int)
@click.option("--out", type=click.Path(path_type=Path), help="Where to leave it; default: evidence.html right here.")
@click.option("--json", "as_json", is_flag=True, help="Print the ML Test Score as JSON, and nothing else.")
@click.pass_obj
def evidence(settings: Settings, name: str, version: int, out: Path | None, as_json: bool) -> None:
    """Make the page of all that is on record of a version, and mltest.json, its ML Test Score, beside it."""
    from stork.publishing.evidence import gather_evidence
    from stork.publishing.evidence_page import write_evidence

    path = out or Path(EVIDENCE)
    sheet = write_evidence(gather_evidence(settings, name, version), path)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(sheet.plain())))
        return
    click.echo(f"{path}, and {path.with_name(ML_TEST)} beside it")
    click.echo(f"ML Test Score {sheet.score:g}: {sheet.reading}")
    for section, points in sheet.sums.items():
        click.echo(f"  {section}: {points:g} of 7")


@click.command("clean-up")
@click.argument("name")
@click.option("--delete", is_flag=True, help="Remove it; without this it is only shown.")
@click.option("--json", "as_json", is_flag=True, help="Print every item as JSON.")
@click.pass_obj
def clean_up(settings: Settings, name: str, delete: bool, as_json: bool) -> None:
    """Remove versions, runs, spans and studies that nothing in service, no lineage and no policy names, once shown."""
    from stork.orchestration import clean_up as cleaning

    plan = cleaning.clean_up(settings, name) if delete else cleaning.plan_clean_up(settings, name)
    if as_json:
        items = [{**vars(item), "folder": str(item.folder)} for item in plan.items.values()]
        click.echo(msgspec.json.format(msgspec.json.encode(items)))
        return
    for item in plan.items.values():
        fate = f"stays: {item.reasons[0]}" if item.reasons else "gone" if delete else "would go"
        click.echo(f"{item.kind:<8} {item.name:<22} {item.bytes / 1e6:>9.2f} MB  {fate}")
    size = sum(item.bytes for item in plan.going) / 1e6
    hint = "" if delete or not plan.going else "; `--delete` removes them"
    click.echo(f"{len(plan.going)} of {len(plan.items)} {'are gone' if delete else 'would go'}, {size:.2f} MB{hint}")


def verb_of(node: Node) -> click.Command:
    """The verb that runs one step alone, on what the newest runs left."""

    @click.command(node.name, help=node.help)
    @click.argument("name")
    @taking(node.takes)
    @click.option("--run", help="Take what this run left; default: the newest.")
    @click.option("--json", "as_json", is_flag=True, help="Print the run's record as JSON, and nothing else.")
    @click.pass_obj
    def verb(settings: Settings, /, name: str, as_json: bool, on: str | None = None, **parameters: Any) -> None:
        from stork.orchestration.elsewhere import start_elsewhere
        from stork.orchestration.runner import start

        asked = given(parameters)

        def work(audience: Any) -> RunRecord:
            if on:
                return start_elsewhere(settings, name, node.name, asked, audience)
            return start(settings, name, [node.name], asked, audience)

        record = carry_out(settings, work, as_json)
        summary = record.steps[node.name].summary
        if summary.get("verdict") == "NOT_VALID" and not summary.get("waived"):
            sys.exit(1)  # for a CI that asks whether the rows are as expected

    if node.places:
        click.option("--on", type=click.Choice(node.places), help="Carry it out there; docs/vertex.md.")(verb)
    return verb


STEPS = tuple(verb_of(node) for node in PIPELINE)
