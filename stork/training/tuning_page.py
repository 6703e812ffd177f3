"""tuning.html: what a search came to, for a person: the best values, what each key matters, how the trials went."""

from itertools import accumulate
from pathlib import Path

from stork.declaration import Declaration
from stork.report.page import number, percent, write_page
from stork.report.plots import Plot, Point, draw_bars, draw_lines
from stork.training.study import TrialRecord
from stork.training.tuning_report import TuningReport, error_of, show


def write_tuning(path: Path, declaration: Declaration, report: TuningReport) -> None:
    """Leave the page."""
    output = next(o for o in declaration.outputs if o.name == declaration.training.label)
    complete = [trial for trial in report.trials if trial.state == "complete"]
    write_page(
        path,
        "tuning.html",
        title=declaration.model.title,
        report=report,
        states={state: sum(t.state == state for t in report.trials) for state in ("complete", "pruned", "failed")},
        unit=output.unit,
        best=number(report.best.rmse, 5),
        declared=number(report.declared, 5),
        values=[
            (key, show(report.declared_values[key]), show(value), share_of(report, key))
            for key, value in report.best.values.items()
        ],
        importance=draw_bars("Importance", {"importance": report.importance}),
        course=draw_course(complete, f"RMSE on eval{f' ({output.unit})' if output.unit else ''}"),
        keys=list(report.best.values),
        trials=[tell(trial) for trial in sorted(complete, key=error_of)],
    )


def share_of(report: TuningReport, key: str) -> str:
    return percent(report.importance[key]) if key in report.importance else "-"


def draw_course(complete: list[TrialRecord], y_title: str) -> Plot:
    """The error of each trial that ended, and the best up to it, by their numbers."""
    numbers, errors = [trial.number for trial in complete], [error_of(trial) for trial in complete]
    series = {"this trial": errors, "best so far": list(accumulate(errors, min))}
    return draw_lines(
        "Trials that ended",
        {name: [Point(x, y) for x, y in zip(numbers, found, strict=True)] for name, found in series.items()},
        "trial",
        y_title,
    )


def tell(trial: TrialRecord) -> tuple[str, ...]:
    """A row of the table."""
    values = (show(value) for value in trial.values.values())
    return (str(trial.number), number(trial.rmse, 5), str(trial.epochs), f"{trial.seconds:.1f}", *values)
