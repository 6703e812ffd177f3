"""Writes are seen whole or not at all."""

import os
from pathlib import Path

import pytest

from stork.errors import RootNotWritable
from stork.store.files import publish_folder, write_atomically

needs_permissions = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")


def test_a_written_file_replaces_the_old_one_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    """After a write there is one file, with the new content, that other users can read."""
    target = tmp_path / "folder" / "state.json"
    write_atomically(target, b"old")
    write_atomically(target, b"new")

    assert [path.name for path in target.parent.iterdir()] == ["state.json"]
    assert (target.read_bytes(), target.stat().st_mode & 0o777) == (b"new", 0o644)


def test_publishing_never_replaces_what_is_there(tmp_path: Path) -> None:
    """A version is written once: publishing over it fails, and leaves it and nothing else."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "content").write_text(name)
    publish_folder(tmp_path / "first", tmp_path / "out" / "1")

    with pytest.raises(FileExistsError):
        publish_folder(tmp_path / "second", tmp_path / "out" / "1")
    assert (tmp_path / "out" / "1" / "content").read_text() == "first"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["1"]


def test_a_folder_that_cannot_be_made_names_the_setting(tmp_path: Path) -> None:
    """Whoever cannot write learns which setting gives changes a home."""
    (tmp_path / "file").write_text("")

    with pytest.raises(RootNotWritable, match="STORK_ROOT"):
        write_atomically(tmp_path / "file" / "state.json", b"")
