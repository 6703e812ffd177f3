"""Staleness: versions on spans of made rows whose cost rises from year to year, so that the truth is known."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest
from candidates import export_candidate, honest
from parcels import HEADER, parcel_rows, write_parcels

from stork.config import Settings
from stork.data.ingest import ingest
from stork.data.sources import Fetched
from stork.data.span_time import as_time
from stork.data.spans import Span
from stork.declaration import Declaration
from stork.evaluation.earlier import blessed_versions
from stork.evaluation.staleness import Curve, Staleness, days_until, find_staleness
from stork.schema.frozen import load_schema
from stork.store.registry import Registry
from stork.store.version import load_manifest, write_manifest, write_verdict

pytestmark = pytest.mark.tensorflow
# What slow parcels cost more than the versions know, by year: their RMSE is 1 x that, and the noise 0.1.
RISES = {"2001": 1.0, "2002": 1.0, "2003": 1.2, "2004": 1.4}
YEAR = 365.0


def write_year(path: Path, year: str, rise: float, count: int = 1000) -> Path:
    """Slow parcels of a year; each costs `rise` more than 2 and its kilograms."""
    rows = parcel_rows(count, seed=int(year))
    lines = [f"{HEADER},year"]
    for kilograms, noise in zip(rows.columns["kilograms"], np.random.default_rng(1).normal(0, 0.1, count), strict=True):
        lines.append(f"{kilograms},1,slow,,,{2 + kilograms + rise + noise},{year}.0")
    path.write_text("\n".join(lines) + "\n")
    return path


@dataclass
class Past:
    """A deployment with a span a year and versions that learned from the first ones."""

    settings: Settings
    declaration: Declaration
    spans: list[Span]
    exported: Path

    def publish(self, version: int, learned: Sequence[int], verdict: str = "BLESSED") -> None:
        """A version that learned from the spans of these numbers."""
        folder = self.settings.root / "models" / "parcels" / str(version)
        shutil.copytree(self.exported, folder)
        used = [span.used for span in self.spans if span.number in learned]
        twin = load_manifest(self.exported).twin
        created = datetime(2010, 1, version, tzinfo=UTC)
        write_manifest(folder, load_schema(folder / "schema.json"), twin, spans=used, created=created)
        write_verdict(folder, verdict, {"reasons": []})

    def find(self, *versions: int, **evaluation: float) -> Staleness:
        """How these versions aged."""
        changed = msgspec.structs.replace(self.declaration.evaluation, **evaluation)
        declaration = msgspec.structs.replace(self.declaration, evaluation=changed)
        return find_staleness(Registry(self.settings), declaration, versions, self.spans)

    def curve(self, version: int, **evaluation: float) -> Curve:
        (found,) = self.find(version, **evaluation).curves
        return found


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A candidate that says 2 and the kilograms."""
    folder = tmp_path_factory.mktemp("exported") / "candidate"
    export_candidate(folder, honest, twin=True)
    return folder


@pytest.fixture
def past(tmp_path: Path, exported: Path) -> Past:
    """Four years, a span each."""
    settings = Settings(models=tmp_path / "model", root=tmp_path / "var", log="off")
    declaration = write_parcels(settings.models)
    declaration = msgspec.structs.replace(declaration, data=msgspec.structs.replace(declaration.data, time="year"))
    spans = []
    for year, rise in RISES.items():
        scratch = tmp_path / f"scratch-{year}"
        scratch.mkdir()
        file = write_year(tmp_path / f"{year}.csv", year, rise)
        span = ingest(settings, declaration, Fetched((file,)), scratch)
        assert span is not None
        spans.append(span)
    return Past(settings, declaration, spans, exported)


def test_days_are_read_off_the_curve(past: Past) -> None:
    """From 1.0 in 2002 to 1.2 in 2003: 10% more is reached half way, a year and a half after what it learned from."""
    past.publish(1, [1])
    found = past.curve(1, staleness_rise=0.1)

    assert [age.days for age in found.ages] == [0, YEAR, 2 * YEAR, 3 * YEAR]
    assert [age.rmse for age in found.ages] == pytest.approx([1, 1, 1.2, 1.4], abs=0.03)
    assert found.days == pytest.approx(1.5 * YEAR, abs=40)


def test_what_was_not_seen_is_not_said(past: Past) -> None:
    """A rise that no span reached has no day: it is told how far was looked."""
    past.publish(1, [1])
    found = past.curve(1, staleness_rise=0.6)

    assert (found.days, found.seen) == (None, 3 * YEAR)


