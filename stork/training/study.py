"""
The search for better values of `[training]`: an Optuna study in a SQLite file below the root, which outlives a kill.

Only the process that tunes reads and writes it; the workers know nothing of it.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import msgspec

from stork.declaration import Search, Training, Tuning
from stork.store.files import writing
from stork.training.transform import Constants

STARTUP = 5  # trials that are never pruned, since there is no median to be worse than
State = Literal["complete", "pruned", "failed"]
STATES: dict[str, State] = {"COMPLETE": "complete", "PRUNED": "pruned"}  # by Optuna's name


class TrialRecord(msgspec.Struct, frozen=True, kw_only=True):
    """
    A trial that is over: the values it tried, its smallest RMSE on eval in the label's unit, how long it took.

    `state` is `failed` where its process was lost, or it was interrupted; `rmse` is None where it has none.
    """

    number: int
    state: State
    values: dict[str, Any]
    rmse: float | None
    epochs: int
    seconds: float


@dataclass(frozen=True)
class Trial:
    """Values to try, as the whole of `[training]`."""

    number: int
    training: Training
    handle: Any


class Study:
    """What was tried so far, and what to try next. Its methods may be called from several threads."""

    def __init__(self, path: Path, name: str, training: Training, tuning: Tuning) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with writing(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
        self.training, self.tuning, self.lock = training, tuning, Lock()
        self.storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
        known = {summary.study_name: summary.n_trials for summary in optuna.get_all_study_summaries(self.storage)}
        self.study = optuna.create_study(
            storage=self.storage,
            study_name=name,
            load_if_exists=True,
            # The stream of random numbers begins anew with each process: one that goes on must not draw the same again.
            sampler=optuna.samplers.TPESampler(seed=training.seed + known.get(name, 0)),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=training.epochs // 4),
        )
        for lost in self.study.get_trials(states=[optuna.trial.TrialState.RUNNING]):
            self.study.tell(lost.number, state=optuna.trial.TrialState.FAIL)
        known_well = any(trial.values == self.declared and trial.state == "complete" for trial in self.trials())
        if not known_well and not self.study.get_trials(states=[optuna.trial.TrialState.WAITING]):
            self.study.enqueue_trial({key: as_category(value, self.space[key]) for key, value in self.declared.items()})

    @property
    def space(self) -> Mapping[str, Search]:
        """The keys that are searched."""
        return self.tuning.space.searched

    @property
    def declared(self) -> dict[str, Any]:
        """The values that model.toml has now: they are tried too."""
        return {key: getattr(self.training, key) for key in self.space}

    def ask(self) -> Trial:
        """What to try next."""
        with self.lock:
            handle = self.study.ask()
            values = {key: self.suggest(handle, key, search) for key, search in self.space.items()}
        return Trial(handle.number, msgspec.structs.replace(self.training, **values), handle)

    def suggest(self, handle: Any, key: str, search: Search) -> Any:
        """A value of one key, of the type it has in `[training]`."""
        if search.choices:
            labels = [as_category(choice, search) for choice in search.choices]
            return search.choices[labels.index(handle.suggest_categorical(key, labels))]
        assert search.low is not None and search.high is not None  # as the declaration's checks see to
        if isinstance(getattr(self.training, key), int):
            return handle.suggest_int(key, int(search.low), int(search.high), log=search.log)
        return handle.suggest_float(key, search.low, search.high, log=search.log)

    def report(self, trial: Trial, epoch: int, rmse: float) -> bool:
        """Take note of an epoch; whether the trial is worth going on with."""
        with self.lock:
            trial.handle.report(rmse, epoch)
            return not trial.handle.should_prune()

    def tell(self, trial: Trial, state: State, rmse: float | None = None) -> None:
        """Take note of how a trial ended."""
        from optuna.trial import TrialState

        ended = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}[state]
        with self.lock:
            self.study.tell(trial.number, rmse if state == "complete" else None, state=ended)

    def trials(self) -> list[TrialRecord]:
        """Every trial that is over."""
        over = [trial for trial in self.study.get_trials(deepcopy=False) if trial.state.is_finished()]
        return [self.as_record(trial) for trial in over]

    def as_record(self, trial: Any) -> TrialRecord:
        """What Optuna keeps of a trial, in our words."""
        labels = {key: [as_category(choice, search) for choice in search.choices] for key, search in self.space.items()}
        values = {
            key: self.space[key].choices[labels[key].index(value)] if labels[key] else value
            for key, value in trial.params.items()
        }
        errors = list(trial.intermediate_values.values())
        return TrialRecord(
            number=trial.number,
            state=STATES.get(trial.state.name, "failed"),
            values=values,
            rmse=min(errors, default=None),
            epochs=len(errors),
            seconds=round(trial.duration.total_seconds(), 1) if trial.duration else 0.0,
        )

    def importance(self) -> dict[str, float]:
        """
        How much of what separates the best trials each key explains, most important first, 1 in all.

        Empty where too few trials ended. Source: PED-ANOVA, Watanabe et al. 2023, https://arxiv.org/abs/2304.10255.
        """
        import optuna

        try:
            found = optuna.importance.get_param_importances(self.study)
        except (RuntimeError, ValueError):  # no two trials that differ
            return {}
        return {key: round(float(value), 4) for key, value in found.items()}

    def close(self) -> None:
        """Let go of the file."""
        self.storage.remove_session()
        self.storage.engine.dispose()


@contextmanager
def open_study(path: Path, name: str, training: Training, tuning: Tuning) -> Iterator[Study]:
    """The study of this name, as far as it came."""
    study = Study(path, name, training, tuning)
    try:
        yield study
    finally:
        study.close()


def as_category(value: Any, search: Search) -> Any:
    """A value as Optuna keeps it: a choice as its JSON, since a list is no category there."""
    return msgspec.json.encode(value).decode() if search.choices else value


def name_study(constants: Constants, training: Training, tuning: Tuning, fresh: str = "") -> str:
    """A hash of all that makes trials comparable: the rows, the transform, `[training]` and the space, not how many."""
    parts = [constants, training, tuning.space, fresh]
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()[:16]
