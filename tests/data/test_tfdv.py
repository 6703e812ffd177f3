"""
Statistics, distances and anomalies beside those of TensorFlow Data Validation 1.16.1, which tfdv.json has recorded.

`parcels` is what tests/oracles/tfdv.py prints of the rows that tests/oracles/spans.py writes, by parcels.pbtxt there;
`natality`, of which only counts and moments are kept, of the rows of nchs_trunc of 1989-2002 and of 2003-2006.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from listener import Listener
from oracles.spans import write_after, write_before
from parcels import write_parcels

from stork.config import PROJECT, Settings
from stork.data.anomalies import OWN, Validation
from stork.data.comparators import js_of_counts, js_of_histograms, l_infinity, normalized_difference
from stork.data.statistics import ALL, Bucket, SpanStatistics, SplitStatistics
from stork.orchestration.runner import start
from stork.store.runs import newest_output

pytestmark = pytest.mark.tensorflow

RECORDED: dict[str, Any] = msgspec.json.decode((Path(__file__).parent / "tfdv.json").read_bytes())
PARCELS, NATALITY = RECORDED["parcels"], RECORDED["natality"]
REAL = PROJECT.parent / "shared" / "data" / "natality" / "nchs_trunc.csv.gz"
SCHEMA = """
column.kilograms = { drift = 0.01 }
column.zone = { min_fraction = 0.7, measure = "jensen_shannon", drift = 0.01 }
column.service = { drift = 0.01 }
column.insured = { measure = "jensen_shannon", drift = 0.01 }
column.shop = { min_fraction = 0.5 }
column.cost = { drift = 0.01 }
"""
SIDES = ("before", "after")


@dataclasses.dataclass(frozen=True)
class Numbers:
    """What TFDV's histogram has."""

    histogram: tuple[Bucket, ...]
    nans: int = 0
    infinities: int = 0


def counts_of(recorded: dict[str, Any], column: str) -> list[dict[str, float]]:
    return [recorded["statistics"][side][column]["values"] for side in ("after", "before")]


def describe(settings: Settings, model: str, asked: list[dict[str, object]], steps: list[str]) -> list[SplitStatistics]:
    """Each of what is asked becomes a span; the statistics of all rows of each."""
    for each in asked:
        start(settings, model, steps, each, Listener())
    folder = newest_output(settings, model, "statistics")
    assert folder is not None
    held = [(folder / f"span-{number}.json").read_bytes() for number in range(1, len(asked) + 1)]
    return [msgspec.json.decode(text, type=SpanStatistics).splits[ALL] for text in held]


@pytest.fixture(scope="module")
def parcels(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[SplitStatistics], Validation]:
    """Both spans of parcels as Stork describes them, and what it finds in them."""
    home = tmp_path_factory.mktemp("tfdv")
    settings = Settings(models=home / "model", root=home / "var", log="off")
    write_parcels(settings.models)
    (settings.models / "parcels" / "data.toml").write_text(SCHEMA)
    asked: list[dict[str, object]] = [{"data": [str(write(home))]} for write in (write_before, write_after)]
    found = describe(settings, "parcels", asked, ["ingest", "statistics", "validate"])
    folder = newest_output(settings, "parcels", "validate")
    assert folder is not None
    return found, msgspec.json.decode((folder / "anomalies.json").read_bytes(), type=Validation)


@pytest.fixture(scope="module")
def natality(tmp_path_factory: pytest.TempPathFactory) -> list[SplitStatistics]:
    """The real rows of 1989-2002 and of 2003-2006, where they are at hand."""
    if not REAL.is_file():
        pytest.skip(f"needs {REAL.name}, which is no part of the project")
    settings = Settings(root=tmp_path_factory.mktemp("natality"), log="off")
    years = ("between 1989 and 2002", "between 2003 and 2006")
    asked: list[dict[str, object]] = [{"data": [str(REAL)], "where": f"year::double {held}"} for held in years]
    return describe(settings, "babyweight", asked, ["ingest", "statistics"])


