"""The step `statistics`: every span in play, once; two of them beside each other; what stands out in sentences."""

import re
from pathlib import Path

import pytest
from listener import Listener
from parcels import parcel_rows, write_csv, write_parcels

from stork.config import PROJECT, Settings
from stork.data.findings import find
from stork.data.statistics import ALL
from stork.data.statistics_step import file_of, read_statistics
from stork.errors import NotFound
from stork.orchestration.dag import steps_until
from stork.orchestration.runner import start
from stork.store.runs import newest_output

pytestmark = pytest.mark.tensorflow
NATALITY = PROJECT.parent / "shared" / "data" / "natality"


@pytest.fixture
def deployment(settings: Settings, tmp_path: Path) -> Settings:
    """The parcels model, nothing ingested."""
    made = Settings(models=tmp_path / "model", root=settings.root, log="off")
    write_parcels(made.models)
    return made


def describe(settings: Settings, path: Path, model: str = "parcels", **parameters: object) -> tuple[Path, list[str]]:
    """Run the pipeline up to the step; its folder, and what it said."""
    listener = Listener()
    start(settings, model, steps_until("statistics"), {"data": [str(path)], **parameters}, listener)
    folder = newest_output(settings, model, "statistics")
    assert folder is not None
    return folder, listener.said


def test_refused_rows_count_among_all(deployment: Settings, tmp_path: Path) -> None:
    """What was refused is told with its reason, and what it held is part of `all`."""
    path = write_csv(tmp_path / "rows.csv", parcel_rows(300))
    path.write_text(path.read_text() + "heavy,1,slow,true,a,9\n99,1,slow,true,a,9\n")
    folder, said = describe(deployment, path)
    found = read_statistics(folder / file_of(1))
    column = found.splits[ALL].column("kilograms")

    assert column is not None and column.numbers is not None
    assert (found.splits[ALL].rows, found.splits["refused"].rows, column.unparsed, column.numbers.max) == (
        302,
        2,
        1,
        99,
    )
    assert "kilograms: 1 values are not of the kind number, such as 'heavy'" in said
    assert any("1 of 302 rows (0.3%) were refused: kilograms: outside 0 to 30" in line for line in said)


def test_a_span_is_described_once(deployment: Settings, tmp_path: Path) -> None:
    """The next run takes what is known of it, and shows the newest span beside the one before it."""
    describe(deployment, write_csv(tmp_path / "one.csv", parcel_rows(200)))
    folder, said = describe(deployment, write_csv(tmp_path / "two.csv", parcel_rows(250)))

    assert [line for line in said if line.startswith("span 1: as run")]
    assert {path.name for path in folder.iterdir()} == {"span-1.json", "span-2.json", "statistics.html"}
    assert "the rows of span 2, beside span 1" in (folder / "statistics.html").read_text()


def test_statistics_of_another_form_are_made_anew(deployment: Settings, tmp_path: Path) -> None:
    """What an earlier Stork left, in a form that this one does not read, stops nothing."""
    folder, _ = describe(deployment, write_csv(tmp_path / "one.csv", parcel_rows(200)))
    (folder / file_of(1)).write_text('{"model": "parcels"}')
    _, said = describe(deployment, write_csv(tmp_path / "two.csv", parcel_rows(250)))

    assert "span 1: 200 rows, 6 columns" in said


def test_any_two_spans_can_be_compared(deployment: Settings, tmp_path: Path) -> None:
    """In the order given; one that is not there is said to be missing."""
    for number in range(3):
        describe(deployment, write_csv(tmp_path / f"{number}.csv", parcel_rows(100 + number)))
    folder, _ = describe(deployment, tmp_path / "0.csv", compare=[1, 3])

    assert "the rows of span 1, beside span 3" in (folder / "statistics.html").read_text()
    with pytest.raises(NotFound, match="parcels has no span 9"):
        describe(deployment, tmp_path / "0.csv", compare=[1, 9])


def test_the_report_is_one_file_of_one_size(deployment: Settings, tmp_path: Path) -> None:
    """Ten times the rows are told in as much text, and no address, script or path of the machine is in it."""
    sizes = []
    for count in (2_000, 20_000):
        folder, _ = describe(deployment, write_csv(tmp_path / f"{count}.csv", parcel_rows(count)), compare=[1, 1])
        html = (folder / "statistics.html").read_text()
        sizes.append(len(html))
        assert not re.search(r"<script|<link|<img|https?:", html) and str(tmp_path) not in html

    assert sizes[1] < sizes[0] * 1.1


def test_alcohol_copies_cigarettes_in_the_exported_rows(settings: Settings) -> None:
    """On real rows the statistics find by themselves that two features say the same, in every row that has both."""
    path = NATALITY / "bq_caret.csv.gz"
    if not path.is_file():
        pytest.skip("needs the real birth rows in ../shared/data/natality")
    folder, _ = describe(settings, path, "babyweight")
    found = find(read_statistics(folder / file_of(1)), "weight_pounds")

    assert found[0] == "alcohol_use equals cigarette_use in all 693 rows where both are known"


@pytest.mark.parametrize("column", ["zone", "shop"])
def test_what_is_missing_everywhere_stands_out(deployment: Settings, tmp_path: Path, column: str) -> None:
    """A feature that no row has."""
    rows = parcel_rows(100)
    rows.columns[column] = [None] * 100
    _, said = describe(deployment, write_csv(tmp_path / "rows.csv", rows))

    assert f"{column} is missing in every row" in said
