"""
Triton's Python backend: the requests that its dynamic batching gave together, answered by one call.
"""

import json

import numpy as np
import triton_python_backend_utils as triton

from bench.peers.savedmodel import SavedModel


class TritonPythonModel:
    """What the backend looks for by this name."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model."""
        self.model = SavedModel()
        self.output = json.loads(args["model_config"])["output"][0]["name"]
        self.first = next(iter(self.model.dtypes))

    def execute(self, requests: list) -> list:
        """One answer per request, in order."""
        asked = [{tensor.name(): tensor.as_numpy() for tensor in request.inputs()} for request in requests]
        columns = {name: np.concatenate([one[name] for one in asked])[:, 0] for name in self.model.dtypes}
        predictions = self.model.predict(columns).reshape(-1, 1)
        ends = np.cumsum([len(one[self.first]) for one in asked])[:-1]
        parts = np.split(predictions, ends)
        return [triton.InferenceResponse([triton.Tensor(self.output, part)]) for part in parts]
