"""A page that is one file: no script and nothing to fetch, so it reads the same in any browser, years later too."""

import functools
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from stork.config import PROJECT
from stork.store.files import write_atomically


def write_page(path: Path, template: str, **values: Any) -> None:
    """Fill in templates/report/`template` and leave it as `path`, whole or not at all."""
    write_atomically(path, render(template, **values).encode())


def render(template: str, **values: Any) -> str:
    """The page of templates/report/`template`; a name that it reads and is not given is an error."""
    return environment().get_template(template).render(**values)


@functools.cache
def environment() -> Environment:
    """Jinja over templates/report, with the filters below."""
    made = Environment(
        loader=FileSystemLoader(PROJECT / "templates" / "report"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(number=number, count=count, percent=percent)
    return made


def number(value: float | None, digits: int = 4) -> str:
    """
    A number with so many significant digits; a dash where there is none.

    >>> number(7.28341), number(38.0), number(123456.0), number(0.00001234), number(None)
    ('7.283', '38', '123,456', '1.234e-05', '-')
    """
    if value is None or value != value:
        return "-"
    if abs(value) >= 10**digits:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def count(value: int | None) -> str:
    """
    A count with separators.

    >>> count(427323)
    '427,323'
    """
    return "-" if value is None else f"{value:,}"


def percent(share: float | None) -> str:
    """
    A share as percent; one that is not 0 never reads as 0, one that is not all never as 100.

    >>> percent(0.391), percent(0.00004), percent(0.99999), percent(0.0), percent(1.0)
    ('39.1%', '<0.1%', '>99.9%', '0%', '100%')
    """
    if share is None or share != share:
        return "-"
    if share in (0, 1):
        return f"{share:.0%}"
    if 0 < share < 0.001:
        return "<0.1%"
    if 0.999 < share < 1:
        return ">99.9%"
    return f"{share:.1%}"
