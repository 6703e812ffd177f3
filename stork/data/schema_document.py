"""data.toml as text: what a change does to it, everything else as it was; and the first one of a model."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stork.data.expectations import Expectation, expect
from stork.data.schema_changes import Change, least_fraction
from stork.data.statistics import ALL, ColumnStatistics, SpanStatistics
from stork.declaration import Declaration
from stork.declaration.data_schema import DataSchema
from stork.report.page import count, percent

if TYPE_CHECKING:
    from tomlkit.items import Table

HEADER = """\
# What the rows should look like beyond what model.toml says. First written by `stork schema infer` from the {rows} rows
# of span {span}. Review every line: what only this span has does not belong here.

"""


@dataclass(frozen=True)
class Note:
    """Who changes data.toml, when and why: it stands beside each change."""

    reason: str
    by: str
    date: str

    def beside(self, span: int) -> str:
        return f"{self.date}, span {span}: {' '.join(self.reason.split())}"


def apply_changes(text: str, changes: Iterable[Change], note: Note) -> str:
    """The text with these changes, each with its note; other lines, comments and their order stay."""
    import tomlkit

    document = tomlkit.parse(text)
    accepted: dict[int, list[str]] = {}
    for change in changes:
        if change.table == ("accepted",):
            accepted.setdefault(change.anomaly.span, []).append(change.anomaly.column)
        else:
            set_key(document, change, note)
    for span, columns in accepted.items():
        block = tomlkit.table()
        facts = {"columns": sorted(set(columns)), "span": span, "reason": note.reason, "by": note.by, "date": note.date}
        block.update(facts)
        if "accepted" not in document:
            space(document)
            document.add("accepted", tomlkit.aot())
        document["accepted"].append(block)
    return tomlkit.dumps(document)


def set_key(document: Any, change: Change, note: Note) -> None:
    """One key, with its note as a comment on its line, after the comment that is there."""
    import tomlkit

    table = document
    for name in change.table:
        if name not in table:
            is_inner = name != change.table[-1]
            if not is_inner:
                space(document)
            table.add(name, tomlkit.table(is_super_table=is_inner))
        table = table[name]
    value: Any = tomlkit.item(change.value)
    before = table.value.item(change.key).trivia.comment.lstrip("# ") if change.key in table else ""
    value.comment("; ".join(filter(None, (before, note.beside(change.anomaly.span)))))
    value.trivia.comment_ws = "  "
    if change.key in table:
        table[change.key] = value
    else:
        append(table, change.key, value)


def append(table: "Table", key: str, value: Any) -> None:
    """Add a key as the last line of a table, before the empty lines and comments that lead to the next one."""
    from tomlkit.items import Comment, Key, Whitespace

    body = table.value.body
    keys = [held for held, item in body if isinstance(held, Key) and not isinstance(item, Comment | Whitespace)]
    if keys:
        table.value._insert_after(keys[-1], key, value)
    else:
        table.value._insert_at(0, key, value) if body else table.add(key, value)


def space(document: Any) -> None:
    """An empty line at the end, before a new table."""
    import tomlkit

    if document.body and not tomlkit.dumps(document).endswith("\n\n"):
        document.add(tomlkit.nl())


def first_text(statistics: SpanStatistics, declaration: Declaration) -> str:
    """A data.toml that follows from the rows of a span: how often a column is known, and what the others are."""
    schema = DataSchema()
    everything = statistics.splits[ALL]
    expected = expect(declaration, schema)
    rate = schema.comparing.false_alarms / max(1, len(everything.columns))
    parts = [HEADER.format(rows=count(everything.rows), span=statistics.span)]
    parts.append(f"[comparing]\nfalse_alarms = {schema.comparing.false_alarms}\n")
    for column in everything.columns:
        lines = list(lines_of(column, expected.get(column.name), rate))
        if lines or column.name not in expected:
            parts.append("\n".join([f"\n[column.{key_of(column.name)}]", *lines, ""]))
    return "".join(parts)


def lines_of(column: ColumnStatistics, wanted: Expectation | None, rate: float) -> Iterable[str]:
    """What is said of one column; nothing of a required one that model.toml says all of."""
    is_declared = wanted is not None and (wanted.is_feature or wanted.is_label)
    if not is_declared and column.kind != "nothing":
        yield f'kind = "{column.kind}"'
    if column.known and not (wanted and wanted.is_required):
        least = least_fraction(column.known, column.rows, rate)
        yield f"min_fraction = {least}  # known in {percent(column.known / column.rows)} of {count(column.rows)} rows"
    if column.known and column.min_values != 1 and not is_declared:
        yield f"min_values = {column.min_values}"
    if column.known and column.max_values != 1 and not is_declared:
        yield f"max_values = {column.max_values}"
    if not is_declared:
        if column.known > 1 and column.unique in (1, column.known):
            same = "the same in every row" if column.unique == 1 else "different in every row"
            yield f'measure = "off"  # {same}'
        yield 'environments = ["TRAINING"]'


def key_of(name: str) -> str:
    """A name as a TOML key, in quotes where it has to be."""
    import tomlkit

    return tomlkit.key(name).as_string()
