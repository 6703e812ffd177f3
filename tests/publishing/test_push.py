"""Pushing: the next number, whole or not at all, whoever else pushes at the same time."""

import multiprocessing
from pathlib import Path

import msgspec
import pytest

from stork.config import PROJECT, Settings
from stork.errors import BadRequest, VersionBroken
from stork.publishing.push import publish
from stork.schema.frozen import Schema
from stork.store.version import Twin, verify, write_manifest, write_verdict

NAME = "babyweight"


def leave_candidate(settings: Settings, schema: Schema, run: str) -> Path:
    """A sealed candidate with a verdict, as a run leaves it; what is in it does not matter here."""
    folder = settings.root / "runs" / run / "candidate"
    folder.mkdir(parents=True)
    (folder / "schema.json").write_bytes(schema.to_json())
    (folder / "saved_model.pb").write_text(run)
    write_manifest(folder, schema, Twin(proved=False, reason="nothing to prove"))
    write_verdict(folder, "BLESSED", {"reasons": ["good"]})
    return folder


def push_from(root: Path, pushes: int, into: "multiprocessing.Queue[int]") -> None:
    """What each of several processes does."""
    for _ in range(pushes):
        into.put(publish(Settings(root=root, log="off"), NAME, root / "runs" / "7" / "candidate"))


def test_the_number_is_above_every_version(settings: Settings, schema: Schema) -> None:
    """Numbers shipped, numbers below the root, and folders that are no whole version are all passed by."""
    folder = leave_candidate(settings, schema, "1")
    shipped = max(int(path.name) for path in (PROJECT / "model" / NAME).glob("[0-9]*"))
    (settings.root / "models" / NAME / "41").mkdir(parents=True)
    assert shipped < 41
    assert publish(settings, NAME, folder) == 42


def test_a_damaged_candidate_is_not_published(settings: Settings, schema: Schema) -> None:
    """A file that is not what the manifest says stops the push, and no version appears."""
    folder = leave_candidate(settings, schema, "7")
    (folder / "saved_model.pb").write_text("changed")
    with pytest.raises(VersionBroken, match=r"saved_model\.pb"):
        publish(settings, NAME, folder)
    assert not (settings.root / "models").exists()


def test_another_models_candidate_is_not_published(settings: Settings, schema: Schema) -> None:
    """A run of one model cannot become a version of another."""
    folder = leave_candidate(settings, msgspec.structs.replace(schema, model="other"), "7")
    with pytest.raises(BadRequest, match="other"):
        publish(settings, NAME, folder)


def test_concurrent_pushes_get_different_versions(settings: Settings, schema: Schema) -> None:
    """Four processes that push at once publish eight whole versions with eight numbers."""
    leave_candidate(settings, schema, "7")
    context = multiprocessing.get_context("spawn")
    pushed: multiprocessing.Queue[int] = context.Queue()
    workers = [context.Process(target=push_from, args=(settings.root, 2, pushed)) for _ in range(4)]
    for worker in workers:
        worker.start()
    numbers = {pushed.get(timeout=60) for _ in range(8)}
    for worker in workers:
        worker.join(60)
    assert len(numbers) == 8
    assert all(verify(settings.root / "models" / NAME / str(number)) for number in numbers)