@pytest.mark.parametrize("column", ["kilograms", "zone", "cost"])
def test_the_divergence_of_histograms_is_tfdvs(column: str) -> None:
    """Of its own histograms, to 1e-9."""
    sides = [
        Numbers(tuple(Bucket(*bucket) for bucket in PARCELS["statistics"][side][column]["histogram"]))
        for side in reversed(SIDES)
    ]

    measured = PARCELS["measured"][column]["JENSEN_SHANNON_DIVERGENCE"]
    assert js_of_histograms(*sides) == pytest.approx(measured, abs=1e-9)


@pytest.mark.parametrize(
    ("column", "kind", "measure"),
    [
        ("service", "L_INFTY", lambda *sides: l_infinity(*sides).value),
        ("insured", "JENSEN_SHANNON_DIVERGENCE", js_of_counts),
    ],
)
def test_distances_of_counts_are_tfdvs(column: str, kind: str, measure: Callable[..., float]) -> None:
    """Of its own counts, to 1e-9."""
    assert measure(*counts_of(PARCELS, column)) == pytest.approx(PARCELS["measured"][column][kind], abs=1e-9)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("column", ["kilograms", "zone", "service", "insured", "cost"])
def test_statistics_are_tfdvs(parcels: tuple[list[SplitStatistics], Validation], side: str, column: str) -> None:
    """Counts and values exactly, moments as far as float32 goes, in which TFDV holds what it reads of a CSV file."""
    check(parcels[0][SIDES.index(side)], column, PARCELS["statistics"][side][column])


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("column", sorted(NATALITY["statistics"]["before"]))
def test_statistics_of_real_rows_are_tfdvs(natality: list[SplitStatistics], side: str, column: str) -> None:
    """13,986 and 3,996 rows."""
    check(natality[SIDES.index(side)], column, NATALITY["statistics"][side][column])


def check(found: SplitStatistics, name: str, recorded: dict[str, Any]) -> None:
    column = found.column(name)
    assert column is not None and (column.known, column.missing) == (recorded["known"], recorded["missing"])
    if "unique" in recorded:
        assert column.unique == recorded["unique"]
        assert "values" not in recorded or {v.value: v.count for v in column.values} == recorded["values"]
        return
    numbers = column.numbers
    assert numbers is not None
    own = (numbers.min, numbers.max, numbers.mean, numbers.sd)
    assert own == pytest.approx([recorded[key] for key in ("min", "max", "mean", "std_dev")], rel=1e-6)


@pytest.mark.parametrize(
    ("column", "kind", "measure"),
    [
        ("state", "L_INFTY", lambda *sides: l_infinity(*sides).value),
        ("is_male", "L_INFTY", lambda *sides: l_infinity(*sides).value),
        ("mother_married", "JENSEN_SHANNON_DIVERGENCE", js_of_counts),
        ("cigarette_use", "NORMALIZED_ABSOLUTE_DIFFERENCE", lambda *sides: normalized_difference(*sides).value),
    ],
)
def test_distances_of_real_rows_are_tfdvs(
    natality: list[SplitStatistics], column: str, kind: str, measure: Callable[..., float]
) -> None:
    """What Stork counts in the rows is as far apart as what TFDV counts, to 1e-9."""
    held = [side.column(column) for side in reversed(natality)]
    sides = [{value.value: value.count for value in side.values} for side in held if side is not None]

    assert measure(*sides) == pytest.approx(NATALITY["measured"][column][kind], abs=1e-9)


def test_anomalies_are_tfdvs(parcels: tuple[list[SplitStatistics], Validation]) -> None:
    """The same names for the same columns, by the same expectations, but for those that are Stork's own."""
    found: dict[str, set[str]] = {}
    for anomaly in parcels[1].anomalies:
        if anomaly.span == 2 and anomaly.name not in OWN:
            found.setdefault(anomaly.column, set()).add(anomaly.name)

    assert found == {column: set(names) for column, names in PARCELS["anomalies"].items()}
