"""MLflow's pyfunc flavour: the tensors of a request's `inputs`, answered by one call."""

from typing import Any

import mlflow

from bench.peers.savedmodel import SavedModel


class Predictions(mlflow.pyfunc.PythonModel):
    """What MLflow loads by `set_model`."""

    def load_context(self, context: Any) -> None:
        """Load the model."""
        self.model = SavedModel()

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """An array of shape (n,) for a dict of arrays."""
        dtypes = self.model.dtypes
        return self.model.predict({name: model_input[name].astype(dtype) for name, dtype in dtypes.items()})


mlflow.models.set_model(Predictions())
