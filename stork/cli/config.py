"""The verb that shows the configuration in effect: every setting, every declared key, and where each comes from."""

import json
import math
from typing import Any

import click

from stork.config import Settings
from stork.declaration.provenance import trace_declaration
from stork.remote.mirror import attach
from stork.store.registry import Registry

WIDEST = 44  # columns of a value before it is cut


@click.group()
def config() -> None:
    """Look at the configuration in effect."""


@config.command()
@click.argument("name", required=False, metavar="[MODEL]")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON, values whole.")
@click.pass_obj
def show(settings: Settings, name: str | None, as_json: bool) -> None:
    """Show every setting, and every key of MODEL's declaration, with its value and where that comes from."""
    found = {"settings": [describe(*item) for item in settings.shown()]}
    if name is not None:
        if mirror := attach(settings):
            mirror.sync(("models",))
        registry = Registry(settings)
        path = registry.home(name) / "model.toml"
        given = {variable: value for variable, value, _ in settings.shown()}
        traced = trace_declaration(registry.declaration(name), path, given)
        found[str(path)] = [describe(key.name, key.value, key.source) for key in traced]
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for part, items in found.items():
        click.echo(click.style(part, bold=True))
        width = max(len(item["name"]) for item in items)
        for item in items:
            click.echo(f"  {item['name']:<{width}}  {say(item['value']):<{WIDEST}}  {item['source']}")


def describe(name: str, value: Any, source: str) -> dict[str, Any]:
    """A key with a value that JSON has: a path is text, and so is `nan`."""
    is_plain = isinstance(value, list | tuple | dict | str | int | None)
    if isinstance(value, float) and math.isfinite(value):
        is_plain = True
    return {"name": name, "value": value if is_plain else str(value), "source": source}


def say(value: Any) -> str:
    """A value in one line, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 3]}..."
