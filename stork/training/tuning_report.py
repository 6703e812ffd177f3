"""What a search came to, for `train`, as JSON for a program and as a screen for a person."""

from pathlib import Path
from typing import Any

import msgspec

from stork.declaration import Training
from stork.errors import DataError, StorkError
from stork.store.files import write_atomically
from stork.training.study import Study, TrialRecord

FILE = "tuning.json"
SHOWN = 10  # trials on the screen


class TuningReport(msgspec.Struct, frozen=True, kw_only=True):
    """
    tuning.json: the best trial, the RMSE on eval of the declared values, the importance of each key, every trial.

    `declared` is None where the declared values were not tried to the end.
    """

    model: str
    study: str
    best: TrialRecord
    declared_values: dict[str, Any]
    declared: float | None
    importance: dict[str, float]
    trials: list[TrialRecord]

    @classmethod
    def of(cls, model: str, name: str, study: Study) -> "TuningReport":
        """
        Raises:
            StorkError: no trial ended.
        """
        trials = study.trials()
        complete = [trial for trial in trials if trial.state == "complete"]
        if not complete:
            raise StorkError(f"{model}: of {len(trials)} trials none ended with an error that is a number")
        return cls(
            model=model,
            study=name,
            best=min(complete, key=error_of),
            declared_values=study.declared,
            declared=next((trial.rmse for trial in complete if trial.values == study.declared), None),
            importance=study.importance(),
            trials=trials,
        )

    def text(self) -> str:
        """One screen for a person."""
        counts = ", ".join(
            f"{sum(trial.state == state for trial in self.trials)} {state}"
            for state in ("complete", "pruned", "failed")
        )
        gain = f", declared {self.declared:.4f}" if self.declared is not None else ""
        lines = [f"{len(self.trials)} trials ({counts}); RMSE on eval: best {error_of(self.best):.4f}{gain}"]
        lines += ["", f"{'[training]':<16}{'declared':>14}{'best':>14}{'importance':>12}"]
        for key, value in self.best.values.items():
            share = f"{self.importance[key]:>12.0%}" if key in self.importance else f"{'':>12}"
            lines.append(f"{key:<16}{show(self.declared_values[key]):>14}{show(value):>14}{share}")
        lines += ["", f"{'trial':>5}{'RMSE':>9}{'epochs':>8}{'seconds':>9}  values"]
        for trial in sorted((t for t in self.trials if t.state == "complete"), key=error_of)[:SHOWN]:
            values = ", ".join(f"{key} {show(value)}" for key, value in trial.values.items())
            lines.append(f"{trial.number:>5}{error_of(trial):>9.4f}{trial.epochs:>8}{trial.seconds:>9.1f}  {values}")
        return "\n".join(lines)

    def write(self, folder: Path) -> None:
        """Leave tuning.json and tuning.txt."""
        write_atomically(folder / FILE, msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")
        write_atomically(folder / "tuning.txt", self.text().encode() + b"\n")


def read_best(folder: Path, training: Training) -> Training:
    """
    `[training]` with the best values that the step `tune` left in `folder`.

    Raises:
        DataError: there are none.
    """
    path = folder / FILE
    try:
        best = msgspec.json.decode(path.read_bytes(), type=TuningReport).best
        return msgspec.convert(msgspec.to_builtins(training) | best.values, Training)
    except (OSError, msgspec.MsgspecError) as error:
        raise DataError(f"{path}: {error}") from error


def error_of(trial: TrialRecord) -> float:
    """The RMSE of a trial that is complete."""
    return float("inf") if trial.rmse is None else trial.rmse


def show(value: Any) -> str:
    """A value in few characters."""
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
