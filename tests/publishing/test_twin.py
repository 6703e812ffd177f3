"""The LiteRT twin: proved, or not there."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from stork.config import PROJECT
from stork.evaluation.probe import probe_rows
from stork.publishing.twin import make_twin
from stork.schema.frozen import Schema, load_schema

pytestmark = pytest.mark.tensorflow
SCHEMA = load_schema(PROJECT / "model" / "babyweight" / "1" / "schema.json")


def export(folder: Path, answer: Any) -> None:
    """A SavedModel of the shipped schema's signature that answers `answer(mother_age)`."""
    import tensorflow as tf

    types = {"int32": tf.int32, "float32": tf.float32}
    inputs = {f.name: tf.TensorSpec([None], types[f.tensor.dtype], name=f.name) for f in SCHEMA.features}
    module = tf.Module()
    module.state = tf.Variable(0.0)

    @tf.function(input_signature=[inputs])
    def serve(columns: Any) -> Any:
        return {"weight_pounds": answer(module, columns["mother_age"])}

    module.serve = serve
    tf.saved_model.save(module, str(folder), signatures={"serving_default": serve})


def twin_of(folder: Path, schema: Schema = SCHEMA) -> Any:
    return make_twin(folder, schema, probe_rows(schema, 50).tensors)


def test_the_shipped_model_has_a_twin_that_can_be_proved_again(tmp_path: Path) -> None:
    """The file that is shipped is one that this code makes and accepts."""
    folder = tmp_path / "version"
    shutil.copytree(PROJECT / "model" / "babyweight" / "1", folder, ignore=shutil.ignore_patterns("model.tflite"))
    twin = twin_of(folder)

    assert twin.proved and twin.max_difference <= 1e-5 * 20
    assert (folder / "model.tflite").is_file()


@pytest.mark.parametrize(
    ("answer", "reason", "steady"),
    [
        (lambda module, age: module.state.assign_add(1.0) + age, "keeps state", False),
        (lambda module, age: age - __import__("tensorflow").reduce_mean(age), "mixes the rows", False),
        (lambda module, age: __import__("tensorflow").math.igammac(age, age), "LiteRT has no", True),
    ],
)
def test_a_model_that_cannot_have_a_twin_keeps_none(tmp_path: Path, answer: Any, reason: str, steady: bool) -> None:
    """State, rows that see each other, an operation that LiteRT lacks: the reason is told, and no file is left."""
    export(tmp_path, answer)
    twin = twin_of(tmp_path)

    assert (twin.proved, twin.steady) == (False, steady) and reason in twin.reason
    assert not (tmp_path / "model.tflite").exists()
