"""The audit: who changed what, and who was refused."""

import dataclasses
import multiprocessing
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from stork.config import PROJECT, Settings
from stork.errors import GenerationConflict, VersionNotFound
from stork.store.audit import Actor, acting, audit, audit_path, audit_refusal, last_lines
from stork.store.registry import Registry


def test_a_move_of_an_alias_is_one_line(settings: Settings) -> None:
    """What it was, what it is, in which generation, and who did it: on the command line the user of the machine."""
    Registry(settings).move_alias("babyweight", "stable", 1, by="cli")
    (line,) = last_lines(settings, 10)

    told = {name: line[name] for name in ("what", "outcome", "model", "alias", "before", "after", "generation", "door")}
    assert list(told.values()) == ["alias", "done", "babyweight", "stable", 1, 1, 1, "cli"] and line["who"]


def test_what_is_refused_is_told_too(settings: Settings) -> None:
    """With the reason; and what did not change is not told as if it had."""
    registry = Registry(settings)
    with pytest.raises(GenerationConflict), audit_refusal(settings, "alias", model="babyweight", after=1):
        registry.move_alias("babyweight", "stable", 1, by="cli", expected_generation=7)
    (line,) = last_lines(settings, 10)

    assert (line["outcome"], line["after"]) == ("refused", 1) and "expected generation 7, found 0" in line["reason"]


def test_a_switch_that_fails_is_told_once(settings: Settings) -> None:
    """Also where it fails before anything could be written."""
    from stork.publishing.switch import switch_alias

    with pytest.raises(VersionNotFound):
        switch_alias(settings, "babyweight", 99)

    assert [line["outcome"] for line in last_lines(settings, 10)] == ["refused"]


def test_who_acts_is_told_with_where_from(settings: Settings) -> None:
    """A web request says who it is once, and whatever it changes knows."""
    token = acting.set(Actor("team/0123abcd", "api", "192.0.2.7", "curl/8"))
    audit(settings, "model", model="babyweight", after="unloaded")
    acting.reset(token)
    (line,) = last_lines(settings, 10)

    assert [line[name] for name in ("who", "door", "address", "agent")] == [
        "team/0123abcd",
        "api",
        "192.0.2.7",
        "curl/8",
    ]


def test_the_audit_only_grows(settings: Settings) -> None:
    """A line that was cut short does not hide those after it, and the newest are read last."""
    for number in range(5):
        audit(settings, "thing", after=number)
    path = audit_path(settings)
    assert path is not None
    with path.open("ab") as stream:
        stream.write(b'{"what": "thi\n')
    audit(settings, "thing", after=5)

    assert [line["after"] for line in last_lines(settings, 3)] == [3, 4, 5] and path.read_bytes().count(b"\n") == 7


def test_a_full_file_begins_a_new_one_and_the_oldest_go(settings: Settings) -> None:
    """The newest lines stay, in order over the files; all files together stay within the limit."""
    small = dataclasses.replace(settings, audit_mb=1)
    for number in range(40):
        audit(small, "thing", after=number, filler="x" * 50_000)
    folder = Path(small.log)
    kept = [line["after"] for line in last_lines(small, 100)]

    assert kept == list(range(kept[0], 40)) and 15 <= len(kept) <= 25
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1.1 * 2**20
    assert [line["after"] for line in last_lines(small, 3)] == [37, 38, 39]


@pytest.mark.parametrize(("days", "kept"), [(29, ["old", "new"]), (31, ["old", "new"]), (401, ["new"])])
def test_an_old_file_is_put_away_and_at_last_removed(settings: Settings, days: int, kept: list[str]) -> None:
    """A month old it is put away; what is older than the setting says goes, however little it is."""
    path, written = Path(settings.log) / "audit.jsonl", datetime.now(UTC) - timedelta(days=days)
    path.parent.mkdir()
    path.write_bytes(msgspec.json.encode({"time": written, "what": "old"}) + b"\n")
    os.utime(path, (written.timestamp(),) * 2)
    audit(settings, "new")

    assert [line["what"] for line in last_lines(settings, 9)] == kept
    assert path.read_bytes().count(b"\n") == (2 if days < 30 else 1)


def test_processes_that_rotate_at_once_lose_nothing(settings: Settings) -> None:
    """Every line of four processes is there, each once."""
    small = dataclasses.replace(settings, audit_mb=1)
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        pool.starmap(write_lines, [(small, writer) for writer in range(4)])
    found = [(line["writer"], line["after"]) for line in last_lines(small, 1000)]

    assert sorted(found) == [(writer, number) for writer in range(4) for number in range(20)]
    assert len(list(Path(small.log).glob("audit-*.jsonl"))) > 4


def write_lines(settings: Settings, writer: int) -> None:
    for number in range(20):
        audit(settings, "thing", writer=writer, after=number, filler="x" * 10_000)


def test_without_a_prediction_log_there_is_an_audit_still(settings: Settings) -> None:
    """`off` is about predictions; who changed what stays below the root."""
    assert audit_path(dataclasses.replace(settings, log="off")) == settings.root / "audit.jsonl"


def test_a_line_that_cannot_be_written_is_not_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The change goes on; stderr has the line."""
    (tmp_path / "log").write_text("a file in the way")
    audit(Settings(root=tmp_path, log=str(tmp_path / "log")), "alias", after=3)

    assert "the audit cannot be written" in (said := capsys.readouterr().err) and '"after":3' in said


def test_on_app_engine_it_goes_to_the_log_stream(settings: Settings) -> None:
    """One structured line on stdout, as Cloud Logging reads it."""
    code = (
        "from stork.config import Settings; from stork.store.audit import audit; "
        "audit(Settings.from_environment(), 'alias', after=2)"
    )
    environment = dataclasses.replace(settings, log="stdout").environment()
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )

    assert done.stdout.startswith('{"severity":"NOTICE","message":"audit"') and done.stdout.count("\n") == 1
