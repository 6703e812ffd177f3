"""
How versions age on the real rows of docs/data.md: `make staleness ARGS="--data nchs_trunc.csv.gz"`.

By the verbs that a person types, which it prints, below a root that is empty at first: a version learns from the rows
of the first years, a second one from those and the next; then come spans of later years. What `evaluate` says then of
those before the candidate is how they aged. Needs what `make test` installs.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import click

PROJECT = Path(__file__).resolve().parent.parent
MODEL = "babyweight"
TIME = "year"  # the column
PUSHED = ((1989, 1991), (1992, 1993))  # a version after each
LATER = ((1994, 1996), (1997, 1999), (2000, 2002), (2003, 2004), (2005, 2006))
WAIVED = "years differ, and that is the question"


def declare(models: Path) -> None:
    """The shipped declaration without its versions, with the column that says when a row is of."""
    home = models / MODEL
    home.mkdir(parents=True)
    text = (PROJECT / "model" / MODEL / "model.toml").read_text()
    (home / "model.toml").write_text(f'{text}\n[data]\ntime = "{TIME}"\n')
    (home / "sample.json").symlink_to(PROJECT / "model" / MODEL / "sample.json")


def stork(environment: dict[str, str], *words: str) -> str:
    """
    What a verb says; the verb itself is printed.

    Raises:
        ClickException: it failed.
    """
    click.echo(f"$ stork {' '.join(repr(word) if ' ' in word else word for word in words)}")
    done = subprocess.run(
        [sys.executable, "-m", "stork", *words],
        cwd=PROJECT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise click.ClickException(done.stdout[-2000:] + done.stderr[-2000:])
    return done.stdout


def ingest(environment: dict[str, str], data: str, years: tuple[int, int]) -> None:
    """A span of the rows of these years."""
    where = f"{TIME}::int between {years[0]} and {years[1]}"
    stork(environment, "ingest", MODEL, "--data", data, "--where", where)


def learn(environment: dict[str, str]) -> str:
    """A candidate of all spans; what its evaluation says."""
    stork(environment, "statistics", MODEL)
    stork(environment, "validate", MODEL, "--waive-data", WAIVED)
    for step in ("transform", "train"):
        stork(environment, step, MODEL)
    return stork(environment, "evaluate", MODEL)


@click.command()
@click.option("--data", required=True, type=click.Path(exists=True), help="nchs_trunc.csv.gz")
def main(data: str) -> None:
    """Print the verbs, and what the last one says of how versions aged."""
    data = str(Path(data).absolute())
    with tempfile.TemporaryDirectory() as scratch:
        declare(Path(scratch) / "models")
        environment = {"STORK_MODELS": f"{scratch}/models", "STORK_ROOT": f"{scratch}/var", "STORK_LOG": "off"}
        for years in PUSHED:
            ingest(environment, data, years)
            learn(environment)
            stork(environment, "bless", MODEL)
            stork(environment, "push", MODEL, "--alias", "stable")
        for years in LATER:
            ingest(environment, data, years)
        lines = learn(environment).splitlines()
    first = next(number for number, line in enumerate(lines) if "days until the RMSE" in line)
    click.echo("\n".join(line.strip() for line in lines[first : first + 1 + len(PUSHED)]))


if __name__ == "__main__":
    main()
