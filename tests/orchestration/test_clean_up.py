"""Cleaning up: whatever the deployment looks like, nothing that is needed goes, and all the rest does."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from parcels import TOML, parcels

from stork.cli import cli
from stork.config import Settings
from stork.data.ingest_step import SpansInPlay
from stork.data.spans import MANIFEST, SpanManifest, spans_folder
from stork.errors import Conflict
from stork.orchestration.clean_up import clean_up, plan_clean_up
from stork.orchestration.runner import alone
from stork.schema.frozen import Schema
from stork.store.registry import Registry, StateBroken
from stork.store.runs import RunRecord, StepRecord
from stork.store.version import SpanUsed, Twin, write_manifest

NAME = "parcels"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def deploy(root: Path, policy: str = "versions = 1\nruns = 1\nspans = 1") -> Settings:
    """A deployment of the parcels without any version."""
    settings = Settings(models=root / "model", root=root / "var", log="off")
    (settings.models / NAME).mkdir(parents=True)
    (settings.models / NAME / "model.toml").write_text(f"{TOML}\n[retention]\n{policy}\n")
    return settings


def add_version(settings: Settings, number: int, run: str, spans: list[int]) -> None:
    """A version that a run made from spans; nothing else about it matters here."""
    folder = settings.root / "models" / NAME / str(number)
    folder.mkdir(parents=True)
    schema = Schema.of(parcels())
    (folder / "schema.json").write_bytes(schema.to_json())
    used = [SpanUsed(span, "") for span in spans]
    write_manifest(folder, schema, Twin(proved=False), spans=used, runs={"train": run})


def add_span(settings: Settings, number: int) -> None:
    """An empty span."""
    folder = spans_folder(settings, NAME) / str(number)
    folder.mkdir(parents=True)
    manifest = SpanManifest(
        model=NAME, span=number, created=NOW, source=(), read=(), rules="", rows={}, refused={}, files={}
    )
    (folder / MANIFEST).write_bytes(msgspec.json.encode(manifest))


def add_run(settings: Settings, name: str, took: str, spans: list[int]) -> None:
    """A run that read spans, and took its training over from another run, or did it itself."""
    folder = settings.root / "runs" / name
    (folder / "ingest").mkdir(parents=True)
    play = SpansInPlay(spans, spans[-1], None, {})
    (folder / "ingest" / "spans.json").write_bytes(msgspec.json.encode(play))
    steps = {
        "ingest": StepRecord(status="succeeded", began=NOW, fingerprint="", run=name),
        "train": StepRecord(status="skipped", began=NOW, fingerprint="", run=took, inputs={"ingest": took}),
    }
    record = RunRecord(id=name, model=NAME, created=NOW, status="succeeded", pid=0, wanted=(), steps=steps)
    (folder / "run.json").write_bytes(msgspec.json.encode(record))


SPANS = st.lists(st.integers(1, 5), min_size=1, max_size=3)
DEPLOYMENTS = st.fixed_dictionaries(
    {
        "versions": st.dictionaries(st.integers(1, 6), st.tuples(st.integers(1, 6), SPANS), max_size=6),
        "runs": st.dictionaries(st.integers(1, 6), st.tuples(st.integers(1, 6), SPANS), max_size=6),
        "aliases": st.lists(st.tuples(st.sampled_from(["stable", "canary", "old"]), st.integers(1, 6)), max_size=5),
    }
)


@given(DEPLOYMENTS)
@hypothesis_settings(max_examples=40, deadline=None)
def test_nothing_that_is_needed_goes(drawn: dict) -> None:  # type: ignore[type-arg]
    """What an alias names or a rollback needs stays, with its run, the runs that took from others, and their spans."""
    with tempfile.TemporaryDirectory() as root:
        settings = deploy(Path(root))
        for number in range(1, 6):
            add_span(settings, number)
        for number, (run, spans) in drawn["versions"].items():
            add_version(settings, number, f"run{run}", spans)
        for number, (took, spans) in drawn["runs"].items():
            add_run(settings, f"run{number}", f"run{took}", spans)
        registry = Registry(settings)
        for alias, version in drawn["aliases"]:
            if version in drawn["versions"]:
                registry.move_alias(NAME, alias, version, "test")
        named = set(registry.aliases(NAME).values())
        clean_up(settings, NAME)

        kept = set(registry.versions(NAME))
        runs = {path.name for path in (settings.root / "runs").glob("run*")}
        spans_left = {int(path.name) for path in spans_folder(settings, NAME).glob("[0-9]*")}
        assert named <= kept
        for version in kept:
            run, spans = drawn["versions"][version]
            assert set(spans) <= spans_left and (f"run{run}" in runs or run not in drawn["runs"])
        for name in runs:
            took, spans = drawn["runs"][int(name.removeprefix("run"))]
            assert set(spans) <= spans_left and (f"run{took}" in runs or took not in drawn["runs"])
        # Nobody needs what is left to go, and a second time finds nothing.
        assert not plan_clean_up(settings, NAME).going
        assert all(item.reasons for item in plan_clean_up(settings, NAME).items.values())


@pytest.fixture
def deployed(tmp_path: Path) -> Settings:
    """Three versions, of which `stable` names the first; each with its run and span."""
    settings = deploy(tmp_path)
    for number in (1, 2, 3):
        add_span(settings, number)
        add_run(settings, f"run{number}", f"run{number}", [number])
        add_version(settings, number, f"run{number}", [number])
    Registry(settings).move_alias(NAME, "stable", 1, "test")
    return settings


def test_what_goes_is_shown_first(deployed: Settings) -> None:
    """Without --delete nothing is touched; with it the same is gone."""
    runner = CliRunner(env=deployed.environment())
    shown = runner.invoke(cli, ["clean-up", NAME])
    assert sorted(Registry(deployed).versions(NAME)) == [1, 2, 3]
    done = runner.invoke(cli, ["clean-up", NAME, "--delete"])

    assert "alias stable names it" in shown.output and "3 of 9 would go" in shown.output
    assert "3 of 9 are gone" in done.output and sorted(Registry(deployed).versions(NAME)) == [1, 3]


def test_what_a_killed_clean_up_left_is_removed(deployed: Settings) -> None:
    """A folder set aside is no version any more, and the next clean-up takes it."""
    aside = deployed.root / "models" / NAME / ".gone-2"
    (deployed.root / "models" / NAME / "2").rename(aside)
    clean_up(deployed, NAME)
    assert not aside.exists()


def test_studies_stay_while_their_space_is_declared(deployed: Settings) -> None:
    """Those of another model are its own business; of one that is no more, or searches nothing, nobody needs them."""
    folder = deployed.root / "studies"
    folder.mkdir()
    for name in (NAME, "gone"):
        (folder / f"{name}.db").write_bytes(b"trials")
    path = deployed.models / NAME / "model.toml"
    undeclared = path.read_text()
    path.write_text(undeclared + "\n[tuning.space]\nepochs = { low = 2, high = 9 }\n")
    clean_up(deployed, NAME)
    left = [study.stem for study in folder.iterdir()]
    path.write_text(undeclared)
    clean_up(deployed, NAME)

    assert (left, list(folder.iterdir())) == ([NAME], [])


def test_nothing_goes_while_a_run_is_at_work(deployed: Settings) -> None:
    """A run may be reading what would go."""
    with alone(deployed, NAME), pytest.raises(Conflict):
        clean_up(deployed, NAME)


def test_nothing_goes_while_it_is_unknown_what_serves(deployed: Settings) -> None:
    """A serving state that cannot be read might name any version."""
    Registry(deployed).state_path(NAME).write_text("{torn")
    with pytest.raises(StateBroken):
        clean_up(deployed, NAME)
    assert sorted(path.name for path in (deployed.root / "models" / NAME).glob("[0-9]")) == ["1", "2", "3"]
