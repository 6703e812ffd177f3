"""What TensorFlow's processes do before they answer: as much as need be, and at low priority."""

import math
import subprocess
import sys

import msgspec
import pytest
from deployments import SHIPPED

from stork.config import PROJECT
from stork.schema.frozen import load_schema
from stork.schema.tensors import Tensors
from stork.serving.backends import tensorflow_template
from stork.serving.backends.saved_model import SavedModelBackend

pytestmark = pytest.mark.tensorflow

PROGRAM = """
import sys
from stork.serving.backends.tensorflow_template import import_without_keras
import_without_keras()
print("tensorflow" in sys.modules, [name for name in sys.modules if name.startswith("keras.")])
"""


def test_what_the_copies_share_is_tensorflow_without_keras() -> None:
    """Every fork would copy the table of Keras's pages too, and no answer needs it."""
    ran = subprocess.run([sys.executable, "-c", PROGRAM], cwd=PROJECT, capture_output=True, text=True, timeout=120)

    assert ran.stdout == "True []\n", ran.stderr


def test_a_model_is_asked_for_one_row_and_for_two_before_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first call of several rows takes long: it is made at low priority, before a request or a golden one is."""
    asked: list[int] = []

    class Recording(SavedModelBackend):
        def predict(self, tensors: Tensors, deadline: float = math.inf) -> Tensors:
            asked.append(len(next(iter(tensors.values()))))
            return super().predict(tensors, deadline)

    monkeypatch.setattr(tensorflow_template, "SavedModelBackend", Recording)
    opening = tensorflow_template.Opening(str(SHIPPED / "1"), load_schema(SHIPPED / "1" / "schema.json"))
    text = msgspec.json.encode(msgspec.to_builtins(opening)).decode()

    tensorflow_template.load_warm(text)

    assert asked == [1, 2]
