"""
How many rows a second ingestion, statistics and validation take, and in how much memory: `make bench-pipeline`.

Then how long each step of a whole run takes on generated rows, and how its model does beside gradient boosting.

One file is measured once as it is and once repeated ten times, so that the last columns tell how time and memory grow.
Every measurement is a process of its own. DuckDB's SUMMARIZE and pandas (in an environment of its own, made on first
use) do part of what `statistics` does, on the same Parquet file. Without --data rows are generated.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import click
import msgspec

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))
PANDAS = PROJECT / ".venv" / "peers" / "pandas"
PANDAS_VERSION = "3.1.1"
GENERATED = 400_000  # rows
TIMES = 10
ROUNDS = 3


def ingest_rows(folder: Path, source: Path) -> tuple[float, int]:
    """Make a span of a file below `folder`; the seconds it took, and its rows."""
    from stork.config import Settings
    from stork.data.ingest import ingest
    from stork.data.sources import Fetched
    from stork.data.split import fingerprints

    fingerprints(["TensorFlow is loaded before the clock starts"])
    scratch = folder / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    began = time.perf_counter()
    span = ingest(Settings(root=folder), declared(), Fetched((source,)), scratch)
    seconds = time.perf_counter() - began
    assert span is not None
    return seconds, sum(span.manifest.rows.values()) + sum(span.manifest.refused.values())


def describe_rows(folder: Path, source: Path) -> tuple[float, int]:
    """Describe the span that is below `folder`."""
    from stork.config import Settings
    from stork.data.describing import describe_span
    from stork.data.spans import list_spans

    declaration = declared()
    (span,) = list_spans(Settings(root=folder), declaration.model.name)
    began = time.perf_counter()
    found = describe_span(span, declaration, "bench")
    return time.perf_counter() - began, found.splits["all"].rows


def validate_rows(folder: Path, source: Path) -> tuple[float, int]:
    """Hold the span that is below `folder` to what is expected of it, and to a span before it that is the same."""
    from stork.config import Settings
    from stork.data.describing import describe_span
    from stork.data.spans import list_spans
    from stork.data.validation import Expected, validate_spans
    from stork.declaration.data_schema import load_data_schema
    from stork.store.registry import Registry

    settings, declaration = Settings(root=folder), declared()
    home = Registry(settings).home(declaration.model.name)
    (span,) = list_spans(settings, declaration.model.name)
    found = describe_span(span, declaration, "bench")
    both = {0: msgspec.structs.replace(found, span=0), span.number: found}
    expected = Expected.of(declaration, load_data_schema(home, declaration))
    began = time.perf_counter()
    validate_spans(expected, [span], both, [0, span.number])
    return time.perf_counter() - began, found.splits["all"].rows


def boost_rows(folder: Path, source: Path) -> tuple[float, int]:
    """Train gradient boosting on the span that is below `folder`, as `evaluate` does, and ask it for the test split."""
    from stork.config import Settings
    from stork.data.spans import list_spans, read_splits
    from stork.evaluation.rivals import predict_boosted
    from stork.schema.frozen import Schema
    from stork.store.registry import Registry
    from stork.training.transform import fit_constants

    registry = Registry(Settings(root=folder))
    declaration = registry.declaration(registry.models()[0])
    splits = read_splits(declaration, list_spans(registry.settings, declaration.model.name))
    constants = fit_constants(Schema.of(declaration), declaration.training.label, splits.train)
    began = time.perf_counter()
    predict_boosted(declaration, constants, *splits)
    return time.perf_counter() - began, len(splits.train)


def summarize_rows(folder: Path, source: Path) -> tuple[float, int]:
    """DuckDB's SUMMARIZE of the span's files."""
    import duckdb

    began = time.perf_counter()
    rows = duckdb.sql(f"SUMMARIZE SELECT * FROM '{folder}/spans/*/*/[te]*.parquet'").fetchall()
    return time.perf_counter() - began, int(rows[0][10])


PANDAS_CODE = """
import glob, json, sys, time
import pandas
began = time.perf_counter()
frame = pandas.concat([pandas.read_parquet(path) for path in glob.glob(sys.argv[1])])
frame.describe(include="all")
for name in frame.columns:
    frame[name].value_counts()
frame.select_dtypes("number").corr()
print(json.dumps([time.perf_counter() - began, len(frame)]))
print(open("/proc/self/status").read())
"""

WORK: dict[str, Callable[[Path, Path], tuple[float, int]]] = {
    "ingest": ingest_rows,
    "statistics": describe_rows,
    "validate": validate_rows,
    "DuckDB SUMMARIZE": summarize_rows,
}
HIDDEN = {"boost": boost_rows}


def declared():  # type: ignore[no-untyped-def]
    """The shipped model's declaration; every feature may be missing, so that no file is refused whole."""
    from stork.config import Settings
    from stork.store.registry import Registry

    registry = Registry(Settings())
    declaration = registry.declaration(registry.models()[0])
    features = tuple(msgspec.structs.replace(feature, required=False) for feature in declaration.features)
    return msgspec.structs.replace(declaration, features=features)


