"""The declaration as SQL that DuckDB takes: the text of a column, its typed value, and what refuses a row."""

from collections.abc import Collection
from typing import Any

from stork.declaration import Feature, Output
from stork.schema.frozen import numeric_limits

Part = Feature | Output  # whatever is a column of the rows
TEXT = "text of "  # before a column's name: what the source holds, as text
LIST = "values of "  # before a column's name: the list of values that each row of the source holds


def judged_sql(parts: list[Part], others: list[str], where: str, lists: Collection[str] = ()) -> str:
    """
    A SELECT over the view `source`: each part typed and as text, the other columns as text, and `reason`.

    `reason` is the first thing wrong with a row, NULL where nothing is. Of columns that are `lists` the lists are
    there, too: one value of a part is a value, more are wrong.
    """
    held = [f"{quoted(name)} AS {quoted(LIST + name)}" for name in lists]
    single = [f"{single_sql(name)} AS {quoted(name)}" for name in lists if name not in others]
    replaced = f" REPLACE ({', '.join(single)})" if single else ""
    typed = [f"{typed_sql(part)} AS {quoted(part.name)}" for part in parts]
    texts = [f"{text_sql(part)} AS {quoted(TEXT + part.name)}" for part in parts]
    rest = [
        quoted(name) if name in lists else f"nullif({quoted(name)}::VARCHAR, '') AS {quoted(name)}" for name in others
    ]
    rest += [quoted(LIST + name) for name in lists]
    several = [
        (f"len({quoted(LIST + part.name)}) > 1", f"{part.name}: several values") for part in parts if part.name in lists
    ]
    checks = [*several, *(check for part in parts for check in checks_of(part))]
    tests = " ".join(f"WHEN {test} THEN {literal(reason)}" for test, reason in checks)
    return (
        f"WITH chosen AS (SELECT {', '.join([f'*{replaced}', *held])} FROM source WHERE {where}), "
        f"typed AS (SELECT {', '.join(typed + texts + rest)} FROM chosen) "
        f"SELECT *, CASE {tests} END AS reason FROM typed"
    )


def single_sql(name: str) -> str:
    """The value of a row that holds one; several as they read, which is of no type."""
    column = quoted(name)
    return f"CASE WHEN len({column}) = 1 THEN {column}[1]::VARCHAR WHEN len({column}) > 1 THEN {column}::VARCHAR END"


def is_text(part: Part) -> bool:
    """Whether the column holds text, and not a number or a boolean."""
    return isinstance(part, Feature) and (
        part.kind == "string" or (bool(part.values) and isinstance(part.values[0].value, str))
    )


def text_sql(part: Part) -> str:
    """A column as text; NULL where it is empty, or a number that is NaN, which is how some writers spell missing."""
    text = f"nullif(trim({quoted(part.name)}::VARCHAR), '')"
    return text if is_text(part) else f"CASE WHEN lower({text}) <> 'nan' THEN {text} END"


def typed_sql(part: Part) -> str:
    """A column as the feature's own type; NULL where it is missing or of another type."""
    text = text_sql(part)
    if is_text(part):
        return text
    if isinstance(part, Feature) and part.kind == "boolean":
        return f"try_cast({text} AS BOOLEAN)"
    number = f"try_cast({text} AS DOUBLE)"
    if isinstance(part, Feature) and part.kind in ("integer", "category"):
        return f"CASE WHEN {number} = trunc({number}) THEN try_cast({text} AS BIGINT) END"
    return number


def checks_of(part: Part) -> list[tuple[str, str]]:
    """SQL conditions that refuse a row, each with its reason; they read the typed column."""
    name = quoted(part.name)
    found = [(f"{name} IS NULL AND {quoted(TEXT + part.name)} IS NOT NULL", f"{part.name}: not of its type")]
    if isinstance(part, Output) or part.required:
        found.append((f"{name} IS NULL", f"{part.name}: missing"))
    if isinstance(part, Feature) and part.values and part.kind != "boolean":
        listed = ", ".join(literal(value.value) for value in part.values)
        found.append((f"{name} NOT IN ({listed})", f"{part.name}: outside its vocabulary"))
    elif isinstance(part, Output) or part.kind in ("number", "integer"):
        low, high = numeric_limits(part)
        found.append((f"NOT {name} BETWEEN {low} AND {high}", f"{part.name}: outside {low:g} to {high:g}"))
    return found


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: Any) -> str:
    """An SQL literal."""
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"
