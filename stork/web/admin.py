"""The versions of a model, for people (a page with buttons) and programs (JSON): look at them, move an alias."""

from datetime import datetime
from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from stork.access.keys import includes
from stork.errors import BadRequest, StorkError
from stork.publishing.swap_report import last_report
from stork.publishing.switch import Switch, switch_alias
from stork.schema.decode import parse_json
from stork.schema.feature import describe
from stork.serving.predictor import Predictor
from stork.store.prediction_log import Tally
from stork.store.registry import STABLE
from stork.store.shadow_log import ShadowTally, Sums
from stork.store.version import load_manifest, read_verdict
from stork.web.dialects import encode_json
from stork.web.health import find_predictor
from stork.web.session import caller, require

pages = Blueprint("versions", __name__)
api = Blueprint("admin_api", __name__, url_prefix="/api/models")


def list_versions(predictor: Predictor, name: str) -> list[dict[str, Any]]:
    """A row per version, newest first: what it is, what was found of it, which aliases name it, what it served."""
    registry = predictor.registry
    aliases = registry.aliases(name)
    served = current_app.extensions.setdefault("stork_tallies", {}).setdefault(
        name, Tally(predictor.settings.log, name)
    )
    counts = served.count()
    rows = []
    for version, folder in sorted(registry.versions(name).items(), reverse=True):
        manifest = load_manifest(folder)
        rows.append(
            {
                "version": version,
                "created": manifest.created,
                "metrics": manifest.metrics,
                "quality": read_verdict(folder, "BLESSED")[0],
                "infra": read_verdict(folder, "INFRA_BLESSED")[0],
                "aliases": sorted(alias for alias, named in aliases.items() if named == version),
                "backend": "LiteRT" if manifest.twin.proved else "TensorFlow",
                "served": None if counts is None else counts.get(version, 0),
            }
        )
    return rows


def sum_shadows(predictor: Predictor, name: str) -> list[Sums] | None:
    """The sums of all server processes, newest version first; None where the log is not kept in files."""
    tallies: dict[str, ShadowTally] = current_app.extensions.setdefault("stork_shadow_tallies", {})
    return tallies.setdefault(name, ShadowTally(predictor.settings.log, name)).sums()


@pages.get("/models/<name>/versions")
def show(name: str) -> ResponseReturnValue:
    """The table of versions; who may switch gets a button to."""
    predictor, asking = find_predictor(), caller()
    predictor.registry.home(name)
    state = predictor.registry.state(name)
    return render_template(
        "versions.html",
        state=state,
        report=last_report(predictor.settings, name),
        shadow_sums=sum_shadows(predictor, name) or [],
        declaration=predictor.declaration(name),
        versions=list_versions(predictor, name),
        history=state.history[:-11:-1],
        may_switch=asking is not None and includes(asking.role, "operate"),
    )


@pages.post("/models/<name>/versions")
def switch(name: str) -> ResponseReturnValue:
    """Move an alias; then back to the table, which says what happened."""
    find_predictor().declaration(name)
    here = redirect(url_for("versions.show", name=name), 303)
    try:
        flash(move_from_form(name), "done")
    except StorkError as error:
        flash(str(error), "failed")
    return here


def move_from_form(name: str) -> str:
    """
    Move an alias as the form asks; the sentence that says so.

    Raises:
        Unauthorized, Forbidden: who asks may not.
        BadRequest: the form is not one this page made.
    """
    require("operate")
    try:
        version, generation = int(request.form["version"]), int(request.form["generation"])
    except (KeyError, ValueError):
        raise BadRequest("expected a version and a generation, as the page sends them") from None
    alias = request.form.get("alias") or STABLE
    return describe_switch(switch_alias(find_predictor().settings, name, version, alias, "page", generation))


def describe_switch(done: Switch) -> str:
    """One sentence for a person."""
    before = f" (before: {done.before})" if done.before is not None else ""
    return (
        f"{done.alias} of {done.model} is now version {done.version}{before}; "
        f"{done.followed} of {done.servers} server processes serve it"
    )


@api.get("")
def list_models() -> ResponseReturnValue:
    """The names of all models."""
    return json_response({"models": find_predictor().models()})


@api.get("/<name>")
def describe_model(name: str) -> ResponseReturnValue:
    """Versions, aliases, who gets which requests, and the generation of the serving state."""
    predictor = find_predictor()
    predictor.registry.home(name)  # first: what is asked for need not be a name that a file can have
    state = predictor.registry.state(name)
    versions = list_versions(predictor, name)
    aliases = predictor.registry.aliases(name)
    report = last_report(predictor.settings, name)
    return json_response(
        {
            "model": name,
            "versions": versions,
            "aliases": aliases,
            "traffic": state.traffic,
            "shadow": state.shadow,
            "generation": state.generation,
            "last_switch": None if report is None else report.public(),
        }
    )


@api.put("/<name>/aliases/<alias>")
def move(name: str, alias: str) -> ResponseReturnValue:
    """
    Make the alias name `{"version": 3}`; with `"generation"` only if the serving state is still of that one.

    Needs the role operate.
    """
    document = parse_json(request.get_data())
    if not isinstance(document, dict) or document.keys() - {"version", "generation"}:
        raise BadRequest(
            f'expected {{"version": <number>}}, with or without "generation", received {describe(document)}'
        )
    version, generation = document.get("version"), document.get("generation")
    for what, value in (("version", version), ("generation", generation)):
        if type(value) is not int and (what == "version" or value is not None):
            raise BadRequest(f"$.{what}: expected a whole number, received {describe(value)}")
    done = switch_alias(find_predictor().settings, name, version or 0, alias, "api", generation)
    return json_response(done.public())


def json_response(document: Any) -> ResponseReturnValue:
    """JSON with times in ISO 8601."""
    return encode_json(document), 200, {"Content-Type": "application/json"}


@pages.app_template_filter("utc")
def show_time(moment: datetime) -> str:
    """A time as a person reads it, to the minute, in UTC."""
    return moment.strftime("%Y-%m-%d %H:%M UTC")
