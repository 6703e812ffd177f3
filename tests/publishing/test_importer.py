"""Bringing a model: whatever wrote the SavedModel, a form and an API serve it without code."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import savedmodels
from server import start_server

from stork.config import Settings
from stork.declaration import load_declaration
from stork.errors import BadRequest, NotFound, StorkError, VersionBroken
from stork.publishing.importer import import_model
from stork.store.registry import Registry

pytestmark = pytest.mark.tensorflow
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A function from a kind of SavedModel to its folder; each is exported once."""
    home = tmp_path_factory.mktemp("savedmodels")

    def export(kind: str) -> Path:
        if not (home / kind).exists():
            getattr(savedmodels, f"export_{kind}")(home / kind)
        return home / kind

    return export


def test_a_tensorflow_2_model_is_served_by_form_and_api(settings: Settings, exported: Callable[[str], Path]) -> None:
    """One signature of two is chosen; the model answers as it did where it came from."""
    done = import_model(settings, exported("tf2"), "adder", signature="add")
    with start_server(settings) as server:
        answer = server.predict({"model": "adder", "instances": [{"x": 1.5, "y": 3}, {"x": 0, "y": -1}]}).json
        rows = server.request("POST", "/v1/models/adder:predict", {"instances": [{"x": 1.5, "y": 3}]}).json
        wrong = server.predict({"model": "adder", "instances": [{"x": "a", "y": 1.5}]}).json
        page = server.request("POST", "/models/adder", b"x=1.5&y=3", Content_Type=FORM)

    assert (done.version, done.signature, done.twin.proved, done.serves) == (1, "add", True, True)
    assert (answer["predictions"], rows) == ([{"sum": 7.5}, {"sum": -2.0}], {"predictions": [7.5]})
    assert [problem["path"] for problem in wrong["problems"]] == ["$.instances[0].x", "$.instances[0].y"]
    assert page.status == 200 and b"7.5" in page.body


def test_a_keras_3_model_with_strings_and_several_outputs(settings: Settings, exported: Callable[[str], Path]) -> None:
    """Inputs [batch, 1], a row of probabilities and a name per instance."""
    import_model(settings, exported("keras"), "sizes")
    with start_server(settings) as server:
        (one,) = server.predict({"model": "sizes", "instances": [{"colour": "red", "size": 2.5}]}).json["predictions"]
        body = {"instances": [{"colour": ["red"], "size": [2.5]}]}
        rows = server.request("POST", "/v1/models/sizes:predict", body).json["predictions"]
        page = server.request("POST", "/models/sizes", b"colour=red&size=2.5", Content_Type=FORM)

    assert sum(one["probabilities"]) == pytest.approx(1) and one["class_name"] in ("small", "middle", "large")
    assert rows == [one]
    assert page.status == 200 and one["class_name"].encode() in page.body


def test_a_tensorflow_1_model_is_served(settings: Settings, exported: Callable[[str], Path]) -> None:
    """A graph with variables, and an input named `in`, which is a name like any other."""
    import_model(settings, exported("tf1"), "line")
    with start_server(settings) as server:
        answer = server.predict({"model": "line", "instances": [{"in": 2}]}).json
        shaped = server.request("POST", "/v1/models/line:predict", {"instances": [2.0, [3.0]]}).json

    assert (answer["predictions"], shaped) == ([{"y": 6.5}], {"predictions": [[6.5], [9.5]]})


def test_what_a_person_fills_in_is_kept_and_becomes_the_next_version(
    settings: Settings, exported: Callable[[str], Path]
) -> None:
    """Importing again freezes the edited declaration in a new version, which serves when told."""
    first = import_model(settings, exported("tf1"), "line")
    assert first.draft is not None
    text = first.draft.read_text().replace("# range = [low, high], or", "#").replace('title = "In"', 'title = "Where"')
    first.draft.write_text(text.replace("# range = [low, high]", "range = [0, 5]", 1))
    second = import_model(settings, exported("tf1"), "line")
    with start_server(settings) as server:
        free, bound = (
            server.predict({"model": "line", "version": version, "instances": [{"in": 9}]}) for version in (1, 2)
        )

    assert (second.version, second.serves, second.draft) == (2, False, None)
    assert load_declaration(first.draft).features[0].title == "Where"
    assert (free.status, bound.status) == (200, 400) and "expected 0 to 5, received 9" in bound.json["error"]
    assert Registry(settings).aliases("line") == {"stable": 1}


@pytest.mark.parametrize(
    ("kind", "name", "signature", "message"),
    [
        ("tf2", "m", None, "several signatures and none is 'serving_default'; choose one: add"),
        ("scored", "m", None, "several signatures and none that predicts is 'serving_default'; choose one: image"),
        ("tf2", "m", "x", "no signature 'x'; it has: add"),
        ("image", "m", None, r"input 'image': expected one value per instance.* received \[-1, 8, 8, 3\]"),
        ("tf1", "../m", None, "name: expected letters"),
        ("tf1", "babyweight", None, "does not fit it: input 'alcohol_use'"),
    ],
)
def test_what_cannot_be_served_is_told(
    settings: Settings, exported: Callable[[str], Path], kind: str, name: str, signature: str | None, message: str
) -> None:
    """The refusal names what was found, and nothing is left behind."""
    with pytest.raises(BadRequest, match=message):
        import_model(settings, exported(kind), name, signature)
    assert not list((settings.root / "models").rglob("*.pb"))


def test_values_that_the_models_graph_refuses_are_the_callers_fault(
    settings: Settings, exported: Callable[[str], Path]
) -> None:
    """400 with the model's words, never a 5xx; a key is handed through, and an output without rows is left out."""
    done = import_model(settings, exported("picky"), "prices")
    with start_server(settings) as server:
        good = server.predict({"model": "prices", "instances": [{"index": 1, "key": "a"}]}).json
        bad = server.predict({"model": "prices", "instances": [{"index": 7, "key": "a"}]})

    assert good["predictions"] == [{"key_out": "a", "price": 2.5}]
    assert list(done.left_out) == ["total"]
    assert bad.status == 400 and "does not take these values" in bad.json["error"]


def test_a_model_that_answers_no_number_is_not_published(settings: Settings, exported: Callable[[str], Path]) -> None:
    """An import that could never serve ends with the reason, and leaves nothing."""
    with pytest.raises(VersionBroken, match="expected finite answers in the declared range"):
        import_model(settings, exported("nan"), "nan")
    assert "nan" not in Registry(settings).models()


@pytest.mark.parametrize("damage", ["variables", "saved_model.pb", "everything"])
def test_a_damaged_savedmodel_leaves_nothing_behind(
    settings: Settings, exported: Callable[[str], Path], tmp_path: Path, damage: str
) -> None:
    """Missing variables, a torn graph, an empty folder: an error that says so, no model, no version."""
    folder = tmp_path / "damaged"
    shutil.copytree(exported("tf1"), folder)
    if damage == "variables":
        shutil.rmtree(folder / "variables")
    elif damage == "saved_model.pb":
        (folder / "saved_model.pb").write_bytes(b"torn")
    else:
        shutil.rmtree(folder)
        folder.mkdir()

    with pytest.raises(StorkError):
        import_model(settings, folder, "broken")
    assert "broken" not in Registry(settings).models()


def test_a_folder_that_is_not_there_is_told(settings: Settings, tmp_path: Path) -> None:
    """No traceback for a typing mistake."""
    with pytest.raises(NotFound, match="no such folder"):
        import_model(settings, tmp_path / "nowhere", "m")
