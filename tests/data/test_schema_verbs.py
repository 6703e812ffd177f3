"""`stork schema` on real spans: a first data.toml, what a changed span asks of it, and a change that is on record."""

import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from listener import Listener
from parcels import HEADER, parcel_rows, write_csv, write_parcels

from stork.cli import cli
from stork.config import Settings
from stork.data.schema_review import leave, open_review
from stork.errors import Conflict
from stork.orchestration.runner import start
from stork.store.audit import last_lines

STEPS = ["ingest", "statistics", "validate"]
DATA = """\
# Reviewed by the post office.

[column.zone]
# Not every parcel has one.
min_fraction = 0.75  # as the form says

[column.colour]
kind = "text"
"""
UNCOMPARED = "".join(f'[column.{name}]\nmeasure = "off"\n' for name in HEADER.split(","))  # calibration takes a second


@dataclass(frozen=True)
class Deployment:
    """A model of parcels with one span of 1,000 rows."""

    settings: Settings
    home: Path

    @property
    def data(self) -> Path:
        return self.settings.models / "parcels" / "data.toml"

    def verb(self, *words: str) -> Result:
        return CliRunner(env=self.settings.environment()).invoke(cli, ["schema", *words])

    def arrive(self, place: int, value: str, share: float) -> str:
        """A second span, with this value in a share of the rows; the verdict on it."""
        header, *lines = (self.home / "rows.csv").read_text().splitlines()
        changed = [self.change(line, place, value) if i < share * len(lines) else line for i, line in enumerate(lines)]
        path = self.home / "more.csv"
        path.write_text("\n".join([header, *changed]) + "\n")
        return self.verdict({"data": [str(path)]}, STEPS)

    def widen(self, widths: list[object]) -> str:
        """A second span, of 1,200 rows that have a column more, with these values in turn; the verdict on it."""
        header, *lines = write_csv(self.home / "wide.csv", parcel_rows(1200, seed=1)).read_text().splitlines()
        wide = [f"{line},{widths[place % len(widths)]}" for place, line in enumerate(lines)]
        (self.home / "wide.csv").write_text("\n".join([f"{header},width", *wide]) + "\n")
        return self.verdict({"data": [str(self.home / "wide.csv")]}, STEPS)

    def verdict(self, asked: dict[str, object], steps: list[str]) -> str:
        record = start(self.settings, "parcels", steps, asked, Listener())
        return str(record.steps["validate"].summary["verdict"])

    @staticmethod
    def change(line: str, place: int, value: str) -> str:
        cells = line.split(",")
        cells[place] = value
        return ",".join(cells)


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    settings = Settings(models=tmp_path / "model", root=tmp_path / "var", log=str(tmp_path / "log"))
    write_parcels(settings.models)
    write_csv(tmp_path / "rows.csv", parcel_rows(1000))
    found = Deployment(settings, tmp_path)
    found.verdict({"data": [str(tmp_path / "rows.csv")]}, STEPS)
    return found


def test_a_first_schema_takes_the_span_it_comes_from(deployment: Deployment) -> None:
    """`infer --write` leaves a data.toml by which the same rows are valid."""
    assert deployment.verb("infer", "parcels", "--write").exit_code == 0
    columns = tomllib.loads(deployment.data.read_text())["column"]

    assert 0 < columns["zone"]["min_fraction"] < 1 and "kilograms" not in columns
    assert deployment.verdict({}, ["validate"]) == "VALID"


def test_a_schema_is_not_replaced_by_accident(deployment: Deployment) -> None:
    """Printing changes nothing; what is there is only replaced by force."""
    deployment.data.write_text(DATA)
    printed = deployment.verb("infer", "parcels")
    refused = deployment.verb("infer", "parcels", "--write")

    assert "[column.zone]" in printed.output and refused.exit_code == 1 and "--force" in refused.output
    assert deployment.data.read_text() == DATA


def test_no_difference_is_said(deployment: Deployment) -> None:
    """A span that is as expected asks for nothing, and nothing is written."""
    deployment.data.write_text(DATA)

    assert deployment.verb("diff", "parcels").exit_code == 0
    assert "nothing to change" in deployment.verb("accept", "parcels", "--reason", "why not").output
    assert deployment.data.read_text() == DATA


@pytest.mark.parametrize(
    ("place", "value", "share", "name"),
    [
        (1, "", 0.5, "FEATURE_TYPE_LOW_FRACTION_PRESENT"),
        (2, "fast", 1.0, "COMPARATOR_L_INFTY_HIGH"),
        (0, "", 0.1, "FEATURE_TYPE_LOW_FRACTION_PRESENT"),
    ],
)
def test_what_is_accepted_is_valid(deployment: Deployment, place: int, value: str, share: float, name: str) -> None:
    """A changed span is NOT_VALID, the diff names the anomaly, and after `accept` the same rows are VALID."""
    deployment.data.write_text(DATA)
    assert deployment.arrive(place, value, share) == "NOT_VALID"
    shown = deployment.verb("diff", "parcels")
    assert shown.exit_code == 1 and f"change: {name}: span 2" in shown.output
    assert deployment.verb("accept", "parcels", "--reason", "a new counter").exit_code == 0

    assert deployment.verdict({}, ["validate"]) == "VALID"