def measure(what: str, folder: Path, source: Path) -> tuple[float, int, float]:
    """Seconds, rows and the process's peak memory in MB, in a process of its own."""
    command = [sys.executable, __file__, "--child", what, str(folder), str(source)]
    if what == "pandas":
        command = [str(PANDAS / "bin" / "python"), "-c", PANDAS_CODE, f"{folder}/spans/*/*/[te]*.parquet"]
    if what == "ingest":
        shutil.rmtree(folder / "spans", ignore_errors=True)
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "TF_ENABLE_ONEDNN_OPTS": "0"}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{what}: {done.stderr[-2000:]}")
    first, *status = done.stdout.splitlines()
    seconds, rows = json.loads(first)
    # Not getrusage: what the parent held before the fork counts there.
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    return seconds, rows, peak / 1024


def prepare_pandas() -> None:
    """An environment that has pandas and nothing of ours."""
    if not (PANDAS / "bin" / "python").is_file():
        subprocess.run([sys.executable, "-m", "venv", PANDAS], check=True)
        wanted = [f"pandas=={PANDAS_VERSION}", "pyarrow"]
        subprocess.run([PANDAS / "bin" / "python", "-m", "pip", "install", "--quiet", *wanted], check=True)


def make_sources(folder: Path, data: tuple[str, ...]) -> dict[int, Path]:
    """The rows as one Parquet file of text, and the same rows ten times."""
    import duckdb

    from stork.config import Settings
    from stork.data.fetch import Fetcher
    from stork.declaration import Source
    from stork.store.registry import Registry

    settings = Settings()
    registry = Registry(settings)
    name = registry.models()[0]
    files = [Path(path).absolute() for path in data]
    if not files:
        fetcher = Fetcher(settings, registry.declaration(name), registry.home(name), folder, lambda done, total: None)
        files = list(fetcher.fetch(Source(sample=GENERATED)).files)
    reads = " UNION ALL BY NAME ".join(
        f"SELECT * FROM '{path}'"
        if path.suffix == ".parquet"
        else f"SELECT * FROM read_csv('{path}', all_varchar=true)"
        for path in files
    )
    made = {}
    for times in (1, TIMES):
        made[times] = folder / f"{times}.csv"
        repeated = f"SELECT rows.* FROM ({reads}) AS rows, range({times})"
        duckdb.sql(f"COPY ({repeated}) TO '{made[times]}' (HEADER)")
    return made


@click.command()
@click.option("--data", multiple=True, help="CSV or Parquet file of rows; default: generated.")
@click.option("--child", nargs=3, hidden=True)
def main(data: tuple[str, ...], child: tuple[str, str, str] | None) -> None:
    """Print the table."""
    if child:
        seconds, rows = (WORK | HIDDEN)[child[0]](Path(child[1]), Path(child[2]))
        click.echo(json.dumps([seconds, rows]))
        click.echo(Path("/proc/self/status").read_text())
        return
    prepare_pandas()
    with tempfile.TemporaryDirectory() as name:
        sources = make_sources(Path(name), data)
        found: dict[str, dict[int, tuple[float, int, float]]] = {what: {} for what in (*WORK, "pandas")}
        for times, source in sources.items():
            folder = Path(name) / f"root{times}"
            for what in found:
                rounds = [measure(what, folder, source) for _ in range(ROUNDS)]
                found[what][times] = (median(r[0] for r in rounds), rounds[0][1], median(r[2] for r in rounds))
    show(found)
    run_whole()


def run_whole() -> None:
    """All steps on generated rows, in a root of its own, with the command a user would type."""
    from stork.config import Settings
    from stork.store.registry import Registry

    model = Registry(Settings()).models()[0]
    with tempfile.TemporaryDirectory() as name:
        environment = {**os.environ, "STORK_ROOT": name, "STORK_LOG": "off"}
        command = [sys.executable, "-m", "stork", "pipeline", "run", model, "--json"]
        began = time.perf_counter()
        done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - began
        steps = json.loads(done.stdout)["steps"]
        (report,) = (json.loads(path.read_bytes()) for path in Path(name).glob("runs/*/evaluate/report.json"))
        boosting, rows, _ = measure("boost", Path(name), Path(name))
    said = ", ".join(f"{step} {record.get('seconds', 0.0):.1f}" for step, record in steps.items())
    click.echo(f"\na whole run of {model} on generated rows: {seconds:.1f} s ({said})")
    click.echo(
        f"training on {rows:,} rows: the model {steps['train']['seconds']:.1f} s, gradient boosting {boosting:.1f} s"
    )
    rivals = {name: found["rmse"] for name, found in report["rivals"].items()}
    click.echo(
        "RMSE on test: " + ", ".join(f"{n} {r:.4f}" for n, r in {"the model": report["test"]["rmse"], **rivals}.items())
    )


def show(found: dict[str, dict[int, tuple[float, int, float]]]) -> None:
    """A line per kind of work."""
    click.echo(
        f"{os.cpu_count()} cores of {processor()}, Python {platform.python_version()}; medians of {ROUNDS} rounds"
    )
    click.echo(f"{'':<18}{'rows':>11}{'seconds':>9}{'rows/s':>11}{'MB':>7}{'x time':>8}{'x MB':>7}")
    for what, measured in found.items():
        first = measured[1]
        for seconds, rows, memory in measured.values():
            growth = f"{seconds / first[0]:>8.1f}{memory / first[2]:>7.1f}" if rows != first[1] else ""
            click.echo(f"{what:<18}{rows:>11,}{seconds:>9.2f}{rows / seconds:>11,.0f}{memory:>7.0f}{growth}")


def processor() -> str:
    """The processor's name, where Linux tells it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()
