"""data.toml of a model that is declared in a bucket: seen by every machine, and never written over unseen."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from listener import Listener
from parcels import TOML, parcel_rows, write_csv
from storage_server import storage

from stork.cli import cli
from stork.config import Settings
from stork.data.schema_review import leave, open_review
from stork.errors import Conflict
from stork.orchestration.runner import start
from stork.remote.mirror import attach
from stork.store.files import write_atomically

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[tuple[Settings, Settings]]:
    """Two machines that share a root; the first has declared the parcels there, and described a span of them."""
    with storage() as bucket:
        one, other = (dataclasses.replace(bucket.machine(tmp_path / n), models=tmp_path / "none") for n in "ab")
        attach(one)
        write_atomically(one.root / "models" / "parcels" / "model.toml", TOML.encode())
        data = write_csv(tmp_path / "rows.csv", parcel_rows(400))
        start(one, "parcels", ["ingest", "statistics"], {"data": [str(data)]}, Listener())
        yield one, other


def test_a_schema_is_seen_by_all(machines: tuple[Settings, Settings]) -> None:
    """What one machine infers and writes another holds its rows to, and has nothing to change in."""
    one, other = machines
    done = CliRunner(env=one.environment()).invoke(cli, ["schema", "infer", "parcels", "--write"])
    assert done.exit_code == 0, done.output
    there = CliRunner(env=other.environment()).invoke(cli, ["schema", "diff", "parcels"])

    assert there.exit_code == 0 and "span 1 is as expected: nothing to change" in there.output


@pytest.mark.parametrize("text", ["", "[examples]\nmin = 2\n"])
def test_who_comes_second_writes_over_nothing(machines: tuple[Settings, Settings], text: str) -> None:
    """Two machines read data.toml, or that there is none; one writes, and the bucket refuses the other."""
    one, other = machines
    if text:
        write_atomically(one.root / "models" / "parcels" / "data.toml", text.encode())
    mirror = attach(other)
    assert mirror is not None
    mirror.sync()
    first, second = open_review(one, "parcels"), open_review(other, "parcels")
    leave(one, first, f"{text}# one\n")

    with pytest.raises(Conflict, match="expected it as it was read, somebody changed it meanwhile"):
        leave(other, second, f"{text}# other\n")
    assert open_review(other, "parcels").text == f"{text}# one\n"
