"""What the search tries, keeps, and gives up."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from parcels import parcel_rows, parcels

from stork.declaration import Search, Space, Tuning
from stork.schema.frozen import Schema
from stork.training.study import STARTUP, Study, name_study, open_study
from stork.training.transform import fit_constants

TRAINING = msgspec.structs.replace(parcels().training, epochs=4)
SPACE = Space(
    learning_rate=Search(low=0.001, high=0.1, log=True),
    batch_size=Search(low=16, high=128),
    units=Search(choices=((8,), (16, 8))),
)
TUNING = Tuning(trials=8, space=SPACE)


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    """A study that nobody has worked on."""
    with open_study(tmp_path / "parcels.db", "one", TRAINING, TUNING) as found:
        yield found


def test_the_declared_values_are_tried_first(study: Study) -> None:
    """So the best is never worse than what is declared, and the gain can be told."""
    trial = study.ask()
    study.tell(trial, "complete", 0.5)
    assert trial.training == TRAINING != study.ask().training
    assert study.trials()[0].values == study.declared == {"learning_rate": 0.02, "batch_size": 64, "units": (8,)}


def test_values_are_of_the_space(study: Study) -> None:
    """Within the bounds, of the type that [training] takes; a list among the choices stays one."""
    trials = [study.ask().training for _ in range(20)]
    assert all(0.001 <= trial.learning_rate <= 0.1 and 16 <= trial.batch_size <= 128 for trial in trials)
    assert {trial.units for trial in trials} == {(8,), (16, 8)} and {type(trial.batch_size) for trial in trials} == {
        int
    }


def test_a_bad_trial_is_pruned(study: Study) -> None:
    """Worse than the median of those before it at the same epoch; the first few, and early epochs, never are."""
    for _ in range(STARTUP):
        trial = study.ask()
        assert all(study.report(trial, epoch, 1.0) for epoch in (1, 2))
        study.tell(trial, "complete", 1.0)
    bad = study.ask()
    assert [study.report(bad, epoch, 3.0) for epoch in (0, 1)] == [True, False]


def test_a_study_goes_on(tmp_path: Path) -> None:
    """What was tried stays; a trial in the middle of which the process was lost has failed; nothing is drawn again."""
    with open_study(tmp_path / "parcels.db", "one", TRAINING, TUNING) as study:
        tried = [study.ask() for _ in range(4)]
        for trial in tried[:3]:
            study.tell(trial, "complete", 1.0)
    with open_study(tmp_path / "parcels.db", "one", TRAINING, TUNING) as study:
        states = [trial.state for trial in study.trials()]
        again = study.ask()
    assert states == ["complete"] * 3 + ["failed"]
    assert again.training not in [trial.training for trial in tried]


def test_studies_are_told_apart_by_what_makes_trials_comparable() -> None:
    """Other rows or another space are another study; another number of trials is not."""
    schema = Schema.of(parcels())
    constants, other = (fit_constants(schema, "cost", parcel_rows(50, seed)) for seed in (0, 1))
    name = name_study(constants, TRAINING, TUNING)
    assert name == name_study(constants, TRAINING, msgspec.structs.replace(TUNING, trials=99, workers=9))
    assert len({name, name_study(other, TRAINING, TUNING), name_study(constants, TRAINING, Tuning())}) == 3


def test_importance_names_what_matters(study: Study) -> None:
    """Where the error follows from one key alone, that key explains most; all shares together are one."""
    for _ in range(30):
        trial = study.ask()
        study.tell(trial, "complete", abs(trial.training.batch_size - 70.0))
    shares = study.importance()
    assert next(iter(shares)) == "batch_size" and sum(shares.values()) == pytest.approx(1, abs=0.001)
