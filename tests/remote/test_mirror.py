"""Machines that share a root in a bucket: what one makes the others see, whole or not at all."""

import dataclasses
import stat
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from deployments import SHIPPED
from parcels import parcels
from storage_server import BUCKET, StorageServer

from stork.access.key_store import KeyStore
from stork.access.keys import load_admin_key
from stork.cli import cli
from stork.config import Settings
from stork.data.ingest import publish_span
from stork.data.spans import SpanManifest, find_spans, list_spans, spans_folder
from stork.errors import GenerationConflict, RootUnreachable, SettingError, VersionNotFound
from stork.orchestration.clean_up import clean_up
from stork.orchestration.runner import alone
from stork.publishing.push import publish
from stork.remote.mirror import Mirror, attach
from stork.store.registry import Registry
from stork.store.runs import Run
from stork.store.version import FileFacts, verify, write_verdict

NAME = "babyweight"


@pytest.fixture
def here(server: StorageServer, tmp_path: Path) -> Settings:
    return server.machine(tmp_path / "here")


@pytest.fixture
def there(server: StorageServer, tmp_path: Path) -> Settings:
    return server.machine(tmp_path / "there")


def mirror(settings: Settings) -> Mirror:
    found = attach(settings)
    assert found is not None
    return found


def push(settings: Settings) -> int:
    """The shipped version as the next one."""
    attach(settings)
    return publish(settings, NAME, SHIPPED / "1")


def test_the_settings_of_a_bucket_are_handed_on(here: Settings, tmp_path: Path) -> None:
    """A process that is started from this one has the same root; a staging root of its own is in no bucket."""
    assert Settings.from_environment(here.environment()) == here
    assert here.root == here.mirror / BUCKET / "team"
    assert dataclasses.replace(here, root=tmp_path).bucket == ""
    assert dataclasses.replace(here, threads=3).bucket == here.bucket
    assert here.place(here.root / "runs" / "7") == "gs://stork-test/team/runs/7"


@pytest.mark.parametrize("root", ["gs://", "gs:///x", "gs://b", "gs://Bucket/x", "gs://bucket/../x", "s3://bucket/x"])
def test_a_root_that_is_none_is_refused(root: str) -> None:
    """Before anything is made of it, with what was expected."""
    with pytest.raises(SettingError, match="STORK_ROOT: expected a local folder or gs://bucket/prefix"):
        Settings.from_environment({"STORK_ROOT": root})


def test_a_version_is_brought_when_somebody_needs_it(here: Settings, there: Settings) -> None:
    """Elsewhere it is listed by its manifest alone, and then is there whole, as the manifest says."""
    version = push(here)
    mirror(there).sync()
    listed = Registry(there).versions(NAME)[version]
    assert {path.name for path in listed.iterdir()} == {"manifest.json", "BLESSED", "INFRA_BLESSED"}
    folder = Registry(there).version_folder(NAME, version)

    assert folder == listed and verify(folder)[0].model == NAME


def test_a_number_is_claimed_first_and_a_manifest_written_last(here: Settings, server: StorageServer) -> None:
    """Whoever sees a manifest sees a whole version, and nobody else writes into it meanwhile."""
    push(here)

    assert server.written[0] == f"team/models/{NAME}/2/.claim"
    assert server.written[-1] == f"team/models/{NAME}/2/manifest.json" and len(server.written) > 4


def test_what_was_brought_needs_no_bucket(here: Settings, there: Settings, server: StorageServer) -> None:
    """A bucket that does not answer keeps nothing from serving that is here."""
    version = push(here)
    mirror(there).sync()
    Registry(there).version_folder(NAME, version)
    server.times = 10_000

    assert verify(Registry(there).version_folder(NAME, version))
    with pytest.raises(RootUnreachable):
        mirror(there).sync()


def test_a_version_without_its_manifest_is_none(here: Settings, there: Settings, server: StorageServer) -> None:
    """A push that fails half way leaves nothing to see, on no machine; the next one is whole under another number."""
    server.refused, server.times = "manifest.json", 1_000
    with pytest.raises(RootUnreachable):
        push(here)
    server.times = 0
    mirror(there).sync()
    assert list(Registry(there).versions(NAME)) == list(Registry(here).versions(NAME)) == [1]

    assert push(here) == 3