def test_no_version_is_scored_on_what_it_learned_from(past: Past) -> None:
    """The triangle: each version begins with its own test rows, then come only spans newer than all it learned from."""
    past.publish(1, [1])
    past.publish(2, [1, 2, 3])
    first, second = past.find(1, 2).curves

    assert [age.span for age in first.ages] == [1, 2, 3, 4]
    assert [(age.span, age.days) for age in second.ages] == [(3, 0.0), (4, YEAR)]
    assert second.ages[0].rows == sum(past.spans[n].manifest.rows["test"] for n in range(3))


def test_a_rise_beyond_the_noise_is_told_from_one_within(past: Past) -> None:
    """The interval of the last RMSE beside the first holds the truth, 1.4, and not 1."""
    past.publish(1, [1])
    rise = past.curve(1).rise

    assert rise is not None and rise.holds(1.4) and not rise.holds(1.0)


def test_a_version_of_unknown_past_is_scored_on_the_newest_span(past: Past) -> None:
    """Where the manifest names no spans there is no age, and the reason is there."""
    past.publish(1, [])
    found = past.curve(1)

    assert found.newest is not None and found.newest.span == 4 and not found.ages
    assert found.problems == ("the spans that it learned from are not on record",)


def test_a_version_that_does_not_load_is_named(past: Past) -> None:
    """One that is broken, or knows other features, does not keep the others from being scored."""
    past.publish(1, [1])
    past.publish(2, [1])
    (past.settings.root / "models" / "parcels" / "1" / "schema.json").unlink()
    broken, whole = past.find(1, 2).curves

    assert "schema.json is missing" in broken.problems[0] and not broken.ages
    assert len(whole.ages) == 4


def test_without_a_column_a_span_is_of_the_time_when_it_was_made(past: Past) -> None:
    """Ages are those of the spans' manifests."""
    past.declaration = msgspec.structs.replace(
        past.declaration, data=msgspec.structs.replace(past.declaration.data, time="")
    )
    past.publish(1, [1])
    made = [span.manifest.created for span in past.spans]

    days = [(time - made[0]).total_seconds() / 86400 for time in made]
    assert [age.days for age in past.curve(1).ages] == pytest.approx(days)


def test_a_column_that_is_no_time_is_named(past: Past) -> None:
    """What was expected and received, and in which span; the newest span is scored anyway."""
    past.declaration = msgspec.structs.replace(
        past.declaration, data=msgspec.structs.replace(past.declaration.data, time="service")
    )
    past.publish(1, [1])
    found = past.find(1)

    assert "span 1 (2001.csv): service: expected a year or a date, received 'slow'" in found.problems
    assert found.curves[0].newest is not None


def test_only_the_newest_blessed_versions_are_asked(past: Past) -> None:
    """Not those that were refused, not the candidate itself, and as many as are declared."""
    for version in range(1, 8):
        past.publish(version, [1], "NOT_BLESSED" if version == 5 else "BLESSED")
    registry, candidate = Registry(past.settings), datetime(2010, 1, 7, tzinfo=UTC)

    assert blessed_versions(registry, past.declaration, candidate) == [1, 2, 3, 4, 6]


@pytest.mark.parametrize(
    ("points", "limit", "days"),
    [
        ([(0, 1.0), (100, 1.2)], 1.05, 25),
        ([(0, 1.0), (10, 0.8), (20, 1.2)], 1.1, 17.5),
        ([(0, 1.0), (10, 1.2), (20, 0.9), (30, 1.3)], 1.1, 5),
        ([(0, 1.0), (10, 1.1)], 1.1, None),
        ([(0, 1.0)], 1.05, None),
    ],
)
def test_the_first_time_above_counts(points: list[tuple[float, float]], limit: float, days: float | None) -> None:
    """By a straight line between two ages; at the limit is not above it."""
    assert days_until(limit, points) == (None if days is None else pytest.approx(days))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1994", "1994-01-01T00:00:00+00:00"),
        ("1994.0", "1994-01-01T00:00:00+00:00"),
        (" 1994-05-01 ", "1994-05-01T00:00:00+00:00"),
        ("1994-05-01T02:00:00+02:00", "1994-05-01T02:00:00+02:00"),
    ],
)
def test_times_are_read(text: str, expected: str) -> None:
    """A year, or a date as ISO 8601 writes it."""
    assert as_time(text).isoformat() == expected


@pytest.mark.parametrize("text", ["", "94", "soon", "1994.5"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError, match="expected a year or a date, received"):
        as_time(text)
