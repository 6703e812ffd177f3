"""The verbs that say which version gets which requests: traffic, shadow, ramp."""

import re
from typing import Any

import click

from stork.cli.terminal import waiting
from stork.config import Settings
from stork.errors import BadRequest
from stork.remote.mirror import attach
from stork.store.registry import Registry
from stork.store.runs import Expected
from stork.store.serving_state import Shadow, describe_traffic

SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


@click.command()
@click.argument("name")
@click.argument("shares", nargs=-1, metavar="[ALIAS=PERCENT]...")
@click.option("--off", is_flag=True, help="Give stable all requests.")
@click.pass_obj
def traffic(settings: Settings, name: str, shares: tuple[str, ...], off: bool) -> None:
    """
    Split the requests that ask for no version by alias, for example stable=90 canary=10.

    Without shares it says how they are split.
    """
    from stork.publishing.traffic import split_traffic

    if shares and off:
        raise click.UsageError("expected shares or --off, received both")
    if shares or off:
        done = split_traffic(settings, name, read_shares(shares) if shares else None)
        click.echo(f"traffic of {name} is now {describe_traffic(done.traffic)}; {describe_followers(done)}")
    else:
        Registry(settings).home(name)
        click.echo(describe_traffic(Registry(settings).state(name).traffic))


@click.command()
@click.argument("name")
@click.argument("version", required=False, metavar="[VERSION|ALIAS]")
@click.option("--share", default=100, show_default=True, help="Percent of the requests that it is asked copies of.")
@click.option("--off", is_flag=True, help="Let none answer copies.")
@click.pass_obj
def shadow(settings: Settings, name: str, version: str | None, share: int, off: bool) -> None:
    """
    Let a version answer copies of live requests, which nobody sees: what differs is logged.

    Without a version it says which one does.
    """
    from stork.publishing.traffic import cast_shadow

    if version and off:
        raise click.UsageError("expected a version or --off, received both")
    if version and not 1 <= share <= 100:
        raise BadRequest(f"--share: expected a percent from 1 to 100, received {share}")
    if version or off:
        named = {"version": int(version)} if version and version.isdecimal() else {"alias": version}
        done = cast_shadow(settings, name, Shadow(**named, share=share) if version else None)
        click.echo(f"shadow of {name} is now {done.shadow or 'off'}; {describe_followers(done)}")
    else:
        Registry(settings).home(name)
        click.echo(Registry(settings).state(name).shadow or "off")


@click.command()
@click.argument("name")
@click.argument("version", type=int)
@click.option("--steps", default="1,5,25,100", show_default=True, help="Percents of the requests, one after the other.")
@click.option("--every", default="10m", show_default=True, help="How long a step lasts: 30s, 10m, 1h.")
@click.option("--alias", default="canary", show_default=True, help="What the version is called until it is stable.")
@click.pass_obj
def ramp(settings: Settings, name: str, version: int, steps: str, every: str, alias: str) -> None:
    """
    Make a version stable step by step; take its traffic away when it does worse than the one it replaces.

    It is held to the limits of [serving.ramp], by the prediction log. Ctrl-C gives stable all requests.
    """
    from stork.publishing.ramp import Plan, climb

    if mirror := attach(settings):
        mirror.keep_following(settings.poll_seconds)
    plan = Plan(read_steps(steps), read_seconds(every), alias)
    with waiting(f"ramp of {name} {version}", Expected(plan.seconds * len(plan.steps), "its steps")) as terminal:
        climb(settings, name, version, plan, terminal.say, terminal.progress)


def read_shares(shares: tuple[str, ...]) -> dict[str, int]:
    """
    `stable=90 canary=10` as percents by alias.

    Raises:
        BadRequest: a share is not of this form, or an alias is given twice.
    """
    percents: dict[str, int] = {}
    for text in shares:
        alias, _, percent = text.partition("=")
        if not alias or not percent.isdecimal() or alias in percents:
            raise BadRequest(f"expected each alias once, with a whole percent (canary=10), received {text!r}")
        percents[alias] = int(percent)
    return percents


def read_steps(text: str) -> tuple[int, ...]:
    """`1,5,25,100` as percents."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise BadRequest(f"--steps: expected whole percents (1,5,25,100), received {text!r}")
    return tuple(map(int, parts))


def read_seconds(text: str) -> float:
    """
    A length of time in seconds: `30s`, `10m`, `1h`.

    Raises:
        BadRequest: it is none.
    """
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)([smhd])", text)
    if found is None or not float(found[1]):
        raise BadRequest(f"--every: expected a length of time such as 30s, 10m or 1h, received {text!r}")
    return float(found[1]) * SECONDS[found[2]]


def describe_followers(done: Any) -> str:
    """How many server processes follow a change already."""
    return f"{done.followed} of {done.servers} server processes follow" if done.servers else "no server is running"
