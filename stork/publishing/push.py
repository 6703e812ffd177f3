"""Publishing a candidate as the next version: whole or not at all, and no alias moves."""

from pathlib import Path

from stork.config import Settings
from stork.errors import BadRequest, NotFound, VersionBroken
from stork.store.files import publish_folder
from stork.store.registry import Registry
from stork.store.version import verify

TRIES = 20


def push(settings: Settings, name: str, run: str | None = None) -> int:
    """
    Publish the candidate of a run (default: the model's newest) with its verdicts; the version it became.

    Raises:
        ModelNotFound, NotFound: no such model; no such run, or none that left a candidate.
        VersionBroken: the candidate is not whole.
        RootNotWritable: there is nowhere to publish to.
    """
    return publish(settings, name, find_candidate(settings, name, run))


def find_candidate(settings: Settings, name: str, run: str | None) -> Path:
    """The candidate folder of a run of this model."""
    Registry(settings).home(name)
    runs = settings.root / "runs"
    if run is not None and (not run.isalnum() or not (runs / run / "candidate").is_dir()):
        raise NotFound(f"no run {run!r} left a candidate below {runs}")
    found = [runs / run] if run is not None else sorted(runs.glob("*"), reverse=True)
    for folder in found:
        try:
            manifest, _ = verify(folder / "candidate")
        except VersionBroken:
            if run is not None:
                raise
            continue
        if manifest.model == name:
            return folder / "candidate"
    raise NotFound(f"no run of model {name!r} left a candidate below {runs}; `stork train {name}` makes one")


def publish(settings: Settings, name: str, folder: Path) -> int:
    """
    Publish a sealed folder as the next version of the model, above every one there is; another process that takes the
    number first is passed by.

    Raises:
        VersionBroken: the folder is not whole, or is another model's.
    """
    manifest, _ = verify(folder)
    if manifest.model != name:
        raise BadRequest(f"{folder} is a version of {manifest.model!r}, expected one of {name!r}")
    home = settings.root / "models" / name
    for _ in range(TRIES):
        taken = [
            int(p.name) for base in Registry(settings).homes for p in (base / name).glob("*") if p.name.isdecimal()
        ]
        version = max(taken, default=0) + 1
        try:
            publish_folder(folder, home / str(version))
        except FileExistsError:
            continue
        return version
    raise VersionBroken(f"{home}: {TRIES} versions in a row were taken by others; try again")
