"""Whether a version can serve at all: loaded and asked in a fresh process, so that a crash there hurts nobody here."""

import contextlib
import time

from stork.config import Settings
from stork.errors import RootNotWritable, VersionBroken
from stork.evaluation.limited import end_process, run_limited
from stork.store.registry import Registry
from stork.store.version import write_verdict

SECONDS = 60.0


def check_version(settings: Settings, name: str, version: int, seconds: float = SECONDS) -> float:
    """
    Load the version in a fresh process as a server would, golden requests and all; seconds it took.

    The verdict INFRA_BLESSED or INFRA_NOT_BLESSED is left beside a version below the root; what is shipped with the
    code is never written to.

    Raises:
        VersionNotFound: there is no such version.
        VersionBroken: it failed, crashed or hung; the message says how.
    """
    folder = Registry(settings).version_folder(name, version)
    began = time.monotonic()
    reason = run_check(settings, name, version, seconds)
    took = round(time.monotonic() - began, 3)
    verdict = "INFRA_NOT_BLESSED" if reason else "INFRA_BLESSED"
    if folder.is_relative_to(settings.root):
        with contextlib.suppress(RootNotWritable):
            write_verdict(
                folder, verdict, {"reasons": [reason or "loads and answers its golden requests"], "seconds": took}
            )
    if reason:
        raise VersionBroken(reason)
    return took


def run_check(settings: Settings, name: str, version: int, seconds: float) -> str:
    """Why the version cannot serve; empty when it can."""
    reason = run_limited("stork.evaluation.infra", [name, str(version)], seconds, settings.environment())
    return f"{name} version {version} cannot serve: {reason}" if reason else ""


def load_alone(arguments: list[str]) -> None:
    """The fresh process: load the version of the model, arguments[1] and [0], and ask it its golden requests."""
    from stork.serving.loader import load_version

    name, version = arguments
    registry = Registry(Settings.from_environment())
    load_version(registry, name, int(version), registry.declaration(name))


if __name__ == "__main__":
    end_process(load_alone)
