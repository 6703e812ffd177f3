"""What is asked of a bucket, and what is done when it does not answer as hoped."""

import time
from pathlib import Path

import pytest
from storage_server import BUCKET, StorageServer

from stork.errors import ObjectChanged, RootNotWritable, RootUnreachable
from stork.remote.bucket import Bucket


@pytest.fixture
def bucket(server: StorageServer) -> Bucket:
    return Bucket(f"gs://{BUCKET}/some/prefix/", server.url)


def test_what_is_written_is_read(bucket: Bucket, server: StorageServer, tmp_path: Path) -> None:
    """Byte for byte, under any name, below the prefix of the root."""
    (tmp_path / "sent").write_bytes(bytes(range(256)) * 5000)
    bucket.write("a folder/ünd #?%.bin", tmp_path / "sent")
    ((name, blob),) = bucket.list("a folder/").items()

    assert bucket.read(name, blob, tmp_path / "back") and blob.size == 1_280_000
    assert (tmp_path / "back").read_bytes() == (tmp_path / "sent").read_bytes()
    assert server.names() == ["some/prefix/a folder/ünd #?%.bin"]


def test_a_generation_is_replaced_once(bucket: Bucket) -> None:
    """Of two who looked at the same one, the second is refused; so it is where there was none."""
    first = bucket.write("state", b"1", over=0)
    with pytest.raises(ObjectChanged):
        bucket.write("state", b"2", over=0)
    second = bucket.write("state", b"3", over=first)
    with pytest.raises(ObjectChanged):
        bucket.write("state", b"4", over=first)
    found = bucket.stat("state")

    assert found is not None and found.generation == second


def test_what_changed_since_it_was_listed_is_not_read(bucket: Bucket, tmp_path: Path) -> None:
    """Nobody gets the bytes of one generation for another."""
    bucket.write("state", b"old")
    blob = bucket.list("")["state"]
    bucket.write("state", b"new")

    assert not bucket.read("state", blob, tmp_path / "back")


def test_damaged_bytes_are_not_taken(bucket: Bucket, tmp_path: Path) -> None:
    """What arrives is held to the checksum that was listed."""
    bucket.write("state", b"whole")
    blob = bucket.list("")["state"]

    assert bucket.read("state", blob, tmp_path / "back")
    assert not bucket.read("state", blob._replace(md5="AAAA"), tmp_path / "back")


def test_a_name_cannot_lead_out_of_a_folder(bucket: Bucket, server: StorageServer) -> None:
    """Whoever may write the bucket cannot write elsewhere on who reads it."""
    facts = {"generation": "1", "size": "0", "updated": "2026-01-01T00:00:00Z"}
    for number, name in enumerate(("serving/../../x", "serving/./x", "serving//x", "serving/x")):
        # The emulator keeps no such object, but lists one by the name that is among its facts.
        listed = {**facts, "name": f"some/prefix/{name}"}
        server.storage.create_file(BUCKET, f"some/prefix/serving/{number}", b"", listed)

    assert list(bucket.list("serving/")) == ["serving/x"]


def test_a_bucket_that_hiccups_is_asked_again(bucket: Bucket, server: StorageServer) -> None:
    """A 503 now and then is usual; one that stays is said, with the bucket."""
    bucket.write("state", b"1")
    server.refusing, server.times = 503, 2
    assert list(bucket.list("")) == ["state"]
    server.refusing, server.times = 503, 99
    with pytest.raises(RootUnreachable, match=r"gs://stork-test/some/prefix/: GET was answered 503"):
        bucket.list("")


def test_a_write_with_a_condition_is_tried_once(bucket: Bucket, server: StorageServer) -> None:
    """The second try could not tell its own first one from somebody else's write."""
    server.refusing, server.times = 503, 1
    with pytest.raises(RootUnreachable):
        bucket.write("state", b"1", over=0)

    assert bucket.stat("state") is None


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_bucket_that_refuses_is_not_writable(bucket: Bucket, server: StorageServer, status: int) -> None:
    """It is the deployment's settings that are wrong, and the message names one."""
    server.refusing, server.times = status, 99
    with pytest.raises(RootNotWritable, match="STORK_ROOT names the bucket"):
        bucket.write("state", b"1")


def test_nobody_there_is_an_error_that_says_so() -> None:
    """Not a traceback of the client, and not a wait without end."""
    began = time.monotonic()
    with pytest.raises(RootUnreachable, match="gs://stork-test gives no answer"):
        Bucket("gs://stork-test", "http://127.0.0.1:9").list("")

    assert time.monotonic() - began < 10
