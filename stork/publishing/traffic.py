"""Splitting traffic and setting a shadow: written, then followed by every server process."""

from dataclasses import dataclass
from typing import Any

from stork.config import Settings
from stork.evaluation.infra import check_version
from stork.store.audit import audit_refusal
from stork.store.registry import Registry
from stork.store.serving_state import ServingState, Shadow
from stork.store.traffic import find_shadow, set_shadow, set_traffic


@dataclass(frozen=True)
class Moved:
    """
    A change of the split or the shadow that took place: what it was, and what the model's state is now.

    `followed` of `servers` live server processes serve it already.
    """

    model: str
    traffic: dict[str, int] | None
    shadow: Shadow | None
    before: Any
    generation: int
    followed: int
    servers: int


def split_traffic(
    settings: Settings, name: str, traffic: dict[str, int] | None, by: str = "cli", generation: int | None = None
) -> Moved:
    """
    Split the requests that ask for no version by alias, in percents; None: all to stable.

    The versions have shown that they load and answer when their aliases were set.

    Raises:
        ModelNotFound, VersionNotFound: there is no such model or alias.
        BadRequest: the percents are not 100 together.
        GenerationConflict, RootNotWritable: as for a switch.
    """
    registry = Registry(settings)
    with audit_refusal(settings, "traffic", model=name, after=traffic):
        state = set_traffic(registry, name, traffic, by, generation)
    return follow(registry, name, state)


def cast_shadow(
    settings: Settings, name: str, shadow: Shadow | None, by: str = "cli", generation: int | None = None
) -> Moved:
    """
    Let a version answer copies of live requests, after it has shown in a fresh process that it can; None: none does.

    Raises:
        ModelNotFound, VersionNotFound: there is no such model, version or alias.
        VersionBroken: the version failed its checks; nothing was changed.
        GenerationConflict, RootNotWritable: as for a switch.
    """
    registry = Registry(settings)
    with audit_refusal(settings, "shadow", model=name, after=shadow):
        if shadow is not None:
            check_version(settings, name, find_shadow(registry, name, shadow))
        state = set_shadow(registry, name, shadow, by, generation)
    return follow(registry, name, state)


def follow(registry: Registry, name: str, state: ServingState) -> Moved:
    """Wait for the server processes, and say how many follow."""
    followed, servers = registry.wait_for_followers(name, state.generation)
    return Moved(name, state.traffic, state.shadow, state.history[-1].before, state.generation, followed, servers)
