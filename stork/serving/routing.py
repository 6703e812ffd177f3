"""From what a request asks for (a version, an alias, nothing) to a loaded version; following the serving state."""

import functools
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stork.declaration import Declaration, VersionPolicy
from stork.errors import BackendUnavailable, StorkError, VersionNotFound
from stork.serving.ask import Ask
from stork.serving.backends.template import Template
from stork.serving.loader import LoadedVersion, load_version
from stork.serving.shadow import ShadowVersion
from stork.serving.split import Split
from stork.serving.standing import Standing
from stork.store.registry import STABLE, Registry, StateBroken
from stork.store.serving_state import ServingState, Shadow
from stork.store.traffic import find_shadow
from stork.turn import pass_turn

# A request waits so many seconds for a model that is still loading: its thread is wanted for other models.
PATIENCE = 1.0
RETRY_SECONDS = 5.0
NOT_LOADED = "not loaded yet"


class Route:
    """
    The versions of one model in this process; `count_call` hears of each call of a backend that batches, `template` is
    where TensorFlow's processes come from.

    Reading is lock-free: a request takes `_loaded` and `_aliases` (or `split`) as they are at that moment, and a switch
    replaces them after the new version answers. A version let go lives until the last request that holds it is done.

    `split` chooses for requests that ask for no version, None: stable answers them. `shadow` is asked copies of them.
    `standing` says which versions answer by number. `failures` says why versions could not be loaded when that was last
    tried.
    """

    def __init__(
        self,
        registry: Registry,
        name: str,
        count_call: Callable[[int, int], None],
        template: Template | None = None,
    ) -> None:
        self.registry = registry
        self._template = template
        self.name = name
        self._count_call = count_call
        self.declaration: Declaration = registry.declaration(name)
        self._declared = registry.home(name) / "model.toml"
        self.problem = NOT_LOADED
        self._loaded: dict[int, LoadedVersion] = {}
        self.failures: dict[int, str] = {}
        self._aliases: dict[str, int] = {}
        self._named: set[int] = set()
        self.standing = Standing()
        self.split: Split | None = None
        self.shadow: ShadowVersion | None = None
        self._seen: object = ()
        self._generation = 0
        self._asked_at: dict[int, float] = {}
        self._retry_at = 0.0
        self._lock = threading.RLock()

    def resolve(self, version: int | None = None, alias: str | None = None) -> LoadedVersion:
        """
        The pinned version, the alias's, else `stable`'s, whatever the split. A pinned one is loaded on first use.

        Raises:
            VersionNotFound: no such version or alias, or it does not answer by its number.
            VersionBroken: it exists, but fails its checks.
        """
        if version is None:
            version = self._aliases.get(alias or STABLE)
            if version is None:
                return self._resolve_alias(alias or STABLE)
        else:
            self._asked_at[version] = time.monotonic()
        loaded = self._loaded.get(version)
        return loaded if loaded is not None else self._load_pinned(version)

    def choose(self, ask: Ask) -> tuple[str, LoadedVersion]:
        """The version that answers, and the alias that the split chose it by; none where it had nothing to choose."""
        if ask.settled is not None:
            return ask.settled
        split = self.split  # which another thread may replace
        if split is None or ask.version is not None or ask.alias:
            return "", self.resolve(ask.version, ask.alias)
        return split.choose(ask)

    def settle(self, ask: Ask, read: Callable[[LoadedVersion], Any]) -> LoadedVersion:
        """
        Choose the version that answers, and have the instances as `read` finds them for its schema.

        Where a feature decides it is found by the first version whose schema can be read: of each the key is the same.

        Raises:
            StorkError: `read` refuses the request for the version that is chosen, or for all that could be.
        """
        split, first = self.split, None
        if split is not None and split.feature and ask.version is None and not ask.alias:
            first, ask.instances = split.read(read)
        ask.settled = self.choose(ask)
        loaded = ask.settled[1]
        if loaded is not first:
            ask.instances = read(loaded)
        return loaded

    def _load_pinned(self, version: int) -> LoadedVersion:
        """The slow road: nobody asked for the version lately, or it may not answer."""
        pass_turn()
        with self._lock:
            if self._seen == ():
                self.follow()
            self.registry.version_folder(self.name, version)
            self.standing = self._read_standing(self.standing.unloaded)
            refusal = self.standing.refusal(version)
            if refusal and version not in self._named:
                raise VersionNotFound(self.name, f"version {version}: it {refusal}", list(map(str, self.loaded())))
            return self._load(version)

    def _resolve_alias(self, alias: str) -> LoadedVersion:
        """The slow road: the alias is unknown here, or nothing is loaded yet."""
        pass_turn()
        if not self._lock.acquire(timeout=PATIENCE):
            raise BackendUnavailable(f"model {self.name!r} is still loading; try again in a moment")
        try:
            if not self._aliases:
                self.follow()
            if alias in self._aliases:
                return self.resolve(self._aliases[alias])
        finally:
            self._lock.release()
        known = self.registry.aliases(self.name)
        if alias in known:
            raise BackendUnavailable(
                f"model {self.name!r} cannot serve {alias!r} (version {known[alias]}): {self.problem}"
            )
        raise VersionNotFound(self.name, f"alias {alias!r}", [f"{name} ({version})" for name, version in known.items()])

    def _load(self, version: int) -> LoadedVersion:
        with self._lock:
            if version not in self._loaded:
                loaded = self._try(version)
                loaded.note_calls(functools.partial(self._count_call, version))
                dropped = self._surplus(version)
                self._loaded = {v: held for v, held in self._loaded.items() if v not in dropped} | {version: loaded}
            return self._loaded[version]

    def _surplus(self, loading: int) -> list[int]:
        """Versions to let go of, so that at most `[serving] keep` that no alias names stay: those asked longest ago."""
        pinned = [v for v in (*self._loaded, loading) if v not in self._named]
        pinned.sort(key=lambda v: self._asked_at.get(v, 0.0))
        surplus = len(pinned) - self.declaration.serving.keep
        return [v for v in pinned if v != loading][: max(0, surplus)]

    def _try(self, version: int) -> LoadedVersion:
        """The version, loaded; why it could not be is remembered until it can."""
        try:
            loaded = load_version(self.registry, self.name, version, self.declaration, self._template)
        except (StorkError, OSError) as error:
            self.failures[version] = str(error)
            raise
        self.failures.pop(version, None)
        return loaded

    def is_ready(self) -> bool:
        """Whether a request that asks for no version is answered, without loading anything first."""
        return STABLE in self._aliases

    def loaded(self) -> list[int]:
        """The versions that answer without loading, for the status route."""
        return sorted(self._loaded)

    def held(self) -> dict[int, LoadedVersion]:
        """Those versions themselves, by number."""
        return self._loaded

    def aliases(self) -> dict[str, int]:
        """The version that each alias names in this process."""
        return self._aliases

    def stale(self) -> bool:
        """Whether the state on disk is not the one this process has looked at."""
        if self.problem and time.monotonic() > self._retry_at:
            return True
        return self._stamp() != self._seen

    def follow(self) -> None:
        """
        Load what the state on disk asks for, then let it answer; what cannot be loaded stays as it was.

        `problem` says what is wrong, or is empty.
        """
        with self._lock:
            if self._seen == ():
                self.registry.note_following(self.name)  # before the first answer: a change is for this process too
            self._seen = self._stamp()
            self._retry_at = time.monotonic() + RETRY_SECONDS
            try:
                self.declaration = self.registry.declaration(self.name)
                state = self._read_state()
                self.standing = self._read_standing(frozenset(state.unloaded))
                asked = self.registry.aliases(self.name)
                if STABLE not in asked:
                    self.registry.start(self.name, self.declaration)
            except (StorkError, OSError) as error:
                self._note_problem(str(error))
                return
            problems = self._take(state, asked)
            if problems:
                self._note_problem("; ".join(problems))
            else:
                self.problem = ""
                self.registry.note_following(self.name, state.generation)

    def _read_state(self) -> ServingState:
        """
        The state on disk.

        Raises:
            StateBroken: it cannot be read, or is gone though it was there: that is an accident, not a wish to go back
                to the version that serves by default.
        """
        state = self.registry.state(self.name)
        if state.generation == 0 and self._generation > 0:
            raise StateBroken(f"{self.registry.state_path(self.name)} is gone; a switch makes it anew")
        self._generation = state.generation
        return state

    def _read_standing(self, unloaded: frozenset[int]) -> Standing:
        return Standing(self.declaration.serving.policy, tuple(self.registry.versions(self.name)), unloaded)

    def _take(self, state: ServingState, asked: dict[str, int]) -> list[str]:
        """Serve these aliases from the next request on, let go of versions that nothing names any more; what failed."""
        problems, serving = [], {}
        for alias, version in asked.items():
            try:
                serving[alias] = self._load(version)
            except (StorkError, OSError) as error:
                problems.append(str(error))
                if alias in self._aliases:
                    serving[alias] = self._load(self._aliases[alias])
        self.split = self._split(state.traffic, serving)
        self.shadow = self._load_shadow(state.shadow)
        self._aliases = {alias: loaded.version for alias, loaded in serving.items()}
        named = {loaded.version: loaded for loaded in serving.values()}
        if self.shadow is not None:
            named[self.shadow.loaded.version] = self.shadow.loaded
        before, self._named = self._named, self._named | named.keys() | self.standing.kept
        self._load_kept()
        self._named = named.keys() | self.standing.kept
        gone = before - self._named | {version for version in self._loaded if self.standing.refusal(version)}
        self._loaded = {version: held for version, held in self._loaded.items() if version not in gone} | named
        return problems

    def _load_kept(self) -> None:
        """What the policy keeps, newest first; one that does not load is said on stderr, and tried when asked for."""
        for version in sorted(self.standing.kept - self._loaded.keys(), reverse=True):
            try:
                self._load(version)
            except (StorkError, OSError) as error:
                print(f"stork: {self.name}: version {version} answers nothing: {error}", file=sys.stderr)

    def _split(self, traffic: dict[str, int] | None, serving: dict[str, LoadedVersion]) -> Split | None:
        """The split between what can serve; the share of an alias that cannot goes to stable."""
        if traffic is None or STABLE not in serving:
            return None
        percents = {STABLE: 0}
        for alias, percent in traffic.items():
            alias = alias if alias in serving else STABLE
            percents[alias] = percents.get(alias, 0) + percent
        return Split(self.name, self.declaration.serving.sticky, percents, serving)

    def _load_shadow(self, shadow: Shadow | None) -> ShadowVersion | None:
        """The shadow, ready to be asked. One that cannot be loaded is said on stderr, and no reason to stop serving."""
        if shadow is None:
            return None
        try:
            return ShadowVersion(self._load(find_shadow(self.registry, self.name, shadow)), shadow.share)
        except (StorkError, OSError) as error:
            print(f"stork: {self.name}: the shadow ({shadow}) answers nothing: {error}", file=sys.stderr)
            return None

    def _note_problem(self, problem: str) -> None:
        if problem != self.problem:
            print(f"stork: {self.name}: {problem}; what served before goes on", file=sys.stderr)
        self.problem = problem

    def _stamp(self) -> object:
        """What changes with the serving state, the declaration and, where a policy looks at them, the versions."""
        has_policy = self.declaration.serving.policy != VersionPolicy()
        homes = [home / self.name for home in self.registry.homes] if has_policy else []
        return [stamp(path) for path in (self.registry.state_path(self.name), self._declared, *homes)]


def stamp(path: Path) -> object:
    """What changes whenever a file is replaced or written."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_ino, facts.st_size
