"""What docs/data.md says of the sample and of the real rows is so."""

import re
from pathlib import Path

import numpy as np
import pytest

from stork.config import PROJECT
from stork.data.sample import generate, load_sample
from stork.data.sources import Rows, read_rows
from stork.declaration import Declaration

NATALITY = PROJECT.parent / "shared" / "data" / "natality"
WHERE = "year is null or year::int between 1989 and 2002"
FIGURE = re.compile(r"^\| (?P<figure>[a-z_ ]+) \| (?P<real>-?[\d.]+) \| (?P<generated>-?[\d.]+) \|$", re.MULTILINE)
STATED = [match.groupdict() for match in FIGURE.finditer((PROJECT / "docs" / "data.md").read_text())]


def figure_of(rows: Rows, figure: str) -> float:
    """A figure that docs/data.md names in words: a mean, a standard deviation, a correlation with the label."""
    name = figure.split()[-1]
    values = rows.label if name == "weight_pounds" else np.array(rows.columns[name], float)  # None becomes NaN
    known = ~np.isnan(values)
    if figure.startswith("correlation"):
        return float(np.corrcoef(values[known], rows.label[known])[0, 1])
    return float(np.std(values[known]) if figure.startswith("standard deviation") else np.mean(values[known]))


@pytest.fixture(scope="module")
def generated(declaration: Declaration) -> Rows:
    """The generated rows that docs/data.md speaks of."""
    return generate(declaration, load_sample(PROJECT / "model" / "babyweight" / "sample.json"), 24_000, seed=1)


@pytest.fixture(scope="module")
def real(declaration: Declaration) -> Rows:
    """The rows version 1 was trained on, where they are at hand."""
    files = [NATALITY / "nchs_trunc.csv.gz", NATALITY / "bq_caret.csv.gz"]
    if not all(map(Path.exists, files)):
        pytest.skip("the real birth records are not part of this repository")
    return read_rows(declaration, files, WHERE)


def test_the_document_states_the_figures() -> None:
    """The table is there, and is read by these tests."""
    assert len(STATED) == 16


@pytest.mark.parametrize("stated", STATED, ids=lambda stated: stated["figure"])
def test_the_sample_is_as_stated(generated: Rows, stated: dict[str, str]) -> None:
    """A figure of the generated rows is the one in the document."""
    assert figure_of(generated, stated["figure"]) == pytest.approx(float(stated["generated"]), abs=0.0006)


@pytest.mark.parametrize("stated", STATED, ids=lambda stated: stated["figure"])
def test_the_sample_is_close_to_the_rows(stated: dict[str, str]) -> None:
    """A figure of the generated rows differs from the real one by at most 0.03."""
    assert float(stated["generated"]) == pytest.approx(float(stated["real"]), abs=0.03)


@pytest.mark.parametrize("stated", STATED, ids=lambda stated: stated["figure"])
def test_the_real_rows_are_as_stated(real: Rows, stated: dict[str, str]) -> None:
    """A figure of the real rows is the one in the document."""
    assert figure_of(real, stated["figure"]) == pytest.approx(float(stated["real"]), abs=0.0006)


@pytest.mark.tensorflow
def test_the_split_is_as_stated(real: Rows, declaration: Declaration) -> None:
    """The document's numbers of rows are those of the real split."""
    from stork.data.split import split_rows

    assert [len(side) for side in split_rows(real, declaration.training)] == [19_023, 2_584, 2_332]
