"""Which versions a process keeps loaded and answers by number: the policy of the declaration, and what is unloaded."""

import msgspec
import pytest
from deployments import declare_more, publish_copy

from stork.config import Settings
from stork.declaration import VersionPolicy, load_declaration
from stork.errors import Conflict, DeclarationError, VersionNotFound
from stork.serving.routing import Route
from stork.serving.states import version_states
from stork.store.registry import Registry
from stork.store.serving_state import Shadow
from stork.store.traffic import set_shadow
from stork.store.unloading import load_again, unload


def make_route(settings: Settings, policy: str = "", versions: tuple[int, ...] = (2, 3, 4)) -> Route:
    """A route of the shipped version 1, which is stable, and copies of it, that follows the state as it is now."""
    declare_more(settings, f"[serving.policy]\n{policy}" if policy else "")
    for version in versions:
        publish_copy(settings, version)
    route = Route(Registry(settings), "babyweight", lambda version, rows: None)
    route.follow()
    return route


@pytest.mark.parametrize(
    ("policy", "kept", "excluded"),
    [
        ("latest = { num_versions = 2 }", [1, 3, 4], 2),
        ("latest = {}", [1, 4], 3),
        ("specific = { versions = [2, 9] }", [1, 2], 4),
        ("all = {}", [1, 2, 3, 4], None),
        ("", [1], None),
    ],
)
def test_a_policy_says_what_is_loaded_and_answers(
    settings: Settings, policy: str, kept: list[int], excluded: int | None
) -> None:
    """Before anybody asks; what it excludes is 404 and names it; what an alias names is loaded whatever it says."""
    route = make_route(settings, policy)

    assert route.loaded() == kept and route.resolve().version == 1
    if excluded is None:
        assert [route.resolve(version).version for version in (2, 4)] == [2, 4]
    else:
        with pytest.raises(
            VersionNotFound, match=rf"version {excluded}: it is excluded by the policy (latest|specific)"
        ):
            route.resolve(excluded)


def test_a_published_version_takes_the_place_of_the_oldest(settings: Settings) -> None:
    """`latest` looks at what there is: the new one is loaded by itself, and the one it replaces is let go."""
    route = make_route(settings, "latest = { num_versions = 2 }")
    assert not route.stale()
    publish_copy(settings, 5)
    assert route.stale()
    route.follow()

    assert route.loaded() == [1, 4, 5] and not route.stale()
    assert {v: found.state for v, found in version_states(route).items()}[3] == "excluded"


def test_an_alias_on_an_excluded_version_counts(settings: Settings) -> None:
    """It answers by the alias and by its number, until the alias moves on."""
    route = make_route(settings, "specific = { versions = [2] }")
    for version in (4, 3):
        route.registry.move_alias("babyweight", "canary", version, by="test")
        route.follow()
        assert route.resolve(None, "canary").version == route.resolve(version).version == version

    assert route.loaded() == [1, 2, 3]
    with pytest.raises(VersionNotFound):
        route.resolve(4)


def test_one_that_does_not_load_keeps_nobody_from_serving(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others are loaded, the reason is said, and the process is ready: no alias needs that version."""
    (publish_copy(settings, 3) / "model.tflite").write_bytes(b"no model")
    route = make_route(settings, "all = {}", (2,))

    assert (route.loaded(), route.problem) == ([1, 2], "")
    assert "version 3 answers nothing" in capsys.readouterr().err and version_states(route)[3].state == "failed"


@pytest.mark.parametrize("policy", ["", "all = {}"])
def test_an_unloaded_version_stays_away_until_it_is_loaded_again(settings: Settings, policy: str) -> None:
    """Whatever the policy keeps; the others of the model answer on."""
    route = make_route(settings, policy)
    route.resolve(2)
    unload(route.registry, "babyweight", 2)
    route.follow()
    assert 2 not in route.loaded()
    with pytest.raises(VersionNotFound, match="has no version 2: it is unloaded"):
        route.resolve(2)
    load_again(route.registry, "babyweight", 2)
    route.follow()

    assert route.resolve(2).version == 2 and route.resolve(3).version == 3


def test_what_serves_is_not_unloaded_and_what_is_to_serve_is_loaded(settings: Settings) -> None:
    """Aliases and the shadow count; an alias that is moved to an unloaded version ends that for good."""
    registry = make_route(settings).registry
    set_shadow(registry, "babyweight", Shadow(version=3), by="test")
    for version, use in ((1, "stable"), (3, "the shadow"), (None, "stable")):
        with pytest.raises(Conflict, match=rf"is in service: it is asked as {use}"):
            unload(registry, "babyweight", version)
    unload(registry, "babyweight", 2)
    registry.move_alias("babyweight", "canary", 2, by="test")

    assert registry.state("babyweight").unloaded == ()


def test_a_process_that_starts_knows_what_is_unloaded(settings: Settings) -> None:
    """Also where it is asked by number before it has read the state."""
    unload(make_route(settings).registry, "babyweight", 2)
    with pytest.raises(VersionNotFound, match="is unloaded"):
        Route(Registry(settings), "babyweight", lambda version, rows: None).resolve(2)


@pytest.mark.parametrize(
    ("policy", "problem"),
    [
        ("latest = {}\nall = {}", "serving.policy: expected one of latest, specific and all, received latest, all"),
        ("latest = { num_versions = 0 }", "latest.num_versions"),
        ("specific = { versions = [] }", "specific.versions"),
        ("newest = 1", "newest"),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(settings: Settings, policy: str, problem: str) -> None:
    """When the declaration is read, with its place."""
    declare_more(settings, f"[serving.policy]\n{policy}")
    with pytest.raises(DeclarationError, match=problem):
        load_declaration(settings.root / "models" / "babyweight" / "model.toml")


def test_no_policy_is_the_default() -> None:
    """An empty table asks for nothing."""
    assert msgspec.convert({}, VersionPolicy) == VersionPolicy() and str(VersionPolicy()) == "none"
