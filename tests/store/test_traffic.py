"""Who gets which requests, as the serving state keeps it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stork.config import Settings
from stork.errors import BadRequest, Conflict, GenerationConflict, ModelNotFound, StorkError, VersionNotFound
from stork.store.registry import Registry, StateBroken
from stork.store.serving_state import Shadow
from stork.store.traffic import promote, remove_alias, set_shadow, set_traffic


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """A model `m` whose version 1 is stable and whose version 2 is the canary."""
    registry = Registry(Settings(models=tmp_path / "model", root=tmp_path / "var"))
    for version in (1, 2):
        folder = tmp_path / "model" / "m" / str(version)
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
    text = (
        '[model]\nname="m"\ntitle="M"\n[[feature]]\nname="x"\nkind="number"\n[[output]]\nname="y"\n[serving]\nstart=1\n'
    )
    (tmp_path / "model" / "m" / "model.toml").write_text(text)
    registry.move_alias("m", "canary", 2, by="cli")
    return registry


def test_a_split_and_a_shadow_are_kept_and_remembered(registry: Registry) -> None:
    """The state holds them, and its history what they were before, in words and as data."""
    set_traffic(registry, "m", {"stable": 90, "canary": 10}, "cli")
    set_shadow(registry, "m", Shadow(version=2, share=25), "api")
    set_traffic(registry, "m", None, "page")
    state = registry.state("m")

    assert (state.traffic, state.shadow, state.generation) == (None, Shadow(version=2, share=25), 4)
    assert [str(change) for change in state.history] == [
        "canary from nothing to 2, by cli",
        "traffic from stable=100 to stable=90 canary=10, by cli",
        "shadow from nothing to version 2, 25%, by api",
        "traffic from stable=90 canary=10 to stable=100, by page",
    ]


@pytest.mark.parametrize(
    ("traffic", "error", "message"),
    [
        ({"stable": 90}, BadRequest, r"sum to 100, received stable=90 \(sum 90\)"),
        ({}, BadRequest, r"received none \(sum 0\)"),
        ({"stable": 101, "canary": -1}, BadRequest, "received stable=101 canary=-1"),
        ({"stable": 50, "nobody": 50}, VersionNotFound, r"no alias 'nobody'; there is: canary \(2\), stable \(1\)"),
    ],
)
def test_a_split_that_is_none_is_refused(
    registry: Registry, traffic: dict[str, int], error: type[StorkError], message: str
) -> None:
    """What was received is said, and nothing is written."""
    with pytest.raises(error, match=message):
        set_traffic(registry, "m", traffic, "cli")

    assert registry.state("m").generation == 1


@pytest.mark.parametrize(
    ("shadow", "error"),
    [
        (Shadow(version=9), VersionNotFound),
        (Shadow(alias="nobody"), VersionNotFound),
        (Shadow(), BadRequest),
        (Shadow(version=2, alias="canary"), BadRequest),
    ],
)
def test_a_shadow_is_one_that_exists(registry: Registry, shadow: Shadow, error: type[StorkError]) -> None:
    """Neither nothing nor both nor what is not there."""
    with pytest.raises(error):
        set_shadow(registry, "m", shadow, "cli")


CHANGES: list[Callable[[Registry, str], object]] = [
    lambda registry, name: set_traffic(registry, name, {"canary": 100}, "cli", 0),
    lambda registry, name: set_shadow(registry, name, Shadow(version=1), "cli", 0),
    lambda registry, name: promote(registry, name, "canary", "cli", 0),
    lambda registry, name: remove_alias(registry, name, "canary", "cli", 0),
]


@pytest.mark.parametrize("change", CHANGES)
def test_no_change_overwrites_one_made_meanwhile(registry: Registry, change: Callable[[Registry, str], object]) -> None:
    """Who looked at generation 0 cannot change generation 1 unseen; and nobody changes a model that is not there."""
    with pytest.raises(GenerationConflict, match="expected generation 0, found 1"):
        change(registry, "m")
    with pytest.raises(ModelNotFound):
        change(registry, "nobody")

    assert not list(registry.state_path("m").parent.glob("*nobody*"))


def test_promoting_moves_stable_and_ends_the_split_in_one_step(registry: Registry) -> None:
    """There is no moment at which the alias has moved and the split still stands."""
    set_traffic(registry, "m", {"canary": 100}, "ramp")
    state = promote(registry, "m", "canary", "ramp")

    assert (state.aliases, state.traffic, state.generation) == ({"canary": 2, "stable": 2}, None, 3)
    assert [str(change) for change in state.history[-2:]] == [
        "stable from 1 to 2, by ramp",
        "traffic from canary=100 to stable=100, by ramp",
    ]


def test_an_alias_that_gets_requests_is_not_removed_silently(registry: Registry) -> None:
    """Neither stable, nor one of the split, nor the shadow's; any other is."""
    for refuse, message in (
        (lambda: set_traffic(registry, "m", {"stable": 99, "canary": 1}, "cli"), "in the split stable=99 canary=1"),
        (lambda: set_shadow(registry, "m", Shadow(alias="canary"), "cli"), r"names the shadow \(canary, 100%\)"),
    ):
        refuse()
        with pytest.raises(Conflict, match=message):
            remove_alias(registry, "m", "canary", "cli")
        set_traffic(registry, "m", None, "cli")
    set_shadow(registry, "m", None, "cli")
    with pytest.raises(Conflict, match="stable always names a version"):
        remove_alias(registry, "m", "stable", "cli")

    assert remove_alias(registry, "m", "canary", "cli").aliases == {}


def test_a_state_of_before_traffic_still_loads(registry: Registry) -> None:
    """Files written when there were only aliases are read as they were meant."""
    change = {"time": "2026-01-02T03:04:05Z", "alias": "stable", "before": None, "after": 2, "by": "cli"}
    old = {"aliases": {"stable": 2}, "generation": 7, "history": [change]}
    registry.state_path("m").write_text(json.dumps(old))
    state = registry.state("m")

    assert (state.aliases, state.traffic, state.shadow, state.generation) == ({"stable": 2}, None, None, 7)
    assert str(state.history[0]) == "stable from nothing to 2, by cli"


@pytest.mark.parametrize("traffic", [{"stable": 90}, {"stable": 200, "canary": -100}])
def test_a_split_edited_into_nonsense_is_an_error(registry: Registry, traffic: dict[str, int]) -> None:
    """A hand that slipped is told by whoever serves, and is never served."""
    registry.state_path("m").write_text(json.dumps({"traffic": traffic}))

    with pytest.raises(StateBroken, match="sum to 100"):
        registry.state("m")
