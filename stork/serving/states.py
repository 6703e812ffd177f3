"""What a server process knows of every version of a model, without loading any."""

import contextlib
from dataclasses import dataclass
from typing import Literal

from stork.errors import StorkError
from stork.serving.routing import Route


@dataclass(frozen=True)
class VersionState:
    """
    Of a version that exists: it answers; it could not be loaded, and why; it is about to be loaded, because an alias or
    the policy names it; it does not answer by its number, and why; or nobody asked for it yet.
    """

    state: Literal["available", "failed", "loading", "excluded", "idle"]
    reason: str = ""


def version_states(route: Route) -> dict[int, VersionState]:
    """The state of every version there is, oldest first."""
    named = set(route.aliases().values())
    with contextlib.suppress(StorkError):  # a torn serving state names nothing
        named |= set(route.registry.aliases(route.name).values())
    return {version: find_state(route, version, named) for version in route.registry.versions(route.name)}


def find_state(route: Route, version: int, named: set[int]) -> VersionState:
    if version in route.loaded():
        return VersionState("available")
    if version not in named and (refusal := route.standing.refusal(version)):
        return VersionState("excluded", f"version {version} {refusal}")
    if version in route.failures:
        return VersionState("failed", route.failures[version])
    return VersionState("loading" if version in named | route.standing.kept else "idle")
