"""Publishing a candidate as the next version: whole or not at all, and no alias moves."""

from pathlib import Path

from stork.config import Settings
from stork.errors import BadRequest, NotFound, VersionBroken
from stork.store.audit import audit
from stork.store.files import locked, publish_folder
from stork.store.registry import Registry
from stork.store.version import verify


def push(settings: Settings, name: str, run: str | None = None) -> int:
    """
    Publish the candidate of a run (default: the model's newest) with its verdicts; the version it became.

    Raises:
        ModelNotFound, NotFound: no such model; no such run, or none that left a candidate of this model.
        VersionBroken: the candidate is not whole.
        RootNotWritable: there is nowhere to publish to.
    """
    return publish(settings, name, find_candidate(settings, name, run))


def find_candidate(settings: Settings, name: str, run: str | None) -> Path:
    """The candidate folder of a run, or of the newest run that left a whole one of this model."""
    Registry(settings).home(name)
    runs = settings.root / "runs"
    if run is not None:
        if not run.isalnum() or not (runs / run / "candidate").is_dir():
            raise NotFound(f"no run {run!r} left a candidate in {runs}")
        return runs / run / "candidate"
    for folder in sorted(runs.glob("*/candidate"), reverse=True):
        try:
            manifest, _ = verify(folder)
        except VersionBroken:
            continue  # a run that is not finished, or was cut short
        if manifest.model == name:
            return folder
    raise NotFound(f"no run of model {name!r} left a candidate in {runs}; `stork train {name}` makes one")


def publish(settings: Settings, name: str, folder: Path) -> int:
    """
    Publish a sealed folder as the next version of the model, above every one there is, shipped or below the root.

    Raises:
        VersionBroken: the folder is not whole.
        BadRequest: it is another model's.
        RootNotWritable: there is nowhere to publish to.
    """
    manifest, _ = verify(folder)
    if manifest.model != name:
        raise BadRequest(f"{folder}: expected a candidate of {name!r}, received one of {manifest.model!r}")
    home = settings.root / "models" / name
    with locked(home / ".push.lock"):
        # A folder without a manifest counts too: it may be a version that somebody is copying here.
        taken = [path for base in Registry(settings).homes for path in (base / name).glob("*") if path.name.isdecimal()]
        version = max((int(path.name) for path in taken), default=0) + 1
        publish_folder(folder, home / str(version))
    audit(settings, "version", model=name, before=None, after=version)
    return version
