"""Versions that are to be loaded in no process, and those that are to be loaded again."""

from stork.errors import Conflict
from stork.store.registry import Registry
from stork.store.serving_state import ServingState
from stork.store.traffic import find_shadow


def unload(registry: Registry, name: str, version: int | None = None) -> ServingState:
    """
    Let a version go, or every version of the model: it answers by its number no more.

    Raises:
        VersionNotFound: there is no such version.
        Conflict: it is in service; the message says by what.
        RootNotWritable: this deployment cannot keep the change.
    """
    versions = list(registry.versions(name)) if version is None else [version]
    if version is not None:
        registry.version_folder(name, version)

    def let_go(state: ServingState) -> ServingState:
        named = name_uses(registry, name, state)
        used = [f"{', '.join(named[v])} (version {v})" for v in versions if v in named]
        if used:
            what = f"model {name!r}" if version is None else f"version {version} of {name!r}"
            raise Conflict(f"{what} is in service: it is asked as {'; '.join(used)}")
        return state.changed([], unloaded=tuple(sorted({*state.unloaded, *versions})))

    return registry.change_state(name, None, let_go)


def load_again(registry: Registry, name: str, version: int | None = None) -> ServingState:
    """
    Let an unloaded version answer again, or all of them; where none is, nothing changes.

    Raises:
        VersionNotFound: there is no such version.
        RootNotWritable: this deployment cannot keep the change.
    """
    if version is not None:
        registry.version_folder(name, version)
    state = registry.state(name)
    if not state.unloaded or (version is not None and version not in state.unloaded):
        return state
    return registry.change_state(
        name,
        None,
        lambda now: now.changed([], unloaded=tuple(v for v in now.unloaded if version not in (None, v))),
    )


def name_uses(registry: Registry, name: str, state: ServingState) -> dict[int, list[str]]:
    """By version, what names it: aliases, the shadow."""
    found: dict[int, list[str]] = {}
    for alias, version in registry.aliases(name).items():
        found.setdefault(version, []).append(alias)
    if state.shadow is not None:
        found.setdefault(find_shadow(registry, name, state.shadow), []).append("the shadow")
    return found
