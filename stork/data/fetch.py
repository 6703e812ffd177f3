"""Finding the rows that the declaration or the command line names, so that they can be ingested."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from stork.config import PROJECT, Settings
from stork.data.bigquery import select_rows
from stork.data.pubsub import MESSAGE_ID, Limits, Subscription, Window, pull_window, write_window
from stork.data.sample import generate, load_sample
from stork.data.sources import Fetched, Rows, label_of
from stork.data.spans import REFUSED, SPLITS, list_spans
from stork.declaration import Declaration, Source
from stork.errors import DataError

SAMPLE_ROWS = 24_000
SAMPLE_SEED = 1
REDELIVERY = timedelta(days=8)  # Pub/Sub keeps what was not acknowledged for at most seven


@dataclass(frozen=True)
class Fetcher:
    """Fetches for one model: `home` is its folder; what is no file yet goes to `scratch`."""

    settings: Settings
    declaration: Declaration
    home: Path
    scratch: Path
    progress: Callable[[int, int], None] = lambda done, total: None

    def fetch(self, source: Source) -> Fetched:
        """
        The rows of one source.

        Raises:
            DataError: no file is found, or a service does not give its rows.
        """
        if source.files:
            files = [path for pattern in source.files for path in find_files(pattern)]
            return Fetched(tuple(files), source.where)
        if source.bigquery:
            return self.select(source)
        if source.subscription:
            return self.pull(source)
        rows = generate(self.declaration, load_sample(self.home / "sample.json"), source.sample, SAMPLE_SEED)
        path = write_rows(self.declaration, rows, self.scratch / "sample.parquet")
        return Fetched((path,), source.where, "; ".join(rows.source))

    def select(self, source: Source) -> Fetched:
        """What BigQuery selects."""
        query = self.home / source.bigquery
        if not query.is_file():
            raise DataError(f"{query}: no such file; `[[data.source]] bigquery` names a file of GoogleSQL")
        path = self.scratch / f"{query.stem}.parquet"
        count = select_rows(self.settings.bigquery_api, source.project, query.read_text(encoding="utf-8"), path)
        return Fetched((path,), source.where, f"{count:,} rows of BigQuery, {query.name} in {source.project}")

    def pull(self, source: Source) -> Fetched:
        """A window of messages, given back once they are in a span."""
        api, name = self.settings.pubsub_api, source.subscription
        known = message_ids(self.settings, self.declaration.model.name)
        with closing(Subscription(api, name)) as subscription:
            window = pull_window(subscription, Limits(source.seconds, source.messages), known, self.progress)
        files: tuple[Path, ...] = ()
        if window.rows:
            files = (self.scratch / "messages.parquet",)
            write_window(window, *files)
        return Fetched(
            files,
            source.where,
            f"{len(window.rows):,} messages of {source.subscription}",
            f"{window.repeated:,} messages were delivered before: not taken again" if window.repeated else "",
            lambda: acknowledge(api, name, window),
        )


def acknowledge(api: str, name: str, window: Window) -> None:
    """Give the messages of a window back as done."""
    with closing(Subscription(api, name)) as subscription:
        subscription.acknowledge(window.acks)


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


def message_ids(settings: Settings, model: str) -> Iterator[str]:
    """The ids of messages that may come again and are in a span already."""
    import pyarrow.parquet

    for span in list_spans(settings, model):
        if datetime.now(UTC) - span.manifest.created < REDELIVERY:
            for part in (*SPLITS, REFUSED):
                if MESSAGE_ID in pyarrow.parquet.read_schema(span.path(part)).names:
                    table = pyarrow.parquet.read_table(span.path(part), columns=[MESSAGE_ID])
                    yield from table.column(MESSAGE_ID).to_pylist()
