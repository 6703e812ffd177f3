"""The rows that a benchmark of quality trains and tests on: files, or what sample.json generates."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from stork.config import Settings
from stork.data.fetch import SAMPLE_ROWS, SAMPLE_SEED
from stork.data.sample import generate, load_sample
from stork.data.sources import Rows, read_rows
from stork.data.spans import Splits
from stork.data.split import split_rows
from stork.declaration import Declaration
from stork.store.registry import Registry


def taking_rows(main: Callable[..., None]) -> Any:
    """A decorator: the options that say which rows; the function gets registry, declaration, rows and splits."""

    @click.option("--model", default="babyweight", show_default=True, help="The model whose declaration is trained.")
    @click.option("--data", multiple=True, type=click.Path(path_type=Path), help="CSV or Parquet file; repeatable.")
    @click.option("--where", default="true", help="SQL condition on the rows of --data.")
    @functools.wraps(main)
    def command(model: str, data: tuple[Path, ...], where: str, **others: Any) -> None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        registry = Registry(Settings.from_environment())
        declaration = registry.declaration(model)
        rows = choose_rows(registry, declaration, data, where)
        main(registry, declaration, rows, Splits(*split_rows(rows, declaration.training)), **others)

    return command


def choose_rows(registry: Registry, declaration: Declaration, data: tuple[Path, ...] = (), where: str = "true") -> Rows:
    """The rows of the files; without files, generated ones."""
    if data:
        return read_rows(declaration, list(data), where)
    tables = load_sample(registry.home(declaration.model.name) / "sample.json")
    return generate(declaration, tables, SAMPLE_ROWS, SAMPLE_SEED)
