"""
Lay out what the tritonserver binary of the nvidia-pytriton wheel needs, as pytriton does when it starts one.

Into the folder given: the binary, its libraries, `backends` (the Python backend with the stub of this Python, which is
linked to the system's libpython) and `repository` (one model, its tensors as the version's schema.json has them).
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytriton

DTYPES = {"float32": "TYPE_FP32", "int32": "TYPE_INT32"}
# max_batch_size: the largest body is one request. No queue delay: a batch is what waits while the instance is busy.
CONFIG = """
backend: "python"
max_batch_size: 1024
dynamic_batching { }
instance_group [ { kind: KIND_CPU, count: 1 } ]
"""


def main(target: Path, version: Path) -> None:
    """Make the folder."""
    shipped = Path(pytriton.__file__).parent / "tritonserver"
    shutil.copytree(shipped / "backends", target / "backends")
    (target / "tritonserver").symlink_to(shipped / "bin" / "tritonserver")
    (target / "libraries").symlink_to(shipped.parent.parent / "nvidia_pytriton.libs")
    stub = "triton_python_backend_stub"
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    shutil.copy(shipped / "python_backend_stubs" / python / stub, target / "backends" / "python" / stub)
    schema = json.loads((version / "schema.json").read_text())
    model = target / "repository" / "model"
    (model / "1").mkdir(parents=True)
    shutil.copy(Path(__file__).parent / "model.py", model / "1" / "model.py")
    tensors = [
        describe(side, declared)
        for side, all_declared in (("input", schema["features"]), ("output", schema["outputs"]))
        for declared in all_declared
    ]
    (model / "config.pbtxt").write_text(CONFIG + "".join(tensors))


def describe(side: str, declared: dict[str, Any]) -> str:
    """A feature or an output of schema.json as config.pbtxt has it."""
    tensor = declared.get("tensor", {})
    dtype = DTYPES[tensor.get("dtype", "float32")]
    return f'{side} {{ name: "{tensor.get("name", declared["name"])}", data_type: {dtype}, dims: [ 1 ] }}\n'


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
