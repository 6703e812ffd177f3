"""Runs: what each step of a pipeline is given, and the folder in which a run tells what happened."""

import contextlib
import importlib.metadata
import os
import platform
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from stork.config import Settings
from stork.errors import DataError, NotFound
from stork.remote.mirror import bring
from stork.store.audit import who
from stork.store.files import share_file, write_atomically, writing

PACKAGES = (
    "tensorflow-cpu",
    "tensorflow",
    "keras",
    "numpy",
    "ai-edge-litert",
    "duckdb",
    "pyarrow",
    "optuna",
    "scikit-learn",
    "datasketches",
    "msgspec",
)
LOG = "log.txt"
Status = Literal["running", "succeeded", "skipped", "failed"]


class Expected(NamedTuple):
    """How many seconds a step is expected to take, 0: nobody knows; `by` what: what it took last time, or a guess."""

    seconds: float = 0.0
    by: str = "a guess"


UNKNOWN = Expected()


@dataclass(frozen=True)
class Step:
    """
    What a step's function is given.

    `folder` is where it leaves its files: seen by others only once the step is done; empty, unless an earlier try of
    the same work in the same run was lost, whose files are then still there. `inputs` are the folders of the steps
    before it, by their names; `parameters` what the command line says (JSON values); `say` takes a line for the log,
    `progress` how much is done of how much.
    """

    settings: Settings
    model: str
    run: str
    folder: Path
    inputs: Mapping[str, Path]
    parameters: Mapping[str, Any]
    say: Callable[[str], None]
    progress: Callable[[int, int], None]

    def begin_anew(self) -> None:
        """Remove what an earlier try left in `folder`, for a step that has no use for it."""
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    @property
    def behind(self) -> dict[str, str]:
        """The run of each step that led here."""
        return runs_behind(self.settings, {name: folder.parent.name for name, folder in self.inputs.items()})


class StepRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """
    What a run says of one step.

    `fingerprint` is of all that it depends on; `run` the run that did the work, another one where it was skipped;
    `inputs` the runs whose outputs it read, by step; `reason` why it failed; `summary` what its function returned.
    """

    status: Status
    began: datetime
    fingerprint: str
    run: str
    inputs: dict[str, str] = {}
    seconds: float = 0.0
    summary: dict[str, Any] = {}
    reason: str = ""


class JobRecord(msgspec.Struct, kw_only=True):
    """
    Where a run was handed to, and a hash of the code and the declaration that it must be carried out with there.

    The job's own name is not here: from when there is one, the record is the job's to write.
    """

    place: str
    source: str


class RunRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """
    run.json: what went in, and what came of it.

    `pid` is of the process that carries it out on `machine`, and lives as long as the run does; `by` who asked for it.
    Of a run that a `job` carries out they are of the process that asked for it, until the job begins.
    """

    id: str
    model: str
    created: datetime
    status: Status
    pid: int
    machine: str = ""
    wanted: tuple[str, ...]
    by: str = ""
    parameters: dict[str, Any] = {}
    packages: dict[str, str] = {}
    steps: dict[str, StepRecord] = {}
    ended: datetime | None = None
    reason: str = ""
    job: JobRecord | None = None

    def is_lost(self) -> bool:
        """Whether it says it is running, but nobody runs it any more; elsewhere nobody here can say."""
        if self.status != "running" or self.job is not None or self.machine not in ("", platform.node()):
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False


