"""Which versions there are, what an alias names, and that nobody overwrites somebody else's change."""

import json
import multiprocessing
import os
from pathlib import Path

import pytest

from stork.config import Settings
from stork.errors import BadRequest, GenerationConflict, ModelNotFound, RootNotWritable, VersionNotFound
from stork.serving.routing import Route
from stork.store.registry import Registry, StateBroken


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """A model `m` with version 1 shipped, 2 and 3 below the root, and folders that are no versions."""
    registry = Registry(Settings(models=tmp_path / "model", root=tmp_path / "var"))
    shipped, published = tmp_path / "model" / "m", tmp_path / "var" / "models" / "m"
    for folder in (shipped / "1", published / "2", published / "3"):
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
    (published / "4").mkdir()
    (published / "latest").mkdir()
    text = '[model]\nname="m"\ntitle="M"\n[[feature]]\nname="x"\nkind="number"\n[[output]]\nname="y"\n'
    (shipped / "model.toml").write_text(text)
    return registry


def test_a_folder_without_a_manifest_is_no_version(registry: Registry) -> None:
    """A half-copied version is never seen."""
    assert list(registry.versions("m")) == [1, 2, 3]


def test_what_is_published_does_not_serve_until_an_alias_says_so(registry: Registry) -> None:
    """The newest shipped version serves; publishing moves no traffic."""
    assert registry.aliases("m") == {"stable": 1}


@pytest.mark.parametrize("name", ["nobody", "../m", "m/1", "", ".", "m\0"])
def test_a_name_is_only_looked_up_never_followed(registry: Registry, name: str) -> None:
    """No name leads out of the folders; the error names the models there are."""
    with pytest.raises(ModelNotFound, match="there is: m"):
        registry.home(name)


def test_a_moved_alias_is_remembered_with_what_it_named_before(registry: Registry) -> None:
    """The history is what a rollback goes by."""
    registry.move_alias("m", "stable", 2, by="cli")
    state = registry.move_alias("m", "stable", 3, by="page")

    assert (registry.aliases("m"), state.generation) == ({"stable": 3}, 2)
    assert [(move.before, move.after, move.by) for move in state.history] == [(1, 2, "cli"), (2, 3, "page")]


def test_a_change_made_meanwhile_is_not_overwritten(registry: Registry) -> None:
    """Who looked at generation 0 cannot change generation 1 unseen."""
    registry.move_alias("m", "stable", 2, by="cli", expected_generation=0)

    with pytest.raises(GenerationConflict, match="expected generation 0, found 1"):
        registry.move_alias("m", "stable", 3, by="cli", expected_generation=0)


def move_often(registry: Registry, alias: str) -> None:
    for count in range(20):
        registry.move_alias("m", alias, 1 + count % 3, by="test")


def test_processes_that_move_aliases_at_once_lose_none(registry: Registry) -> None:
    """Eighty moves by four processes are eighty generations."""
    context = multiprocessing.get_context("spawn")
    movers = [context.Process(target=move_often, args=(registry, f"a{number}")) for number in range(4)]
    for mover in movers:
        mover.start()
    for mover in movers:
        mover.join()

    assert registry.state("m").generation == 80
    assert set(registry.state("m").aliases) == {"a0", "a1", "a2", "a3"}


def test_only_versions_that_exist_can_be_named(registry: Registry) -> None:
    """The refusal lists those there are; an alias that is no name is refused too."""
    with pytest.raises(VersionNotFound, match="no version 9; there is: 1, 2, 3"):
        registry.move_alias("m", "stable", 9, by="cli")
    with pytest.raises(BadRequest, match="expected a name"):
        registry.move_alias("m", "../x", 1, by="cli")


def test_a_root_that_cannot_be_written_is_named(registry: Registry, tmp_path: Path) -> None:
    """Where there is no place for a change it is refused, with the setting that would give it one."""
    (tmp_path / "blocked").write_text("")
    blocked = Registry(Settings(models=registry.settings.models, root=tmp_path / "blocked" / "var"))

    with pytest.raises(RootNotWritable, match="STORK_ROOT"):
        blocked.move_alias("m", "stable", 1, by="cli")


@pytest.mark.parametrize("content", ["", "{", json.dumps({"aliases": {"stable": "x"}})])
def test_a_torn_state_is_an_error_not_an_empty_state(registry: Registry, content: str) -> None:
    """Whoever serves can tell "nothing was changed" from "cannot be read"."""
    path = registry.state_path("m")
    path.parent.mkdir(parents=True)
    path.write_text(content)

    with pytest.raises(StateBroken, match=r"m\.json: .*; put it right, or remove it: a switch makes it anew"):
        registry.state("m")


def test_who_is_about_to_serve_is_waited_for(settings: Settings) -> None:
    """A process counts from before its first answer, so that none answers whom a change does not know of."""
    seen = []

    class Looked(Registry):
        def aliases(self, name: str) -> dict[str, int]:
            seen.append(self.wait_for_followers(name, 0, seconds=0))
            return super().aliases(name)

    registry = Looked(settings)
    route = Route(registry, "babyweight", lambda version, rows: None)
    route.follow()

    assert (seen[0], registry.wait_for_followers("babyweight", 0, seconds=0)) == ((0, 1), (1, 1))
    assert registry.server_processes("babyweight") == [os.getpid()]


def test_a_process_that_is_gone_is_waited_for_by_nobody(settings: Settings) -> None:
    """Its note is removed by whoever finds it."""
    registry = Registry(settings)
    child = multiprocessing.get_context("spawn").Process(target=registry.note_following, args=("babyweight", 7))
    child.start()
    child.join()

    assert registry.wait_for_followers("babyweight", 0, seconds=0) == (0, 0)
    assert list((settings.root / "serving" / ".babyweight.following").iterdir()) == []
