"""Whether a version can serve at all: loaded and asked in a fresh process, so that a crash there hurts nobody here."""

import contextlib
import os
import subprocess
import sys
import time

import msgspec

from stork.config import PROJECT, Settings
from stork.errors import RootNotWritable, StorkError, VersionBroken
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
    command = [sys.executable, "-m", "stork.evaluation.infra", name, str(version)]
    environment = {**os.environ, **settings.environment()}
    what = f"{name} version {version}"
    try:
        done = subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, timeout=seconds, text=True, check=False
        )
    except subprocess.TimeoutExpired:
        return f"{what} did not load and answer within {seconds:g} s"
    if done.returncode == 0:
        return ""
    if done.returncode < 0:
        return f"{what} crashed the process that loaded it (signal {-done.returncode})"
    return done.stdout.strip() or f"{what} cannot be loaded: {done.stderr.strip()[-500:]}"


def main() -> int:
    """The fresh process: says on stdout why the version cannot serve."""
    from stork.serving.loader import load_version

    name, version = sys.argv[1], int(sys.argv[2])
    try:
        registry = Registry(Settings.from_environment())
        load_version(registry, name, version, registry.declaration(name))
    except (StorkError, msgspec.MsgspecError) as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.stdout.flush()
    # A model's threads must not delay the verdict.
    code = main()
    sys.stdout.flush()
    os._exit(code)