def test_two_machines_never_make_the_same_version(here: Settings, there: Settings) -> None:
    """Though both see the same newest one, each gets a number of its own."""
    mirror(here).sync()
    mirror(there).sync()
    made = [push(here), push(there), push(here)]

    assert made == [2, 3, 4]
    mirror(here).sync()
    assert all(verify(Registry(here).version_folder(NAME, version)) for version in made)


def test_two_machines_never_overwrite_each_others_switch(here: Settings, there: Settings) -> None:
    """Of many at once, each sees those before it, or is told that it came too late."""
    outcomes: list[str] = []

    def move(settings: Settings, alias: str) -> None:
        for number in range(10):
            try:
                Registry(settings).move_alias(NAME, f"{alias}{number}", 1, "cli")
                outcomes.append(f"{alias}{number}")
            except GenerationConflict:
                pass

    movers = [threading.Thread(target=move, args=mover) for mover in ((here, "here"), (there, "there"))]
    for mover in movers:
        mover.start()
    for mover in movers:
        mover.join()
    mirror(here).sync()
    state = Registry(here).state(NAME)

    assert sorted(state.aliases) == sorted(outcomes) and state.generation == len(outcomes) >= 10


def test_a_state_is_never_read_without_its_version(here: Settings, there: Settings, server: StorageServer) -> None:
    """Where a version is pushed and switched to while somebody follows, they see both, or the switch later."""
    version = push(here)
    Registry(here).move_alias(NAME, "stable", version, "cli")
    server.refused, server.times = "manifest.json", 1_000
    with pytest.raises(RootUnreachable):
        mirror(there).sync()

    assert Registry(there).state(NAME).generation == 0


def test_what_is_removed_there_is_removed_here(here: Settings, there: Settings, server: StorageServer) -> None:
    """A version that was cleaned up on one machine is gone on the others, files and all, and from the bucket."""
    version = push(here)
    mirror(there).sync()
    folder = Registry(there).version_folder(NAME, version)
    mirror(here).withdraw(f"models/{NAME}/{version}")
    mirror(there).sync()

    assert not folder.exists() and not server.names()
    with pytest.raises(VersionNotFound):
        Registry(there).version_folder(NAME, version)


def test_clean_up_reaches_the_bucket(here: Settings, there: Settings, server: StorageServer) -> None:
    """What the policy lets go is gone for everybody; what is kept stays; sizes are those of the bucket."""
    for _ in range(7):
        push(here)
    mirror(there).sync()
    plan = clean_up(there, NAME)
    mirror(here).sync()

    assert [item.name for item in plan.going] == ["2", "3"] and plan.going[0].bytes > 10_000
    assert list(Registry(here).versions(NAME)) == [1, 4, 5, 6, 7, 8]
    assert not any("/2/" in name or "/3/" in name for name in server.names())


def test_a_verdict_is_withdrawn_everywhere(here: Settings, there: Settings) -> None:
    """A version that turned out bad is not blessed on a machine that looked before."""
    folder = Registry(here).version_folder(NAME, push(here))
    write_verdict(folder, "BLESSED", {"reasons": []})
    mirror(there).sync()
    write_verdict(folder, "NOT_BLESSED", {"reasons": ["bad"]})
    mirror(there).sync()
    seen = sorted(path.name for path in (there.root / "models" / NAME / folder.name).iterdir())

    assert seen == ["INFRA_BLESSED", "NOT_BLESSED", "manifest.json"]


def test_a_span_is_brought_whole(here: Settings, there: Settings, tmp_path: Path) -> None:
    """Listed by its manifest, read with its files; one that another machine began with keeps its number to itself."""
    (tmp_path / "span").mkdir()
    (tmp_path / "span" / "train.parquet").write_bytes(b"rows")
    mirror(here).bucket.write("spans/parcels/1/.claim", b"elsewhere")
    manifest = SpanManifest(
        model="parcels",
        span=1,
        created=datetime.now(UTC),
        source=(),
        read=(),
        rules="",
        rows={},
        refused={},
        files={"train.parquet": FileFacts(bytes=4, sha256="")},
    )
    span = publish_span(spans_folder(here, "parcels"), manifest, tmp_path / "span")
    mirror(there).sync()
    (listed,) = list_spans(there, parcels().model.name)

    assert listed.number == span.number == 2
    assert find_spans(there, "parcels", [2])[0].path("train").read_bytes() == b"rows"


