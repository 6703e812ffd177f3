"""
Cleaning up below the root: what nothing in service, no lineage and no policy names is removed, after it was shown.

Marked from the versions that serve or may serve again; a version keeps the runs and spans it came from, a run keeps
the runs whose work it took over. What is shipped with the code is never touched.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stork.config import Settings
from stork.data.ingest_step import read_play
from stork.data.spans import list_spans, spans_folder
from stork.declaration import Retention
from stork.errors import DataError
from stork.orchestration.runner import alone
from stork.store.audit import audit
from stork.store.files import locked, size_of, unfinished, withdraw, writing
from stork.store.registry import Registry
from stork.store.runs import RunRecord, output_of, runs_of
from stork.store.version import load_manifest

Kind = Literal["version", "run", "span", "study", "leftover"]
GONE = ".gone-"
LEFTOVER_SECONDS = 24 * 3600.0  # a folder that is being written is younger


@dataclass
class Item:
    """Something below the root, its size in bytes, and why it stays; without a reason it goes."""

    kind: Kind
    name: str
    folder: Path
    bytes: int
    reasons: list[str] = field(default_factory=list)


@dataclass
class Plan:
    """All items of a model, by kind and name."""

    items: dict[tuple[Kind, str], Item] = field(default_factory=dict)

    def add(self, kind: Kind, name: str, folder: Path) -> None:
        """An item that goes, unless something keeps it."""
        self.items[kind, name] = Item(kind, name, folder, size_of(folder))

    def keep(self, kind: Kind, name: str | int | None, reason: str) -> bool:
        """Keep an item, where there is one; whether it was to go until now."""
        item = self.items.get((kind, str(name)))
        if item is None:
            return False
        item.reasons.append(reason)
        return len(item.reasons) == 1

    def of(self, kind: Kind) -> list[Item]:
        """The items of a kind."""
        return [item for item in self.items.values() if item.kind == kind]

    @property
    def going(self) -> list[Item]:
        """The items that go."""
        return [item for item in self.items.values() if not item.reasons]


def plan_clean_up(settings: Settings, model: str) -> Plan:
    """
    What would stay, why, and what would go. Nothing is changed.

    Raises:
        ModelNotFound: no model has this name.
        StateBroken: what is in service cannot be read, so nothing may go.
    """
    registry = Registry(settings)
    retention = registry.declaration(model).retention
    plan = Plan()
    for version, folder in registry.versions(model).items():
        if folder.is_relative_to(settings.root):
            plan.add("version", str(version), folder)
    records = {run.record.id: run.record for run in runs_of(settings, model)}  # newest first
    for name in records:
        plan.add("run", name, settings.root / "runs" / name)
    for span in list_spans(settings, model):
        plan.add("span", str(span.number), span.folder)
    for path in studies(settings, registry, model):
        plan.items["study", path.stem] = Item("study", path.stem, path, path.stat().st_size)
    if registry.declaration(model).tuning.space.searched:
        plan.keep("study", model, "[tuning.space] declares what it searches")
    for folder in leftovers(settings, model):
        plan.add("leftover", str(folder.relative_to(settings.root)), folder)
    keep_versions(plan, registry, model, retention)
    keep_runs(plan, records, retention)
    keep_spans(plan, settings, records, retention)
    return plan


def clean_up(settings: Settings, model: str) -> Plan:
    """
    Remove what the plan, made anew, lets go; versions vanish in one step each.

    Raises:
        Conflict: a run of this model is at work.
        RootNotWritable: nothing can be removed here.
    """
    with ExitStack() as locks:
        # Whoever pushes a version or moves an alias waits, so that nothing gets a name between plan and removal.
        locks.enter_context(alone(settings, model))
        locks.enter_context(locked(settings.root / "models" / model / ".push.lock"))
        locks.enter_context(locked(settings.root / "serving" / f".{model}.lock"))
        plan = plan_clean_up(settings, model)
        gone = [set_aside(item.folder) for item in plan.going]
    for folder in gone:
        if folder.exists():  # what is unfinished in a bucket is only there
            shutil.rmtree(folder)
    for kind in ("version", "span", "run", "study"):
        if names := [item.name for item in plan.going if item.kind == kind]:
            audit(settings, "clean-up", model=model, kind=kind, names=names)
    return plan


def set_aside(folder: Path) -> Path:
    """Make a folder invisible in one step; what stays of it if we are killed is a leftover. A file is gone at once."""
    if folder.is_file():
        folder.unlink()
        return folder
    aside = folder.with_name(f"{GONE}{folder.name.removeprefix(GONE)}")
    with writing(folder.parent):
        withdraw(folder)
        if folder.exists():
            folder.rename(aside)
    return aside


def studies(settings: Settings, registry: Registry, model: str) -> list[Path]:
    """The file of this machine that has the model's studies, and those of models that there are no more."""
    files = sorted((settings.root / "studies").glob("*.db"))
    return [path for path in files if path.stem == model or path.stem not in registry.models()]


