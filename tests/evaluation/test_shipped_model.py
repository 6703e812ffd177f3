"""Version 1 of babyweight, as shipped: small, whole, blessed, and sensible wherever somebody may ask."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stork.config import PROJECT, Settings
from stork.declaration import Declaration
from stork.schema.tensors import Array
from stork.serving.loader import load_version
from stork.store.registry import Registry
from stork.store.version import load_manifest, read_verdict, verify

FOLDER = PROJECT / "model" / "babyweight" / "1"
USUAL = {
    "mother_race": 1, "mother_age": 28, "gestation_weeks": 39, "plurality": 1,
    "is_male": True, "mother_married": True, "cigarette_use": False, "alcohol_use": False,
}  # fmt: skip

Ask = Callable[[list[dict[str, Any]]], Array]


@pytest.fixture(scope="module")
def ask(declaration: Declaration, tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """The version's predictions in pounds, shape (n,), for a list of instances."""
    registry = Registry(Settings(root=tmp_path_factory.mktemp("var"), log="off"))
    loaded = load_version(registry, "babyweight", 1, declaration)
    return lambda instances: loaded.predict(loaded.decoder.decode(instances).tensors)["weight_pounds"]


def vary(name: str, values: list[Any], **others: Any) -> list[dict[str, Any]]:
    """The usual instance with one feature at each of the values."""
    return [{**USUAL, **others, name: value} for value in values]


def test_it_is_small_and_whole() -> None:
    """Under 1 MB with its twin, every file as published, and the twin proved."""
    manifest, _ = verify(FOLDER)
    assert manifest.twin.proved
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 1_000_000


def test_it_is_blessed() -> None:
    """It was found good enough on rows it never saw: at most 0.78 x the error of predicting the mean."""
    assert read_verdict(FOLDER, "BLESSED")[0] == "BLESSED"
    assert read_verdict(FOLDER, "INFRA_BLESSED")[0] == "INFRA_BLESSED"


@pytest.mark.parametrize("plurality", [1, 2])
def test_each_week_up_to_forty_adds_weight(ask: Ask, plurality: int) -> None:
    """From 20 to 40 weeks a longer gestation never means a lighter baby, of twins neither."""
    pounds = ask(vary("gestation_weeks", list(range(20, 41)), plurality=plurality))
    assert (np.diff(pounds) > 0).all()


@pytest.mark.parametrize("weeks", [28, 34, 39, 42])
def test_more_babies_are_lighter(ask: Ask, weeks: int) -> None:
    """Each of twins is lighter than a single baby, each of triplets lighter still, and so on; five count as four."""
    pounds = ask(vary("plurality", [1, 2, 3, 4, 5], gestation_weeks=weeks))
    assert (np.diff(pounds[:4]) < 0).all()
    assert pounds[4] == pounds[3]


@pytest.mark.parametrize("weeks", [34, 37, 39, 41])
def test_a_gender_not_known_yet_is_in_between(ask: Ask, weeks: int) -> None:
    """A boy is heavier than a girl; while nobody knows, the prediction lies between."""
    boy, unknown, girl = ask(vary("is_male", [True, None, False], gestation_weeks=weeks))
    assert boy > unknown > girl


@pytest.mark.parametrize("weeks", [34, 37, 39, 41])
def test_smoking_costs_weight(ask: Ask, weeks: int) -> None:
    """A smoker's baby is lighter; not knowing lies between."""
    smoker, unknown, other = ask(vary("cigarette_use", [True, None, False], gestation_weeks=weeks))
    assert smoker < unknown < other


def test_every_corner_of_the_domain_is_in_range(ask: Ask, declaration: Declaration) -> None:
    """Nowhere, quintuplets of 17 weeks included, is a prediction below an ounce or above what a baby weighs."""
    races = [value.value for value in declaration.features[0].values]
    unknown = [True, False, None]
    corners = itertools.product(races, [10, 28, 60], [17, 24, 39, 47], [1, 2, 5], unknown, unknown, unknown, unknown)
    pounds = ask([dict(zip(USUAL, corner, strict=True)) for corner in corners])
    assert pounds.min() > 1 / 16
    assert pounds.max() < 12


def test_no_path_of_a_machine_is_shipped() -> None:
    """Neither the manifest nor the graph says where it was made."""
    for path in filter(Path.is_file, FOLDER.rglob("*")):
        assert b"/home/" not in (content := path.read_bytes()) and str(PROJECT).encode() not in content, path


def test_the_document_states_its_error() -> None:
    """The figures of version 1 in docs/data.md are those of its manifest."""
    found = load_manifest(FOLDER).metrics
    stated = f"| version 1 | {found['rmse']:.3f} | 0.749 | {found['mae']:.3f} | {found['bias']:+.3f} |"
    assert stated in (PROJECT / "docs" / "data.md").read_text()