def test_keys_are_shared_and_revoked(here: Settings, there: Settings) -> None:
    """A key works on every machine, and on none once it is revoked; only its owner may read its file."""
    attach(here)
    key, token = KeyStore(here.root).create("team", "predict")
    mirror(there).sync()
    assert KeyStore(there.root).find(token) == key
    assert stat.S_IMODE((there.root / "keys" / f"{key.id}.json").stat().st_mode) == 0o600
    KeyStore(there.root).revoke(key.id)
    mirror(here).sync()

    assert KeyStore(here.root).find(token) is None


def test_the_admin_key_is_made_once(here: Settings, there: Settings) -> None:
    """Two machines that start at the same time have the same one."""
    assert load_admin_key(here) == load_admin_key(there) != ""


def test_a_bucket_that_is_away_is_said_once_and_followed_again(
    here: Settings, server: StorageServer, capfd: pytest.CaptureFixture[str]
) -> None:
    """Following never ends the process: what was known goes on."""
    followed = mirror(here)
    server.times = 10_000
    followed.follow()
    followed.follow()
    assert not followed.is_known() and capfd.readouterr().err.count("cannot be followed") == 1
    server.times = 0
    followed.follow()

    assert followed.is_known() and followed.problem == ""


def test_one_process_of_a_machine_asks_for_all(here: Settings, there: Settings) -> None:
    """Within the time set for it the bucket is asked once, whoever would."""
    mirror(there).follow()
    Registry(here).move_alias(NAME, "stable", 1, "cli")
    mirror(there).follow(seconds=60)
    assert Registry(there).state(NAME).generation == 0
    mirror(there).follow()

    assert Registry(there).state(NAME).generation == 1


def test_verbs_begin_with_what_the_bucket_has(here: Settings, there: Settings, server: StorageServer) -> None:
    """And say in a line that it does not answer."""
    push(here)
    shown = CliRunner(env=there.environment()).invoke(cli, ["versions", NAME])
    server.times = 10_000
    failed = CliRunner(env=there.environment()).invoke(cli, ["versions", NAME])

    assert len(shown.output.splitlines()) == 3
    assert failed.exit_code == 1 and failed.output.startswith("Error: gs://stork-test/team: GET was answered 503")


def test_what_is_unfinished_is_cleaned_up_when_it_is_old(
    here: Settings, server: StorageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A push that was killed leaves files that nobody sees; they go after a day."""
    mirror(here).bucket.write(f"models/{NAME}/2/schema.json", b"{}")
    clean_up(here, NAME)
    assert server.names() == [f"team/models/{NAME}/2/schema.json"]
    monkeypatch.setattr("stork.orchestration.clean_up.LEFTOVER_SECONDS", -1.0)
    clean_up(here, NAME)

    assert not server.names()


def test_a_lost_lease_is_taken_over(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was killed on a machine that is gone keeps nobody out for long."""
    mirror(here).bucket.write(f"runs/{NAME}.lease", b"{}")
    monkeypatch.setattr("stork.remote.lease.LASTS", 0.0)
    with alone(here, NAME):
        assert mirror(here).bucket.list("runs/")

    assert not mirror(here).bucket.list("runs/")


def test_a_lease_is_renewed_while_it_is_held(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a run takes, nobody takes it for a dead one."""
    monkeypatch.setattr("stork.remote.lease.RENEWED", 0.02)
    bucket = mirror(here).bucket
    with alone(here, NAME):
        first = bucket.stat(f"runs/{NAME}.lease")
        while (now := bucket.stat(f"runs/{NAME}.lease")) == first:
            time.sleep(0.01)
        assert now is not None and first is not None and now.updated > first.updated

    assert bucket.stat(f"runs/{NAME}.lease") is None


def test_a_run_record_is_plain_json_in_the_bucket(here: Settings, server: StorageServer) -> None:
    """Whoever looks into the bucket without Stork reads what happened, by whom and where."""
    attach(here)
    run = Run.start(here, NAME, ("ingest",), {})
    record = msgspec.json.decode(server.storage.get_file(BUCKET, f"team/runs/{run.record.id}/run.json"))

    assert (record["status"], record["model"]) == ("running", NAME) and record["by"] and record["machine"]
