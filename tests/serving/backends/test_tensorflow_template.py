"""What TensorFlow's processes do before they answer: as much as need be, and out of the server's way."""

import math
import os
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
from stork.serving.backends.saved_model_process import ProcessBackend
from stork.serving.backends.template import Template

pytestmark = pytest.mark.tensorflow

SCHEMA = load_schema(SHIPPED / "1" / "schema.json")
PROGRAM = """
import sys
from stork.serving.backends import tensorflow_template
from stork.serving.backends.tensorflow_library import library
library()
print(sorted({"tensorflow", "keras"} & set(sys.modules)), tensorflow_template.can_fork())
"""


def test_what_the_copies_share_is_the_library_alone() -> None:
    """Every fork would copy the table of the pages of TensorFlow's Python too; and it starts no thread."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=PROJECT, capture_output=True, text=True, timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip

    assert ran.stdout == "[] True\n", ran.stderr


def test_a_model_is_asked_for_one_row_and_for_two_before_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first call of several rows takes long: it is made at low priority, before a request or a golden one is."""
    asked: list[int] = []

    class Recording(SavedModelBackend):
        def predict(self, tensors: Tensors, deadline: float = math.inf) -> Tensors:
            asked.append(len(next(iter(tensors.values()))))
            return super().predict(tensors, deadline)

    monkeypatch.setattr(tensorflow_template, "SavedModelBackend", Recording)
    opening = tensorflow_template.Opening(str(SHIPPED / "1"), SCHEMA)
    text = msgspec.json.encode(msgspec.to_builtins(opening)).decode()

    tensorflow_template.load_warm(text)

    assert asked == [1, 2]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no priority of its own")
def test_a_model_is_loaded_at_low_priority_and_answers_at_the_servers() -> None:
    """TensorFlow's own threads, made while it loads, stay at the low one: an answer does not use them."""
    backend = ProcessBackend(SHIPPED / "1", SCHEMA, Template())
    priorities = {int(thread): os.getpriority(os.PRIO_PROCESS, int(thread)) for thread in threads_of(backend.pid)}

    assert priorities.pop(backend.pid) == os.getpriority(os.PRIO_PROCESS, 0)
    assert set(priorities.values()) == {tensorflow_template.NICENESS}


def threads_of(pid: int) -> list[str]:
    return os.listdir(f"/proc/{pid}/task")
