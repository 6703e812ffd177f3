"""The two local backends: they answer the same, from any thread, whatever the number of rows."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from server import BABY

from stork.config import PROJECT, Settings
from stork.declaration import Declaration
from stork.errors import BackendError, BackendUnavailable
from stork.schema.decode import Decoder
from stork.schema.frozen import Schema, load_schema
from stork.serving.backends import Backend
from stork.serving.backends.litert import LiteRTBackend
from stork.serving.loader import choose_local
from stork.store.version import load_manifest

FOLDER = PROJECT / "model" / "babyweight" / "1"
SCHEMA = load_schema(FOLDER / "schema.json")


def rows(count: int) -> Any:
    """Tensors of `count` rows that differ."""
    babies = [{**BABY, "mother_age": 15 + n % 40, "gestation_weeks": 20 + n % 25} for n in range(count)]
    return Decoder(SCHEMA, count).decode(babies).tensors


@pytest.fixture(scope="module")
def litert() -> Backend:
    return LiteRTBackend(FOLDER, SCHEMA)


@pytest.fixture(scope="module")
def tensorflow_backend() -> Backend:
    from stork.serving.backends.saved_model import SavedModelBackend

    return SavedModelBackend(FOLDER, SCHEMA)


def test_a_row_has_one_answer_alone_and_among_others(litert: Backend) -> None:
    """Requests of 1, 3, 1, 200 and 1 rows, in turn through the same interpreters."""
    expected = litert.predict(rows(200))["weight_pounds"]

    for count in (1, 3, 1, 200, 1):
        assert litert.predict(rows(count))["weight_pounds"] == pytest.approx(expected[:count], rel=1e-6)


def test_threads_get_their_own_answers(litert: Backend) -> None:
    """Eight threads with rows of their own: nobody sees another's numbers."""
    wrong = []

    def ask(start: int) -> None:
        mine = {name: tensor[start : start + 1] for name, tensor in every.items()}
        for _ in range(300):
            if litert.predict(mine)["weight_pounds"][0] != pytest.approx(expected[start], rel=1e-6):
                wrong.append(start)

    every = rows(8)
    expected = litert.predict(every)["weight_pounds"]
    threads = [threading.Thread(target=ask, args=(start,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not wrong


@pytest.mark.tensorflow
@pytest.mark.parametrize("count", [1, 2, 500])
def test_tensorflow_answers_what_its_twin_answers(litert: Backend, tensorflow_backend: Backend, count: int) -> None:
    """The proof at publishing, once more on rows of its own."""
    theirs, ours = (backend.predict(rows(count))["weight_pounds"] for backend in (tensorflow_backend, litert))

    assert np.abs(theirs - ours).max() <= 1e-5 * max(1, np.abs(theirs).max())


@pytest.mark.tensorflow
def test_a_version_let_go_says_so(tensorflow_backend: Backend) -> None:
    """After close nothing is answered, and nothing crashes."""
    from stork.serving.backends.saved_model import SavedModelBackend

    backend = SavedModelBackend(FOLDER, SCHEMA)
    backend.close()

    with pytest.raises(BackendUnavailable, match="let go"):
        backend.predict(rows(1))
    assert tensorflow_backend.predict(rows(1))["weight_pounds"].shape == (1,)


@pytest.mark.parametrize("content", [b"", b"no model", None])
def test_a_file_that_is_no_model_is_a_backend_error(tmp_path: Path, content: bytes | None) -> None:
    """Torn, foreign or missing: never another exception, never a crash."""
    if content is not None:
        (tmp_path / "model.tflite").write_bytes(content)

    with pytest.raises(BackendError, match=r"model\.tflite"):
        LiteRTBackend(tmp_path, SCHEMA)


def test_a_model_of_other_inputs_is_refused(schema: Schema) -> None:
    """A file that does not belong to the schema is found when it is loaded."""
    fewer = Schema(model="m", features=schema.features[:2], outputs=schema.outputs)

    with pytest.raises(BackendError, match="expected inputs"):
        LiteRTBackend(FOLDER, fewer)


@pytest.mark.parametrize(("setting", "proved", "chosen"), [
    ("", True, "litert"), ("", False, "saved_model"), ("saved_model", True, "saved_model"), ("vertex", True, "litert"),
])  # fmt: skip
def test_litert_answers_where_the_twin_is_proved(
    declaration: Declaration, setting: str, proved: bool, chosen: str
) -> None:
    """Without a proof TensorFlow does, unless a setting says otherwise; forwarding falls back to the same choice."""
    import msgspec

    manifest = load_manifest(FOLDER)
    manifest = msgspec.structs.replace(manifest, twin=msgspec.structs.replace(manifest.twin, proved=proved))

    assert choose_local(Settings(backend=setting), declaration, manifest) == chosen
