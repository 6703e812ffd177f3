"""Which models and versions there are, and which version each alias names."""

import contextlib
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from stork.config import Settings
from stork.declaration import NAME, Declaration, load_declaration
from stork.errors import BadRequest, GenerationConflict, ModelNotFound, ObjectChanged, StorkError, VersionNotFound
from stork.remote.mirror import attach, bring
from stork.store.audit import audit
from stork.store.files import locked, refresh, write_atomically
from stork.store.serving_state import STABLE, Change, ServingState, note_change

__all__ = ["STABLE", "Registry", "ServingState", "StateBroken"]

Edit = Callable[[ServingState], ServingState]
NOT_YET = -1  # in place of a generation: a process that serves none so far


class StateBroken(StorkError):
    """The serving state cannot be read: whoever serves keeps the last good one."""


class Registry:
    """The versions shipped with the code (read only) and those below the root (where new ones go)."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        attach(settings)
        self.homes = (settings.models, settings.root / "models")

    def models(self) -> list[str]:
        """Names of all declared models, sorted."""
        found = {path.parent.name for home in self.homes for path in home.glob("*/model.toml")}
        return sorted(name for name in found if re.match(NAME, name))

    def home(self, name: str) -> Path:
        """
        The folder that holds the model's declaration.

        Raises:
            ModelNotFound: no model has this name. A name is only ever looked up among those that exist, so it
                cannot lead out of the folders.
        """
        known = self.models()
        if name not in known:
            raise ModelNotFound(name, known)
        return next(home / name for home in reversed(self.homes) if (home / name / "model.toml").is_file())

    def declaration(self, name: str) -> Declaration:
        """The model's model.toml; one below the root wins over one shipped."""
        return load_declaration(self.home(name) / "model.toml")

    def versions(self, name: str) -> dict[int, Path]:
        """
        Every whole version and its folder, oldest first: an integer folder that has a manifest.

        Only manifest and verdicts are sure to be on this machine; `version_folder` has the rest.
        """
        self.home(name)
        found = {
            int(path.name): path
            for home in self.homes
            for path in (home / name).glob("[0-9]*")
            if path.name.isdecimal() and (path / "manifest.json").is_file()
        }
        return dict(sorted(found.items()))

    def version_folder(self, name: str, version: int) -> Path:
        """
        The version's folder, with all its files.

        Raises:
            ModelNotFound, VersionNotFound: there is no such version; the message names those there are.
            RootUnreachable: it is in a bucket that does not answer.
        """
        versions = self.versions(name)
        if version not in versions:
            raise VersionNotFound(name, f"version {version}", [str(known) for known in versions])
        return bring(versions[version])

    def state_path(self, name: str) -> Path:
        return self.settings.root / "serving" / f"{name}.json"

    def state(self, name: str) -> ServingState:
        """
        The serving state as it is on disk; an empty one of generation 0 where nothing was ever changed.

        Raises:
            StateBroken: the file is torn or not a serving state.
        """
        path = self.state_path(name)
        try:
            return msgspec.json.decode(path.read_bytes(), type=ServingState)
        except (FileNotFoundError, NotADirectoryError):
            return ServingState()
        except (OSError, msgspec.MsgspecError, BadRequest) as error:
            raise StateBroken(f"{path}: {error}; put it right, or remove it: a switch makes it anew") from error

    def start(self, name: str, declaration: Declaration) -> int:
        """
        The version that serves until an alias says otherwise: `[serving] start`, else the newest shipped one.

        A version below the root never serves on its own: publishing moves no traffic.
        """
        if declaration.serving.start:
            return declaration.serving.start
        shipped = [v for v, folder in self.versions(name).items() if folder.parent.parent == self.settings.models]
        if not shipped:
            raise VersionNotFound(name, f"{STABLE} version (no alias was set)", [str(v) for v in self.versions(name)])
        return shipped[-1]

    def aliases(self, name: str) -> dict[str, int]:
        """Every alias and its version; `stable` always, unless nothing can serve yet."""
        aliases = dict(self.state(name).aliases)
        if STABLE not in aliases:
            with contextlib.suppress(VersionNotFound):
                aliases[STABLE] = self.start(name, self.declaration(name))
        return aliases

    def move_alias(
        self, name: str, alias: str, version: int, by: str, expected_generation: int | None = None
    ) -> ServingState:
        """
        Make an alias name a version, and remember the change. Does not look whether the version works.

        Raises:
            VersionNotFound: there is no such version.
            BadRequest: the alias is no name.
            GenerationConflict: the state is not of the generation the caller looked at.
            RootNotWritable: this deployment cannot keep the change.
        """
        self.version_folder(name, version)
        if not re.match(NAME, alias):
            raise BadRequest(f"alias: expected a name (letters, digits, _ . -; first a letter), received {alias!r}")

        def move(state: ServingState) -> ServingState:
            change = note_change("alias", self.aliases(name).get(alias), version, by, alias)
            return state.changed([change], aliases={**state.aliases, alias: version})

        return self.change_state(name, expected_generation, move)

    def find_alias(self, name: str, alias: str) -> int:
        """
        The version an alias names.

        Raises:
            VersionNotFound: there is no such alias; the message names those there are.
        """
        known = self.aliases(name)
        if alias not in known:
            listed = [f"{named} ({version})" for named, version in known.items()]
            raise VersionNotFound(name, f"alias {alias!r}", listed)
        return known[alias]

    def change_state(self, name: str, expected_generation: int | None, edit: Edit) -> ServingState:
        """
        Replace the state by what `edit` makes of it, under its lock.

        Raises:
            GenerationConflict: it is not of the generation the caller looked at.
            RootNotWritable: this deployment cannot keep the change.
            ModelNotFound: no model has this name.
        """
        self.home(name)
        path = self.state_path(name)
        with locked(path.parent / f".{name}.lock"):
            over = refresh(path)
            state = self.state(name)
            if expected_generation not in (None, state.generation):
                raise GenerationConflict(expected_generation or 0, state.generation)
            changed = edit(state)
            try:
                write_atomically(path, msgspec.json.format(msgspec.json.encode(changed), indent=2) + b"\n", over)
            except ObjectChanged:
                refresh(path)
                raise GenerationConflict(state.generation, self.state(name).generation) from None
        for change in changed.history:
            if change not in state.history:
                self._audit(name, change, changed.generation)
        return changed

    def _audit(self, name: str, change: Change, generation: int) -> None:
        of_alias = {"alias": change.alias} if change.alias else {}
        facts = {"before": change.before, "after": change.after, "generation": generation, "by": change.by}
        audit(self.settings, change.kind, "done", model=name, **of_alias, **facts)

    # Which server processes have followed a change: each leaves its generation in a file named by its process id.
    # It tells of a process that runs, so it need not outlive a power cut, and nobody waits for the disk.

    def note_following(self, name: str, generation: int = NOT_YET) -> None:
        """Say that this process serves the state of this generation. Where that cannot be written nothing is said."""
        path = self._following(name) / str(os.getpid())
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(str(generation))

    def server_processes(self, name: str) -> list[int]:
        """Process ids of the live server processes that serve this model, or are about to."""
        self._live_generations(name)
        return [int(path.name) for path in self._following(name).glob("[0-9]*")]

    def wait_for_followers(self, name: str, generation: int, seconds: float = 2.0) -> tuple[int, int]:
        """How many live server processes serve this generation or a later one, of how many; waits for all of them."""
        deadline = time.monotonic() + seconds
        while True:
            generations = self._live_generations(name)
            followed = sum(found >= generation for found in generations)
            if followed == len(generations) or time.monotonic() > deadline:
                return followed, len(generations)
            time.sleep(0.02)

    def _live_generations(self, name: str) -> list[int]:
        """The generation each live server process serves; files of dead ones are removed."""
        generations = []
        for path in self._following(name).glob("[0-9]*"):
            try:
                os.kill(int(path.name), 0)
                generations.append(int(path.read_text() or NOT_YET))
            except ProcessLookupError:
                path.unlink(missing_ok=True)
            except (OSError, ValueError):
                continue
        return generations

    def _following(self, name: str) -> Path:
        return self.settings.root / "serving" / f".{name}.following"