class Run:
    """The folder of a run below the root; every change of its record is on disk before the next one."""

    def __init__(self, folder: Path, record: RunRecord) -> None:
        self.folder = folder
        self.record = record

    @classmethod
    def draft(cls, settings: Settings, model: str, wanted: tuple[str, ...], parameters: dict[str, Any]) -> "Run":
        """A run that nobody sees yet; its name sorts by time."""
        now = datetime.now(UTC)
        name = now.strftime("%Y%m%dT%H%M%S%f")
        record = RunRecord(
            id=name,
            model=model,
            created=now,
            status="running",
            pid=os.getpid(),
            machine=platform.node(),
            wanted=wanted,
            by=who().name,
            parameters=parameters,
        )
        return cls(settings.root / "runs" / name, record)

    @classmethod
    def start(cls, settings: Settings, model: str, wanted: tuple[str, ...], parameters: dict[str, Any]) -> "Run":
        """
        A new run.

        Raises:
            RootNotWritable: there is nowhere to leave it.
        """
        run = cls.draft(settings, model, wanted, parameters)
        with writing(run.folder):
            run.folder.mkdir(parents=True)
        run.save()
        return run

    @classmethod
    def load(cls, folder: Path) -> "Run":
        """
        Raises:
            DataError: there is no run.json, or it cannot be read.
        """
        try:
            return cls(folder, msgspec.json.decode((folder / "run.json").read_bytes(), type=RunRecord))
        except (OSError, msgspec.MsgspecError) as error:
            raise DataError(f"{folder / 'run.json'}: {error}") from error

    def save(self) -> None:
        """Write run.json; in a bucket, the log too."""
        content = msgspec.json.format(msgspec.json.encode(self.record), indent=2) + b"\n"
        write_atomically(self.folder / "run.json", content)
        if (self.folder / LOG).is_file():
            share_file(self.folder / LOG)

    def log(self, line: str) -> None:
        """Add a line to log.txt, with the time."""
        with (self.folder / LOG).open("a", encoding="utf-8") as stream:
            stream.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ} {line}\n")

    def end(self, status: Status, reason: str = "") -> None:
        """Say how it ended."""
        self.record.status, self.record.reason, self.record.ended = status, reason, datetime.now(UTC)
        self.save()


def find_run(settings: Settings, name: str) -> Run:
    """
    Raises:
        NotFound: there is no run of this name.
        DataError: its record cannot be read.
    """
    folder = settings.root / "runs" / name
    if not name.isalnum() or not folder.is_dir():
        raise NotFound(f"no run {name!r} in {settings.root / 'runs'}")
    return Run.load(folder)


def runs_of(settings: Settings, model: str | None = None) -> Iterator[Run]:
    """The runs of a model, or of all, newest first; a folder without a readable record is none."""
    for path in sorted((settings.root / "runs").glob("*/run.json"), reverse=True):
        try:
            run = Run.load(path.parent)
        except DataError:
            continue
        if model in (None, run.record.model):
            yield run


def output_of(settings: Settings, record: RunRecord, step: str) -> Path | None:
    """The folder that a run's step left, its own or that of the run it was taken from; None where it has none."""
    found = record.steps.get(step)
    if found is None or found.status not in ("succeeded", "skipped"):
        return None
    folder = bring(settings.root / "runs" / found.run / step)
    return folder if folder.is_dir() else None


def outputs_of(settings: Settings, model: str, step: str) -> Iterator[Path]:
    """What each run of the model that finished this step left, newest first."""
    found = (output_of(settings, run.record, step) for run in runs_of(settings, model))
    return (folder for folder in found if folder is not None)


def runs_behind(settings: Settings, inputs: Mapping[str, str]) -> dict[str, str]:
    """The run of each step that led to `inputs` (runs by step), what those read included, as far as it is on record."""
    found: dict[str, str] = {}
    for step, run in inputs.items():
        with contextlib.suppress(NotFound, DataError, KeyError):
            found = runs_behind(settings, find_run(settings, run).record.steps[step].inputs) | found
        found[step] = run
    return found


def newest_output(settings: Settings, model: str, step: str) -> Path | None:
    """What the newest run of the model that finished this step left."""
    return next(outputs_of(settings, model, step), None)


def package_versions() -> dict[str, str]:
    """Python and the packages that steps compute with, those that are installed."""
    return {"python": platform.python_version()} | installed(PACKAGES)


def installed(packages: Iterable[str]) -> dict[str, str]:
    """The versions of these packages, those that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
