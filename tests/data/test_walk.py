"""What docs/validation.md says that validation finds in the real rows, it finds."""

import re
from pathlib import Path

import pytest

from bench.validation import WALK, Spans, tell_walk
from stork.config import PROJECT

pytestmark = pytest.mark.tensorflow
NATALITY = PROJECT.parent / "shared" / "data" / "natality"
TEXT = (PROJECT / "docs" / "validation.md").read_text()
STATED = [
    cells
    for line in TEXT.splitlines()
    if len(cells := tuple(re.split(r" *\| *", line.strip("| ")))) == 6 and cells[2] in ("error", "warning")
]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, ...]]:
    """Everything that is found on the way, where the rows are at hand."""
    if not all((NATALITY / f"{name}.csv.gz").exists() for _, name, _, _ in WALK):
        pytest.skip("the real birth records are not part of this repository")
    return set(tell_walk(Spans.below(tmp_path_factory.mktemp("walk"), Path(NATALITY))))


def test_the_document_states_what_is_found() -> None:
    """The table is there, and is read by these tests."""
    assert len(STATED) == 30


@pytest.mark.parametrize("stated", STATED, ids=lambda cells: f"{cells[0]} {cells[3]} {cells[4]}")
def test_a_change_of_the_real_rows_is_found(found: set[tuple[str, ...]], stated: tuple[str, ...]) -> None:
    """A line of the table is found by its name, with its number."""
    assert stated in found
