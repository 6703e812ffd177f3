"""TensorFlow's C library as Stork calls it: every value arrives and comes back, and nothing stays behind."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import savedmodels

from stork.serving.backends.meta_graph import Signature, read_fields, read_signatures
from stork.serving.backends.saved_model import TAG
from stork.serving.backends.tensorflow_library import INVALID_ARGUMENT, TensorFlowError
from stork.serving.backends.tensorflow_session import NUMBERS, Call, Session

pytestmark = pytest.mark.tensorflow

TEXTS = [b"", b"a", b"x" * 22, b"y" * 23, b"z" * 5000, b"nul \x00 inside\x00", "Größe".encode(), b"\xff\xfe"]


def open_call(session: Session, name: str, given: str, answered: str) -> Call:
    """One input of a signature to one output."""
    signature = session.signatures[name]
    return session.call([signature.inputs[given]], [signature.outputs[answered]])


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Call]:
    """A model that gives back what it is given, for every dtype there is."""
    folder = tmp_path_factory.mktemp("echo")
    dtypes = [*map(str, NUMBERS), "string"]
    savedmodels.export_echo(folder, dtypes)
    session = Session(folder, TAG)
    return {dtype: open_call(session, dtype, "x", "y") for dtype in dtypes}


@pytest.mark.parametrize("dtype", list(map(str, NUMBERS)))
def test_a_number_comes_back_as_it_went(echo: dict[str, Call], dtype: str) -> None:
    """The greatest and the least there is of every dtype, in one row, several, and one again."""
    limits: Any = np.array([0, 1], bool)
    if np.dtype(dtype).kind != "b":
        of = np.finfo if np.dtype(dtype).kind == "f" else np.iinfo
        limits = np.array([of(dtype).min, of(dtype).max], dtype)  # type: ignore[operator]
    for sent in (limits[:1], limits, limits[1:], limits[::-1]):
        (received,) = echo[dtype]([sent])
        assert received.dtype == dtype and received.tolist() == sent.tolist()


def test_a_text_comes_back_as_it_went(echo: dict[str, Call]) -> None:
    """Short ones, which TensorFlow holds in place, long ones, and bytes that are no text."""
    (received,) = echo["string"]([np.array(TEXTS, np.object_)])

    assert received.tolist() == TEXTS


def test_texts_leave_nothing_behind(echo: dict[str, Call]) -> None:
    """A thousand calls of a hundred long texts each: 500 MB, if each stayed."""
    texts = np.array([b"z" * 5000] * 100, np.object_)
    call = echo["string"]
    for _ in range(50):
        call([texts])
    before = resident()
    for _ in range(1000):
        call([texts])

    assert resident() < before + 50


def resident() -> float:
    """MB that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


@pytest.mark.parametrize("value", ["text", 1, None])
def test_what_is_not_bytes_is_no_text(echo: dict[str, Call], value: object) -> None:
    """Nothing is made up for it, and the next call is answered."""
    with pytest.raises(TypeError, match="bytes"):
        echo["string"]([np.array([value], np.object_)])
    assert echo["string"]([np.array([b"a"], np.object_)])[0].tolist() == [b"a"]


def test_another_dtype_than_the_graphs_is_refused(echo: dict[str, Call]) -> None:
    """It is an error of the values, not of the model; the right one is answered after it."""
    with pytest.raises(TensorFlowError) as refused:
        echo["float32"]([np.array([1], np.int64)])

    assert refused.value.code == INVALID_ARGUMENT
    assert echo["float32"]([np.array([1.5], np.float32)])[0].tolist() == [1.5]


def test_what_a_model_keeps_of_a_request_is_not_written_over(tmp_path: Path) -> None:
    """One that answers with the values of the request before gets a memory of its own for each."""
    savedmodels.export_remembering(tmp_path)
    call = open_call(Session(tmp_path, TAG), "serving_default", "x", "before")
    sent = [np.array([value], np.float32) for value in (1, 2, 3, 4)]

    assert [call([array])[0].tolist() for array in sent] == [[0.0], [1.0], [2.0], [3.0]]


def test_threads_get_their_own_answers(echo: dict[str, Call]) -> None:
    """Eight threads call one call with values of their own."""
    wrong: list[float] = []

    def ask(number: int) -> None:
        for step in range(500):
            value = number * 1000.0 + step
            if echo["float64"]([np.array([value])])[0].tolist() != [value]:
                wrong.append(value)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


def read_with_tensorflow(folder: Path) -> dict[str, Signature]:
    """The signatures of a SavedModel, as TensorFlow's own Python reads them."""
    from tensorflow.python.saved_model.loader_impl import parse_saved_model

    (meta_graph,) = parse_saved_model(str(folder)).meta_graphs
    return {
        name: Signature(*({key: side[key].name for key in side} for side in (signature.inputs, signature.outputs)))
        for name, signature in meta_graph.signature_def.items()
    }


@pytest.mark.parametrize("export", [savedmodels.export_tf2, savedmodels.export_keras, savedmodels.export_tf1])
def test_signatures_are_those_that_tensorflow_reads(tmp_path: Path, export: Callable[[Path], None]) -> None:
    """Names, and the tensors in the graph that they stand for."""
    export(tmp_path)

    assert Session(tmp_path, TAG).signatures == read_with_tensorflow(tmp_path)


@pytest.fixture(scope="module")
def meta_graph(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("torn")
    savedmodels.export_tf1(folder)
    in_file = 2  # the number of the field in saved_model.pb
    return bytes(dict(read_fields(memoryview((folder / "saved_model.pb").read_bytes())))[in_file])


def test_torn_bytes_are_no_meta_graph(meta_graph: bytes) -> None:
    """Cut anywhere it is an error that says where, or, between two fields, what is before: never another exception."""
    whole = read_signatures(meta_graph)
    assert list(whole) == ["serving_default"]
    for end in range(0, len(meta_graph), 7):
        try:
            assert read_signatures(meta_graph[:end]).items() <= whole.items()
        except ValueError as error:
            assert "byte" in str(error)
