"""Models that must not pass: each really trained on rows with something wrong, each refused by the right reason."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from parcels import TOML, parcel_rows, parcels, write_parcels

from bench.refusals import CASES, judge_case
from stork.config import Settings
from stork.data.spans import Splits
from stork.data.split import split_rows
from stork.declaration import Declaration, load_declaration
from stork.store.registry import Registry

pytestmark = pytest.mark.tensorflow

# What the noise of these rows allows is about 0.3 x the error of the mean.
BOUNDS = "max_rmse_ratio = 0.5\nmin_rmse_ratio = 0.2\nmin_baseline_ratio = 0.8\nmax_baseline_ratio = 1.05"


@pytest.fixture(scope="module")
def noisy() -> Splits:
    """2,000 rows whose cost, from 2 to 27, has a noise of 2 that nobody can predict."""
    rows = parcel_rows(2000)
    noise = np.random.default_rng(1).normal(0, 2, len(rows))
    return Splits(*split_rows(replace(rows, label=np.clip(rows.label + noise, 0, 100)), parcels().training))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, noisy: Splits) -> tuple[Registry, Declaration]:
    """A deployment whose version 1, in service, was honestly trained."""
    home = tmp_path_factory.mktemp("served")
    settings = Settings(models=home / "model", root=home / "var", log="off")
    write_parcels(settings.models)
    declared = settings.models / "parcels" / "model.toml"
    declared.write_text(TOML.replace("[evaluation]\n", f"[evaluation]\n{BOUNDS}\n"))
    registry, declaration = Registry(settings), load_declaration(declared)
    _, verdict = judge_case(registry, declaration, noisy, CASES["honest"], home / "first")
    assert verdict.blessed and verdict.rubber_stamped, verdict.reasons
    shutil.copytree(home / "first" / "candidate", declared.parent / "1")
    return registry, declaration


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("trained on shuffled labels", "predicting the mean .*at most 0.5 x is allowed;"),
        ("trained in kilograms", "predicting the mean .*at most 0.5 x is allowed;"),
        (
            "trained and scored in kilograms",
            "version 1, which is in service .*: suspiciously good.* its unit had changed",
        ),
        ("blind to the most important feature", "predicting the mean .*at most 0.5 x is allowed;"),
        ("leaks the label", "predicting the mean .*: suspiciously good, as if a feature held the label"),
    ],
)
def test_a_model_that_learned_something_wrong_is_refused(
    served: tuple[Registry, Declaration], noisy: Splits, tmp_path: Path, case: str, reason: str
) -> None:
    """The verdict says what speaks against it, with the number that was expected."""
    _, verdict = judge_case(*served, noisy, CASES[case], tmp_path)

    assert (verdict.name, verdict.rubber_stamped) == ("NOT_BLESSED", False)
    assert re.search(f"RMSE .* x that of {reason}", verdict.reasons[0])


def test_an_honest_model_is_blessed(served: tuple[Registry, Declaration], noisy: Splits, tmp_path: Path) -> None:
    """On the same rows, beside the same version, what was trained as it should be passes, slice by slice."""
    measured, verdict = judge_case(*served, noisy, CASES["honest"], tmp_path)

    assert verdict.blessed and measured.baseline_version == 1, verdict.reasons
    assert verdict.reasons[2].startswith("6 slices hold")
