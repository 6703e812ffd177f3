"""The report of a switch: how requests fared before, during and after it, what it cost, what it changed."""

import contextlib
import math
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from stork.config import Settings
from stork.errors import RootNotWritable
from stork.evaluation.infra import Checked
from stork.store.files import remove_file, write_atomically
from stork.store.prediction_log import read_since

WINDOW = timedelta(seconds=60)
KEPT = 100


class Phase(msgspec.Struct, frozen=True):
    """The requests of a while: how many, how many of them errors, latency of the others in milliseconds."""

    requests: int
    errors: int
    p50_ms: float
    p99_ms: float

    def __str__(self) -> str:
        if not self.requests:
            return "no requests"
        return f"{self.requests} requests, {self.errors} errors, p50 {self.p50_ms:g} ms, p99 {self.p99_ms:g} ms"


class SwapReport(msgspec.Struct):
    """
    One switch. `began`: the check; `followed_at`: every server process served the new version, or was given up.

    `memory_mb` is that of all server processes, before and after. Phases are None where the log is not kept in files;
    `after` ends a minute after the switch, and is completed by who looks then.
    """

    model: str
    alias: str
    before: int | None
    version: int
    generation: int
    by: str
    began: datetime
    followed_at: datetime
    checked: Checked
    memory_mb: tuple[float, float]
    phase_before: Phase | None = None
    phase_during: Phase | None = None
    phase_after: Phase | None = None
    complete: bool = False

    def lines(self) -> list[str]:
        """What a person reads."""
        during = f"{(self.followed_at - self.began).total_seconds():.1f} s, check {self.checked.seconds:.1f} s"
        found = [
            f"before: {self.phase_before or 'not logged'}",
            f"during: {self.phase_during or 'not logged'} ({during})",
            f"after:  {self.phase_after or 'not logged'}{'' if self.complete else ' (so far)'}",
            f"memory of the servers: {self.memory_mb[0]:g} MB before, {self.memory_mb[1]:g} MB after",
        ]
        rehearsal = self.checked.rehearsal
        if rehearsal.skipped:
            return [*found, f"no row of the log was asked: {rehearsal.skipped}"]
        found.append(
            f"{rehearsal.rows} rows of the log, {rehearsal.refused} refused, p99 {rehearsal.p99_ms:g} ms alone"
        )
        found += [
            f"{output}: differs from version {rehearsal.against} by {far.mean:g} on average, at most {far.max:g}"
            for output, far in rehearsal.differences.items()
        ]
        return found

    def public(self) -> dict[str, Any]:
        """All of it but the rows, which are somebody's."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        for far in plain["checked"]["rehearsal"]["differences"].values():
            del far["row"]
        return plain


def write_report(settings: Settings, report: SwapReport) -> None:
    """Fill in the phases as far as they are known, and keep the report; where nothing can be kept it is only shown."""
    fill_phases(settings, report)
    with contextlib.suppress(RootNotWritable):
        folder = reports_folder(settings, report.model)
        write_atomically(folder / f"{report.generation}.json", msgspec.json.format(msgspec.json.encode(report)))
        for old in sorted(folder.glob("*.json"), key=generation_of)[:-KEPT]:
            remove_file(old)


def last_report(settings: Settings, name: str) -> SwapReport | None:
    """The report of the last switch, its `after` as far as time has come."""
    paths = sorted(reports_folder(settings, name).glob("*.json"), key=generation_of)
    if not paths:
        return None
    try:
        report = msgspec.json.decode(paths[-1].read_bytes(), type=SwapReport)
    except (OSError, msgspec.MsgspecError):
        return None
    if not report.complete:
        write_report(settings, report)
    return report


def fill_phases(settings: Settings, report: SwapReport) -> None:
    """What the log says of the minute before, of the switch, and of the minute after."""
    now = datetime.now(UTC)
    report.complete = now >= report.followed_at + WINDOW
    if settings.log in ("stdout", "off"):
        return
    spans = {
        "phase_before": (report.began - WINDOW, report.began),
        "phase_during": (report.began, report.followed_at),
        "phase_after": (report.followed_at, report.followed_at + WINDOW),
    }
    records = [
        (record["time"], record["status"], record["latency"].get("total", 0.0))
        for record in read_since(Path(settings.log) / report.model, report.began - WINDOW)
    ]
    for name, (start, end) in spans.items():
        first, last = start.isoformat(), end.isoformat()
        setattr(report, name, summarise([(s, took) for moment, s, took in records if first <= as_utc(moment) < last]))


def as_utc(moment: str) -> str:
    """A record's time in the form that isoformat() gives, which sorts as time does."""
    return moment.replace("Z", "+00:00")


def summarise(found: list[tuple[int, float]]) -> Phase:
    """Statuses and latencies of a while; errors are what the service is to blame for, 5xx."""
    took = sorted(latency for status, latency in found if status == 200)
    errors = sum(status >= 500 for status, _ in found)
    if not took:
        return Phase(len(found), errors, 0.0, 0.0)
    return Phase(len(found), errors, took[len(took) // 2], took[math.ceil(0.99 * len(took)) - 1])


def memory_of(processes: list[int]) -> float:
    """Memory of these processes and their children in MB, what they share divided; 0 where the system does not tell."""
    kilobytes = 0
    for pid in with_children(processes):
        with contextlib.suppress(OSError):
            found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
            kilobytes += int(found[1]) if found else 0
    return round(kilobytes / 1000, 1)


def with_children(processes: list[int]) -> list[int]:
    """These processes, those they started, and so on."""
    found: list[int] = []
    for pid in processes:
        children: list[int] = []
        for thread in Path(f"/proc/{pid}/task").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                children += map(int, (thread / "children").read_text().split())
        found += [pid, *with_children(children)]
    return found


def reports_folder(settings: Settings, name: str) -> Path:
    return settings.root / "serving" / f"{name}.swaps"


def generation_of(path: Path) -> int:
    return int(path.stem) if path.stem.isdecimal() else -1
