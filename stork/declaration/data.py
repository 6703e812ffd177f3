"""The sections that say which rows a model learns from, and what a sample of them is made of."""

from typing import Annotated

import msgspec

from stork.declaration.section import Seconds, Section

SPAN_COLUMNS = ("fingerprint", "reason")  # that the files of a span have of their own


class Table(Section, frozen=True):
    """A frequency table of the sample: how often each value of `feature` occurs, given the values of `given`."""

    feature: str
    given: tuple[str, ...] = ()


class Sample(Section, frozen=True):
    """How sample.json is computed from real rows: no cell has fewer than `cell` rows."""

    cell: int = 10
    tables: tuple[Table, ...] = ()
    label_given: tuple[str, ...] = ()


class Source(Section, frozen=True):
    """
    Where rows come from: one of four.

    `files`: CSV or Parquet, globs too, from the project's folder where not absolute. `sample`: so many rows generated
    from sample.json. `bigquery`: a file of GoogleSQL in the model's folder, run in `project`. `subscription`: messages
    of projects/P/subscriptions/S, a window of at most `seconds` and `messages` at a time. `where` is an SQL condition
    on the rows, as DuckDB takes it.
    """

    files: tuple[str, ...] = ()
    sample: Annotated[int, msgspec.Meta(ge=0)] = 0
    bigquery: str = ""
    project: str = ""
    subscription: str = ""
    seconds: Seconds = 60.0
    messages: Annotated[int, msgspec.Meta(ge=1)] = 100_000
    where: str = "true"


class Data(Section, frozen=True):
    """
    The rows a model is trained on.

    `key` names the columns that say which rows belong together, so that a split never parts them (default: all
    features). `time` names the column that says when a row is of, a year or a date (default: when its span was made).
    Training takes the newest `spans` spans; 0: all.
    """

    key: tuple[str, ...] = ()
    time: str = ""
    spans: Annotated[int, msgspec.Meta(ge=0)] = 0
    sources: tuple[Source, ...] = msgspec.field(default=(), name="source")