def test_everything_else_of_the_file_stays(deployment: Deployment) -> None:
    """Only lines that change differ; comments are kept, and the reason stands beside the change with date and span."""
    deployment.data.write_text(DATA)
    deployment.arrive(1, "", 0.5)
    deployment.verb("accept", "parcels", "--reason", "a new counter", "--only", "zone")
    before, after = DATA.splitlines(), deployment.data.read_text().splitlines()

    assert [line for line in before if line not in after] == ["min_fraction = 0.75  # as the form says"]
    assert re.match(r"min_fraction = 0\.\d+  # as the form says; \d{4}-\d\d-\d\d, span 2: a new counter$", after[4])


def test_what_is_accepted_is_audited(deployment: Deployment) -> None:
    """Who, which span, why, and each change."""
    deployment.arrive(2, "fast", 1.0)
    deployment.verb("accept", "parcels", "--reason", "a new counter")
    (line,) = (line for line in last_lines(deployment.settings, 50) if line["what"] == "schema")

    assert (line["span"], line["reason"], line["outcome"]) == (2, "a new counter", "done")
    assert any("COMPARATOR_L_INFTY_HIGH: span 2, service" in change for change in line["changes"])


def test_only_some_columns(deployment: Deployment) -> None:
    """`--only` changes nothing but these; one that needs no change is an error."""
    deployment.arrive(2, "fast", 1.0)
    done = deployment.verb("accept", "parcels", "--reason", "typo", "--only", "servce")

    assert done.exit_code == 1 and "servce" in done.output and not deployment.data.exists()


def test_a_domain_is_for_a_person(deployment: Deployment) -> None:
    """A value that model.toml does not list is not accepted into data.toml: the sentence says what model.toml lacks."""
    deployment.data.write_text(DATA)
    deployment.arrive(2, "sail", 0.04)
    shown = deployment.verb("diff", "parcels")

    assert shown.exit_code == 1
    assert "model.toml, the model's contract, must change by hand: `values` of service has no 'sail'" in shown.output


def test_an_accepted_difference_is_of_one_span(deployment: Deployment) -> None:
    """The next span that differs as much is an error again."""
    deployment.arrive(2, "fast", 1.0)
    deployment.verb("accept", "parcels", "--reason", "a new counter")
    assert deployment.verdict({}, ["validate"]) == "VALID"

    assert deployment.arrive(2, "slow", 1.0) == "NOT_VALID"


@pytest.mark.parametrize(
    ("declared", "widths", "change"),
    [
        ('[column.width]\nkind = "integer"', ["wide"], "so column.width.kind becomes 'text'"),
        ("[column.width]\nkind = 'integer'\nrange = [1, 4]", [2, 40], "so column.width.range becomes [1.0, 40.0]"),
        ("[column.width]\nunique = [1, 2]", [2, 3, 5], "so column.width.unique becomes [1, 3]"),
        ("[column.width]\nmin_fraction = 1.0", [2, ""], "so column.width.min_fraction becomes 0."),
        ("[examples]\nmax = 900", [2], "so examples.max becomes 1200"),
        ("[examples]\nmin = 1100", [2], "so examples.min becomes 1000"),
        ("[examples]\nmax_ratio = 1.1", [2], "so examples.max_ratio becomes 1.2"),
        ("[examples]\nunique = true", [2], "so examples.unique becomes false"),
    ],
)
def test_every_change_that_is_proposed_puts_right(
    deployment: Deployment, declared: str, widths: list[object], change: str
) -> None:
    """A second span breaks what data.toml says; the diff names the one change, and with it both spans are VALID."""
    deployment.data.write_text(f"{UNCOMPARED}{declared}\n")
    assert deployment.widen(widths) == "NOT_VALID"
    assert change in deployment.verb("diff", "parcels").output
    assert deployment.verb("accept", "parcels", "--reason", "another printer").exit_code == 0

    assert deployment.verdict({}, ["validate"]) == "VALID" and deployment.verb("diff", "parcels").exit_code == 0


def test_who_comes_second_writes_over_nothing(deployment: Deployment) -> None:
    """Two read data.toml, one writes: the other is refused, and the first change stays."""
    deployment.data.write_text(DATA)
    one, other = (open_review(deployment.settings, "parcels") for _ in range(2))
    leave(deployment.settings, one, DATA + "# one\n")

    with pytest.raises(Conflict, match=r"data\.toml: expected it as it was read, somebody changed it meanwhile"):
        leave(deployment.settings, other, DATA + "# other\n")
    assert deployment.data.read_text() == DATA + "# one\n"


@pytest.mark.skipif(not Path("/sys").is_dir(), reason="needs /sys, where nobody makes files")
def test_a_read_only_place_is_named(deployment: Deployment) -> None:
    """A declaration that is shipped read-only is changed elsewhere: the error says which file."""
    review = replace(open_review(deployment.settings, "parcels"), path=Path("/sys/data.toml"))
    with pytest.raises(Conflict, match=r"/sys/data\.toml: expected a place that can be written"):
        leave(deployment.settings, review, "")


def test_a_file_that_cannot_be_read_is_said(deployment: Deployment) -> None:
    """The verb ends with a sentence, not with a traceback."""
    deployment.arrive(2, "fast", 1.0)
    deployment.data.mkdir()
    done = deployment.verb("accept", "parcels", "--reason", "a new counter")

    assert done.exit_code == 1 and "data.toml" in done.output and "Traceback" not in done.output
