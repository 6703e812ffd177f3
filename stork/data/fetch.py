"""Finding the rows that the declaration or the command line names, so that they can be ingested."""

from pathlib import Path

from stork.config import PROJECT
from stork.data.sample import generate, load_sample
from stork.data.sources import Fetched, Rows, label_of
from stork.declaration import Declaration, Source
from stork.errors import DataError

SAMPLE_ROWS = 24_000
SAMPLE_SEED = 1


def fetch(declaration: Declaration, home: Path, source: Source, scratch: Path) -> Fetched:
    """
    The files of one source. `home` is the model's folder; what is generated goes to `scratch`.

    Raises:
        DataError: the source names nothing, or no file is found.
    """
    if source.files:
        return Fetched(tuple(path for pattern in source.files for path in find_files(pattern)), source.where)
    if not source.sample:
        raise DataError("[[data.source]]: expected `files` or `sample`, received neither")
    rows = generate(declaration, load_sample(home / "sample.json"), source.sample, SAMPLE_SEED)
    return Fetched((write_rows(declaration, rows, scratch / "sample.parquet"),), source.where, *rows.source)


def find_files(pattern: str) -> list[Path]:
    """
    The files a path or glob names, sorted; not absolute, it is taken from the project's folder.

    Raises:
        DataError: there is none.
    """
    path = PROJECT / Path(pattern).expanduser()
    anchor = Path(path.anchor)
    found = sorted(anchor.glob(str(path.relative_to(anchor)))) if any(c in pattern for c in "*?[") else [path]
    missing = [str(file) for file in found if not file.is_file()]
    if missing or not found:
        raise DataError(f"{missing[0]}: no such file" if missing else f"{pattern}: no file matches it")
    return found


def write_rows(declaration: Declaration, rows: Rows, path: Path) -> Path:
    """The rows as a Parquet file, features and label."""
    import pyarrow
    import pyarrow.parquet

    columns = {**rows.columns, label_of(declaration).name: rows.label.tolist()}
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path
