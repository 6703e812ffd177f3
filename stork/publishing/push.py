"""Publishing a candidate as the next version: whole or not at all, and no alias moves."""

import contextlib
from pathlib import Path

from stork.config import Settings
from stork.errors import BadRequest
from stork.store.audit import audit
from stork.store.files import locked, publish_folder
from stork.store.registry import Registry
from stork.store.version import verify


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
        while True:
            with contextlib.suppress(FileExistsError):  # another machine is making a version of this number
                publish_folder(folder, home / str(version))
                break
            version += 1
    audit(settings, "version", model=name, before=None, after=version)
    return version
