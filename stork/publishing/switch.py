"""Moving an alias: proved in a fresh process first, then written, then followed by every server process."""

from dataclasses import dataclass

from stork.config import Settings
from stork.errors import Conflict
from stork.evaluation.infra import check_version
from stork.store.registry import STABLE, Registry


@dataclass(frozen=True)
class Switch:
    """A move of an alias that took place. `followed` of `servers` live server processes serve it already."""

    model: str
    alias: str
    version: int
    before: int | None
    generation: int
    followed: int
    servers: int


def switch_alias(
    settings: Settings, name: str, version: int, alias: str = STABLE, by: str = "cli", generation: int | None = None
) -> Switch:
    """
    Make `alias` name `version`, after the version has shown in a fresh process that it loads and answers.

    Raises:
        ModelNotFound, VersionNotFound: there is no such model or version.
        VersionBroken: the version failed its checks; nothing was changed.
        GenerationConflict: the state is not of the given generation.
        RootNotWritable: this deployment cannot keep the change.
    """
    registry = Registry(settings)
    before = registry.aliases(name).get(alias)
    check_version(settings, name, version)
    state = registry.move_alias(name, alias, version, by, generation)
    followed, servers = registry.wait_for_followers(name, state.generation)
    return Switch(name, alias, version, before, state.generation, followed, servers)


def roll_back(settings: Settings, name: str, alias: str = STABLE, by: str = "cli") -> Switch:
    """
    Make `alias` name what it named before its last move.

    Raises:
        Conflict: the alias was never moved.
    """
    moves = [move.before for move in Registry(settings).state(name).history if move.alias == alias]
    if not moves or not isinstance(moves[-1], int):
        raise Conflict(f"alias {alias!r} of model {name!r} was never moved from another version: nothing to go back to")
    return switch_alias(settings, name, moves[-1], alias, by)