def leftovers(settings: Settings, model: str) -> Iterator[Path]:
    """Folders that a killed process left half written or half removed."""
    homes = (settings.root / "models" / model, spans_folder(settings, model), settings.root / "runs")
    for home in homes:
        for folder in home.glob(".*"):
            old = time.time() - folder.stat().st_mtime > LEFTOVER_SECONDS
            if folder.is_dir() and (folder.name.startswith(GONE) or old):
                yield folder
        yield from unfinished(home, LEFTOVER_SECONDS)


def keep_versions(plan: Plan, registry: Registry, model: str, retention: Retention) -> None:
    """What serves, what a rollback would go back to, and the newest."""
    state = registry.state(model)
    for alias, version in registry.aliases(model).items():
        plan.keep("version", version, f"alias {alias} names it")
        moves = [move.before for move in state.history if move.alias == alias and isinstance(move.before, int)]
        if moves:
            plan.keep("version", moves[-1], f"a rollback of {alias} goes back to it")
    if state.shadow is not None:
        plan.keep("version", state.shadow.version, "it is the shadow")
    plan.keep("version", registry.declaration(model).serving.start, "[serving] start names it")
    keep_newest(plan, "version", retention.versions, int)


def keep_runs(plan: Plan, records: dict[str, RunRecord], retention: Retention) -> None:
    """Runs at work, those that versions come from, the newest, and all whose work these took over."""
    for item in plan.of("version"):
        if item.reasons:
            for step, run in load_manifest(item.folder).runs.items():
                plan.keep("run", run, f"version {item.name} comes from its {step}")
    keep_newest(plan, "run", retention.runs, str)
    for name, record in records.items():
        if record.status == "running" and not record.is_lost():
            plan.keep("run", name, "it is at work")
    waiting = [item.name for item in plan.of("run") if item.reasons]
    while waiting:
        name = waiting.pop()
        for step, done in records[name].steps.items():
            for run in {done.run, *done.inputs.values()} - {name}:
                if plan.keep("run", run, f"run {name} took its {step} over, or read it"):
                    waiting.append(run)


def keep_spans(plan: Plan, settings: Settings, records: dict[str, RunRecord], retention: Retention) -> None:
    """Spans that kept versions learned from or kept runs read, and the newest."""
    for item in plan.of("version"):
        if item.reasons:
            for used in load_manifest(item.folder).spans:
                plan.keep("span", used.span, f"version {item.name} learned from it")
    for item in plan.of("run"):
        folder = output_of(settings, records[item.name], "ingest") if item.reasons else None
        for number in () if folder is None else spans_read(folder):
            plan.keep("span", number, f"run {item.name} read it")
    keep_newest(plan, "span", retention.spans, int)


def spans_read(folder: Path) -> set[int]:
    """The spans in play for a run; none where that cannot be read."""
    try:
        play = read_play(folder)
    except DataError:
        return set()
    return set(play.known)


def keep_newest(plan: Plan, kind: Kind, count: int, order: Callable[[str], int | str]) -> None:
    """The `count` newest of a kind; 0: all of them."""
    newest = sorted((item.name for item in plan.of(kind)), key=order, reverse=True)
    for name in newest[:count] if count else newest:
        plan.keep(kind, name, f"[retention] {kind}s = {count}" + ("" if count else ", all"))
