"""Moving an alias: proved in a fresh process first, then written, then followed by every server process."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from stork.config import Settings
from stork.errors import Conflict
from stork.evaluation.infra import check_version
from stork.evaluation.runtime import Runtime, runtime_here
from stork.publishing.swap_report import SwapReport, memory_of, write_report
from stork.store.audit import audit_refusal
from stork.store.registry import STABLE, Registry
from stork.store.version import read_verdict


@dataclass(frozen=True)
class Switch:
    """
    A move of an alias that took place. `followed` of `servers` live server processes serve it already.

    `warnings` are what speaks against the version, though it serves.
    """

    model: str
    alias: str
    version: int
    before: int | None
    generation: int
    followed: int
    servers: int
    report: SwapReport
    warnings: tuple[str, ...] = ()

    def public(self) -> dict[str, Any]:
        """What a program is told: the report without anybody's rows."""
        return {**vars(self), "report": self.report.public()}


def switch_alias(
    settings: Settings, name: str, version: int, alias: str = STABLE, by: str = "cli", generation: int | None = None
) -> Switch:
    """
    Make `alias` name `version`, after the version has shown in a fresh process that it loads and answers.

    Raises:
        ModelNotFound, VersionNotFound: there is no such model or version.
        VersionBroken: the version failed its checks; nothing was changed.
        GenerationConflict: the state is not of the given generation.
        RootNotWritable: this deployment cannot keep the change.
    """
    registry = Registry(settings)
    before = registry.aliases(name).get(alias)
    began, memory = datetime.now(UTC), memory_of(registry.server_processes(name))
    with audit_refusal(settings, "alias", model=name, alias=alias, before=before, after=version):
        checked = check_version(settings, name, version)
        state = registry.move_alias(name, alias, version, by, generation)
    followed, servers = registry.wait_for_followers(name, state.generation)
    report = SwapReport(
        model=name,
        alias=alias,
        before=before,
        version=version,
        generation=state.generation,
        by=by,
        began=began,
        followed_at=datetime.now(UTC),
        checked=checked,
        memory_mb=(memory, memory_of(registry.server_processes(name))),
    )
    write_report(settings, report)
    warnings = find_warnings(settings, registry.version_folder(name, version))
    return Switch(name, alias, version, before, state.generation, followed, servers, report, warnings)


def find_warnings(settings: Settings, folder: Path) -> tuple[str, ...]:
    """What the verdicts beside a version say against it: its quality, or that its exam was under another runtime."""
    verdict, facts = read_verdict(folder, "BLESSED")
    found = [f"examined under another runtime: {way}" for way in runtime_differences(settings, folder)]
    if verdict == "NOT_BLESSED":
        waived = f" (waived: {facts['waived']})" if facts.get("waived") else ""
        found.insert(0, f"{verdict}{waived}: {'; '.join(facts.get('reasons', []))}")
    return tuple(found)


def runtime_differences(settings: Settings, folder: Path) -> list[str]:
    """How this runtime is another than that of the exam, which the verdict in the folder holds for; [] without one."""
    examined = read_verdict(folder, "INFRA_BLESSED")[1].get("exam")
    if examined is None:
        return []
    runtime = msgspec.convert(examined["runtime"], Runtime)
    return runtime.differences(runtime_here(settings, runtime.backend))


def roll_back(settings: Settings, name: str, alias: str = STABLE, by: str = "cli") -> Switch:
    """
    Make `alias` name what it named before its last move.

    Raises:
        Conflict: the alias was never moved.
    """
    moves = [move.before for move in Registry(settings).state(name).history if move.alias == alias]
    if not moves or not isinstance(moves[-1], int):
        raise Conflict(f"alias {alias!r} of model {name!r} was never moved from another version: nothing to go back to")
    return switch_alias(settings, name, moves[-1], alias, by)
