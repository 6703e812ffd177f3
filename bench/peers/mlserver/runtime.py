"""
MLServer's custom runtime: one request, one call.

Tuned: the JSON lists become arrays directly, without the codecs' way over parameters and requests. Adaptive batching is
off in model/model-settings.json, for merging requests costs more than the call it saves.
"""

import numpy as np
from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput

from bench.peers.savedmodel import SavedModel


class Runtime(MLModel):
    """What model/model-settings.json names."""

    async def load(self) -> bool:
        """Load the model."""
        self.model = SavedModel()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Predictions of shape [n, 1]."""
        columns = {tensor.name: np.array(tensor.data.root, self.model.dtypes[tensor.name]) for tensor in payload.inputs}
        predictions = self.model.predict(columns).tolist()
        output = ResponseOutput(name="prediction", shape=[len(predictions), 1], datatype="FP32", data=predictions)
        return InferenceResponse(model_name=self.name, outputs=[output])
