"""What is asked of columns, sizes, keys, splits and the label: each breach by its name, expected and received."""

from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from arrivals import Deployment, change
from parcels import HEADER

from stork.data.spans import find_spans
from stork.store.files import write_atomically

pytestmark = pytest.mark.tensorflow


def write_lists(deployment: Deployment, path: Path, lengths: tuple[int, ...]) -> Path:
    """The first rows as Parquet, `zone` being a list of so many values, row by row over again."""
    cells = [line.split(",") for line in deployment.lines]
    names = ("kilograms", "zone", "service", "insured", "shop", "cost")
    columns: dict[str, Any] = {name: [row[i] for row in cells] for i, name in enumerate(names)}
    columns["zone"] = [[1] * lengths[i % len(lengths)] for i in range(len(cells))]
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path


@pytest.mark.parametrize(
    ("lengths", "expects", "said"),
    [
        ((1, 1, 3), "", "HIGH_NUMBER_VALUES: span 2, zone: expected at most 1 value in a row, received a row with 3"),
        (
            (2, 3),
            "min_values = 3\nmax_values = 3",
            "LOW_NUMBER_VALUES: span 2, zone: expected at least 3 values in a row",
        ),
        ((0, 2), "min_values = 2\nmax_values = 2", ""),
    ],
)
def test_a_row_has_as_many_values_as_expected(
    deployment: Deployment, tmp_path: Path, lengths: tuple[int, ...], expects: str, said: str
) -> None:
    """Lists of a Parquet file, of rows that have any value: shorter ones, longer ones, and those that are right."""
    deployment.expect(f"[column.zone]\n{expects}\n")
    deployment.take(write_lists(deployment, tmp_path / "lists.parquet", lengths))

    found = [line for line in deployment.told().splitlines() if "NUMBER_VALUES: span 2" in line]

    assert len(found) == bool(said) and said in "".join(found)


@pytest.mark.parametrize(
    ("expects", "rows", "said"),
    [
        ("min = 600", 500, "DATASET_LOW_NUM_EXAMPLES: span 2: expected at least 600 rows, received 500"),
        ("max = 800\nmax_ratio = 9", 900, "DATASET_HIGH_NUM_EXAMPLES: span 2: expected at most 800 rows, received 900"),
        ("min_ratio = 0.5", 499, "COMPARATOR_LOW_NUM_EXAMPLES: span 2: expected at least 0.5 times"),
        ("max_ratio = 0.5", 501, "received 501 rows after 1,000: 0.501 times"),
        ("min_ratio = 0.5\nmax_ratio = 0.5\nmin = 500", 500, ""),
    ],
)
def test_a_span_has_as_many_rows_as_expected(deployment: Deployment, expects: str, rows: int, said: str) -> None:
    """Alone, and beside the span before; what is just at a limit passes."""
    deployment.expect(f"[examples]\n{expects}\n")
    deployment.arrive(deployment.lines[:rows])
    found = [line for line in deployment.told().splitlines() if "NUM_EXAMPLES: span 2" in line]

    assert len(found) == bool(said) and said in "".join(found)


def test_a_key_that_occurs_twice_is_named(deployment: Deployment) -> None:
    """Where keys are to be unique, a row that came twice is counted, in the span that has it."""
    deployment.expect("[examples]\nunique = true\n")
    rows = [*deployment.lines[:500], deployment.lines[0]]
    deployment.arrive(rows)
    again = len(rows) - len({line.rsplit(",", 1)[0] for line in rows})

    assert f"error: KEY_NOT_UNIQUE: span 2: expected a key of its own for every row, received {again} of 501 rows" in (
        deployment.told()
    )


def test_a_key_in_two_splits_is_an_error(deployment: Deployment) -> None:
    """Rows of the training split that stand in another, too, as somebody copied the file there."""
    (span,) = find_spans(deployment.settings, "parcels", [1])
    write_atomically(span.path("test"), span.path("train").read_bytes())
    deployment.arrive(deployment.lines[:500])

    assert "error: SPLIT_SHARES_KEY: span 2: expected every key in one split, received " in deployment.told()


def test_rows_that_agree_in_two_splits_are_a_warning(deployment: Deployment) -> None:
    """With a key of its own each, the same features may fall into several splits: said, not refused."""
    path = deployment.settings.models / "parcels" / "model.toml"
    path.write_text(path.read_text() + '\n[data]\nkey = ["order"]\n')
    deployment.arrive([f"{deployment.lines[0]},{order}" for order in range(200)], f"{HEADER},order")

    assert "warning: SPLIT_SHARES_ROW: span 2: expected rows that agree in all features in one split, received " in (
        deployment.told()
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("7", "error: LABEL_CONSTANT: span 2, cost: expected different values, received 7 in all 1,000 rows"),
        ("", "error: FEATURE_TYPE_NOT_PRESENT: span 2, cost: expected a value in all of the rows, received a column"),
    ],
)
def test_a_label_that_teaches_nothing_is_an_error(deployment: Deployment, value: str, said: str) -> None:
    """One that is always the same, and one that is never there."""
    deployment.arrive([change(line, 5, value) for line in deployment.lines])

    assert said in deployment.told()


def test_a_lost_label_is_an_error(deployment: Deployment) -> None:
    """A source without the label's column."""
    deployment.arrive([line.rsplit(",", 1)[0] for line in deployment.lines], "kilograms,zone,service,insured,shop")

    assert "error: SCHEMA_MISSING_COLUMN: span 2, cost: expected the column" in deployment.told()


def test_a_feature_that_copies_the_label_is_an_error(deployment: Deployment) -> None:
    """Known when learning, unknown when serving: a correlation of 1 is named."""
    deployment.arrive([change(line, 0, line.split(",")[5]) for line in deployment.lines])

    assert (
        "error: LABEL_COPIED: span 2, kilograms: expected a correlation below 0.999, received a correlation of 1.0000"
        in (deployment.told())
    )


def test_a_feature_that_copies_another_is_a_warning(deployment: Deployment) -> None:
    """Two columns that agree wherever both are known."""
    deployment.arrive([change(line, 0, line.split(",")[1] or "1") for line in deployment.lines])

    assert "warning: FEATURE_COPIED: span 2, zone: expected other values than kilograms, received the same" in (
        deployment.told()
    )


@pytest.mark.parametrize("how", ["omit", "hash"])
def test_an_example_row_hides_what_the_log_hides(tmp_path: Path, how: str) -> None:
    """A row that is shown has no value of a feature that may not be logged; how often values occur is told."""
    deployment = Deployment.begin(tmp_path, log=f'{how} = ["shop"]')
    deployment.arrive([change(change(line, 4, "secret"), 0, "99") for line in deployment.lines])
    shown = [line for line in deployment.told().splitlines() if line.startswith("  for example ")]

    assert shown and all("shop=(omitted)" in line and "secret" not in line for line in shown)
