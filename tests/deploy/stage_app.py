"""deploy/stage.py as a module: it is a script, so that deploying needs nothing installed."""

import importlib.util

from stork.config import PROJECT

_specification = importlib.util.spec_from_file_location("stage", PROJECT / "deploy" / "stage.py")
assert _specification is not None and _specification.loader is not None
_module = importlib.util.module_from_spec(_specification)
_specification.loader.exec_module(_module)
stage_app = _module.stage
