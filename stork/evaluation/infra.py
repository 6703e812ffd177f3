"""Whether a version can serve at all: loaded and asked in a fresh process, so that a crash there hurts nobody here."""

import contextlib
import tempfile
import time
from pathlib import Path

import msgspec

from stork.config import Settings
from stork.errors import RootNotWritable, StorkError, VersionBroken
from stork.evaluation.limited import end_process, run_limited
from stork.evaluation.rehearsal import Rehearsal, rehearse
from stork.serving.loader import LoadedVersion, load_version
from stork.store.registry import STABLE, Registry
from stork.store.version import read_verdict, write_verdict

SECONDS = 60.0


class Checked(msgspec.Struct):
    """A version that can serve: the seconds it took to find out, and what it answered to rows of the log."""

    seconds: float
    rehearsal: Rehearsal


def check_version(settings: Settings, name: str, version: int, seconds: float = SECONDS) -> Checked:
    """
    Load the version in a fresh process as a server would, and ask it its golden requests and rows of the log.

    The verdict INFRA_BLESSED or INFRA_NOT_BLESSED is left beside a version below the root; what is shipped with the
    code is never written to. What its exam found stays in the verdict, and is not overruled: a version that failed it
    is not even loaded. One that never took it, shipped or imported, is checked here only.

    Raises:
        VersionNotFound: there is no such version.
        VersionBroken: it failed, crashed, hung, or exceeds its budgets; the message says how.
    """
    folder = Registry(settings).version_folder(name, version)
    exam = read_verdict(folder, "INFRA_BLESSED")[1].get("exam")
    if exam and not exam["passed"]:
        raise VersionBroken(f"{name} version {version} failed its exam: {'; '.join(exam['reasons'])}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        said = Path(scratch) / "rehearsal.json"
        arguments = [name, str(version), str(said)]
        reason = run_limited("stork.evaluation.infra", arguments, seconds, settings.environment())
        rehearsal = Rehearsal() if reason else msgspec.json.decode(said.read_bytes(), type=Rehearsal)
    reason = reason and f"{name} version {version} cannot serve: {reason}"
    checked = Checked(round(time.monotonic() - began, 3), rehearsal)
    verdict = "INFRA_NOT_BLESSED" if reason else "INFRA_BLESSED"
    if folder.is_relative_to(settings.root):
        passed = exam["reasons"] if exam else ["loads and answers"]
        facts = {"reasons": [reason] if reason else passed, **msgspec.to_builtins(checked)}
        facts |= {"exam": exam} if exam else {}
        with contextlib.suppress(RootNotWritable):
            write_verdict(folder, verdict, facts)
    if reason:
        raise VersionBroken(reason)
    return checked


def check_alone(arguments: list[str]) -> None:
    """The fresh process: load the version (arguments: model, version), rehearse it, write what was found (a path)."""
    name, version, said = arguments
    settings = Settings.from_environment()
    registry = Registry(settings)
    declaration = registry.declaration(name)
    candidate = load_version(registry, name, int(version), declaration)
    found = rehearse(candidate, declaration, settings.log, lambda: load_current(registry, candidate))
    Path(said).write_bytes(msgspec.json.encode(found))


def load_current(registry: Registry, candidate: LoadedVersion) -> LoadedVersion | None:
    """The version in service, to compare with; None where it is the candidate itself, or does not load any more."""
    name = candidate.model
    current = registry.aliases(name).get(STABLE)
    if current in (None, candidate.version):
        return None
    try:
        return load_version(registry, name, current, registry.declaration(name))
    except StorkError:
        return None


if __name__ == "__main__":
    end_process(check_alone)
