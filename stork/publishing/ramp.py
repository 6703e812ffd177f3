"""A scheduled ramp: a candidate gets more and more of the traffic, and loses all of it when it does worse."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stork.config import Settings
from stork.errors import BadRequest, Conflict, GenerationConflict, StorkError, VersionBroken
from stork.evaluation.comparison import Comparison, Figures, judge
from stork.publishing.evidence_page import publish_evidence
from stork.publishing.switch import switch_alias
from stork.publishing.traffic import split_traffic
from stork.schema.frozen import load_schema
from stork.store.registry import STABLE, Registry
from stork.store.serving_state import describe_traffic
from stork.store.traffic import promote, set_traffic

STEPS = (1, 5, 25, 100)  # percents, where nothing else is asked for
STEP_SECONDS = 600.0
LOOKS = 10  # at the log in a step
Progress = Callable[[int, int], None]
FEWEST_SECONDS, MOST_SECONDS = 0.2, 5.0  # between two looks


@dataclass(frozen=True)
class Plan:
    """The percents that the candidate gets one after the other, for how many seconds each, and its alias meanwhile."""

    steps: tuple[int, ...]
    seconds: float
    alias: str = "canary"

    def __post_init__(self) -> None:
        """
        Raises:
            BadRequest: the steps do not rise from 1 to at most 100, or the alias is stable.
        """
        rising = all(low < high for low, high in zip((0, *self.steps), (*self.steps, 101), strict=True))
        if not self.steps or not rising:
            received = ",".join(map(str, self.steps)) or "none"
            raise BadRequest(f"steps: expected rising percents from 1 to 100, received {received}")
        if self.alias == STABLE:
            raise BadRequest(f"alias: expected another than {STABLE}, which the candidate gets in the end")


def climb(
    settings: Settings,
    name: str,
    version: int,
    plan: Plan,
    say: Callable[[str], None],
    progress: Progress = lambda done, total: None,
) -> None:
    """
    Carry out a ramp in this process; SIGINT and SIGTERM end it, and stable has all traffic again.

    However it ended, the version's evidence says so. `progress` is told in thousandths of the time that all steps take
    where none has to wait for requests.
    """
    with stopped_by_signals() as stopped:
        try:
            Ascent(settings, name, plan, say, stopped, progress).climb(version)
        finally:
            if version in Registry(settings).versions(name):
                publish_evidence(settings, name, version)


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set meanwhile, instead of ending the process; only a main thread hears them."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    usual = {number: signal.signal(number, lambda *_: stopped.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


class Ascent:
    """
    One ramp of one candidate, from the first step to `stable` or back.

    `say` is told each step; `stopped` ends it when set. Whatever ends it early takes the candidate's traffic away,
    unless somebody else has changed the serving state: then that stands.
    """

    def __init__(
        self,
        settings: Settings,
        name: str,
        plan: Plan,
        say: Callable[[str], None],
        stopped: threading.Event,
        progress: Progress = lambda done, total: None,
    ) -> None:
        self.settings = settings
        self.name = name
        self.plan = plan
        self.say = say
        self.stopped = stopped
        self.progress = progress
        self.registry = Registry(settings)
        self.declaration = self.registry.declaration(name)
        self.limits = self.declaration.serving.ramp
        self.generation = self.registry.state(name).generation
        self.yardstick: Figures | None = None

    def climb(self, version: int) -> None:
        """
        Make the version the plan's alias, then step by step stable.

        Raises:
            VersionNotFound: there is no such version.
            VersionBroken: it cannot serve, or did worse than the version it replaces; stable has all traffic.
            Conflict: the ramp cannot be judged, was stopped, or somebody else changed the serving state.
        """
        self._check_start(version)
        before = self.registry.find_alias(self.name, STABLE)
        switched = switch_alias(self.settings, self.name, version, self.plan.alias, "ramp", self.generation)
        self.generation = switched.generation
        try:
            for share in self.plan.steps:
                self._step(share)
            promote(self.registry, self.name, self.plan.alias, "ramp", self.generation)
        except BaseException as error:
            where = self._go_back()
            if isinstance(error, StorkError):
                error.args = (f"{error}; {where}",)
            raise
        self.say(f"{STABLE} of {self.name} is now version {version} (before: {before})")

    def _check_start(self, version: int) -> None:
        """
        Raises:
            Conflict: there is no log to judge by, or traffic is split already, or the version is stable.
        """
        if self.settings.log in ("stdout", "off"):
            raise Conflict(
                f"a ramp is judged by the prediction log in files, and STORK_LOG is {self.settings.log!r} here: "
                "set it to a folder, or split traffic by hand"
            )
        if self.declaration.log.sample <= 0:
            raise Conflict("a ramp is judged by the prediction log, and [log] sample keeps no answered request")
        state = self.registry.state(self.name)
        if state.traffic is not None:
            raise Conflict(
                f"expected all traffic on {STABLE}, received {describe_traffic(state.traffic)}; "
                f"first: stork traffic {self.name} --off"
            )
        if self.registry.find_alias(self.name, STABLE) == version:
            raise Conflict(f"version {version} of model {self.name!r} is {STABLE} already")

    def _step(self, share: int) -> None:
        """
        Give the candidate its share, and wait until the log says whether it may go on.

        Raises:
            VersionBroken: it did worse.
            Conflict: it was asked too little to say, or the ramp was stopped.
            GenerationConflict: somebody else changed the serving state.
        """
        alias, name = self.plan.alias, self.name
        if self.stopped.is_set():
            raise Conflict("the ramp was stopped")
        traffic = {alias: share} if share == 100 else {STABLE: 100 - share, alias: share}
        self.generation = split_traffic(self.settings, name, traffic, "ramp", self.generation).generation
        comparison = self._compare()
        began = time.monotonic()
        while True:
            self._pause()
            waited = min(1.0, (time.monotonic() - began) / self.plan.seconds)
            self.progress(int(1000 * (self.plan.steps.index(share) + waited) / len(self.plan.steps)), 1000)
            figures = comparison.look()
            candidate = figures[alias]
            over = time.monotonic() - began >= self.plan.seconds
            if candidate.logged >= self.limits.min_requests:
                self._judge(share, candidate, figures[STABLE], over)
                if over:
                    return
            elif time.monotonic() - began >= self.plan.seconds * self.limits.patience:
                raise Conflict(
                    f"step {share}%: expected {self.limits.min_requests} requests for {alias} to judge it by, received "
                    f"{candidate.logged} in {time.monotonic() - began:.0f} s (log: {self.settings.log})"
                )

    def _judge(self, share: int, candidate: Figures, replaced: Figures, over: bool) -> None:
        """Hold the candidate to the replaced version, by its last step of enough requests: at 100% it has none."""
        if replaced.logged >= self.limits.min_requests:
            self.yardstick = replaced
        measured = self.yardstick or replaced
        reasons = judge(self.limits, candidate, measured, over)
        line = f"step {share}%: {self.plan.alias} {candidate}; {STABLE} {measured}"
        if reasons:
            raise VersionBroken(f"{line}; {'; '.join(reasons)}")
        if over:
            self.say(line)

    def _pause(self) -> None:
        """Until the next look."""
        if self.stopped.wait(min(max(self.plan.seconds / LOOKS, FEWEST_SECONDS), MOST_SECONDS)):
            raise Conflict("the ramp was stopped")
        found = self.registry.state(self.name).generation
        if found != self.generation:
            raise GenerationConflict(self.generation, found)

    def _compare(self) -> Comparison:
        """The figures of both aliases from now on."""
        schemas = {}
        for alias in (self.plan.alias, STABLE):
            version = self.registry.find_alias(self.name, alias)
            schemas[alias] = (version, load_schema(self.registry.version_folder(self.name, version) / "schema.json"))
        return Comparison(Path(self.settings.log) / self.name, self.declaration.log.sample, schemas)

    def _go_back(self) -> str:
        """Give all traffic back to stable, which never moved; a sentence on how things stand now."""
        state = self.registry.state(self.name)
        try:
            if state.generation != self.generation:
                raise GenerationConflict(self.generation, state.generation)
            if state.traffic is not None:
                state = set_traffic(self.registry, self.name, None, "ramp", self.generation)
                self.registry.wait_for_followers(self.name, state.generation)
        except GenerationConflict:
            return f"the ramp overwrites nothing: traffic is {describe_traffic(state.traffic)}"
        version, candidate = (self.registry.find_alias(self.name, alias) for alias in (STABLE, self.plan.alias))
        return (
            f"all traffic is on {STABLE} (version {version}) again, and version {candidate} stays {self.plan.alias}, "
            "to look into"
        )
