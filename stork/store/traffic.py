"""
Who gets which requests: the split between aliases, the shadow, and the end of both.

Every function writes the serving state in one step, notes the change in its history, and raises GenerationConflict
where the state is not of the generation the caller looked at, RootNotWritable where the change cannot be kept.
"""

from stork.errors import BadRequest, Conflict
from stork.store.registry import Registry
from stork.store.serving_state import STABLE, ServingState, Shadow, describe_traffic, note_change


def set_traffic(
    registry: Registry, name: str, traffic: dict[str, int] | None, by: str, expected_generation: int | None = None
) -> ServingState:
    """
    Split the requests that ask for no version by alias, in percents; None: all to stable.

    Raises:
        BadRequest: the percents are not 100 together.
        VersionNotFound: an alias that there is not.
    """

    def split(state: ServingState) -> ServingState:
        for alias in traffic or {}:
            registry.find_alias(name, alias)
        return state.changed([note_change("traffic", state.traffic, traffic, by)], traffic=traffic)

    return registry.change_state(name, expected_generation, split)


def set_shadow(
    registry: Registry, name: str, shadow: Shadow | None, by: str, expected_generation: int | None = None
) -> ServingState:
    """
    Let a version answer copies of live requests; None: none does. Does not look whether the version works.

    Raises:
        VersionNotFound: there is no such version or alias.
    """

    def cast(state: ServingState) -> ServingState:
        if shadow is not None:
            find_shadow(registry, name, shadow)
        return state.changed([note_change("shadow", state.shadow, shadow, by)], shadow=shadow)

    return registry.change_state(name, expected_generation, cast)


def find_shadow(registry: Registry, name: str, shadow: Shadow) -> int:
    """
    The version that a shadow is.

    Raises:
        VersionNotFound: there is no such version or alias.
        BadRequest: the shadow names neither, or both.
    """
    if shadow.alias is not None and shadow.version is None:
        return registry.find_alias(name, shadow.alias)
    if shadow.version is None or shadow.alias is not None:
        received = "neither" if shadow.version is None else f"both ({shadow.version} and {shadow.alias!r})"
        raise BadRequest(f"shadow: expected a version or an alias, received {received}")
    registry.version_folder(name, shadow.version)
    return shadow.version


def promote(registry: Registry, name: str, alias: str, by: str, expected_generation: int | None = None) -> ServingState:
    """
    Make `stable` name what `alias` names, and give it all traffic, in one step.

    Raises:
        VersionNotFound: there is no such alias.
    """

    def take_all(state: ServingState) -> ServingState:
        version = registry.find_alias(name, alias)
        changes = [note_change("alias", registry.aliases(name).get(STABLE), version, by, STABLE)]
        if state.traffic is not None:
            changes.append(note_change("traffic", state.traffic, None, by))
        return state.changed(changes, aliases={**state.aliases, STABLE: version}, traffic=None)

    return registry.change_state(name, expected_generation, take_all)


def remove_alias(
    registry: Registry, name: str, alias: str, by: str, expected_generation: int | None = None
) -> ServingState:
    """
    Forget an alias.

    Raises:
        VersionNotFound: there is no such alias.
        Conflict: it is stable, gets traffic, or names the shadow: taking it away would move requests silently.
    """

    def remove(state: ServingState) -> ServingState:
        version = registry.find_alias(name, alias)
        if alias == STABLE:
            raise Conflict(f"{STABLE} always names a version: move it to another instead")
        if alias in (state.traffic or {}):
            raise Conflict(f"alias {alias!r} is in the split {describe_traffic(state.traffic)}: change that first")
        if state.shadow is not None and state.shadow.alias == alias:
            raise Conflict(f"alias {alias!r} names the shadow ({state.shadow}): change that first")
        kept = {named: version for named, version in state.aliases.items() if named != alias}
        return state.changed([note_change("alias", version, None, by, alias)], aliases=kept)

    return registry.change_state(name, expected_generation, remove)
