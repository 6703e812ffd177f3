"""The ML Engine backend: forwards instances to a model, or a version of one, of the service before Vertex AI."""

import functools
import re
from typing import Any

from stork.declaration import MLEngine
from stork.errors import ConfigurationError
from stork.schema.frozen import Schema
from stork.serving.backends.online_prediction import OnlinePredictionBackend
from stork.serving.backends.prediction_client import PredictionClient, build_service

MODEL = re.compile(r"projects/[^/]+/models/[^/]+(/versions/[^/]+)?")
API = "https://ml.googleapis.com"


class MLEngineBackend(OnlinePredictionBackend):
    """
    One model of ML Engine (later AI Platform Prediction), or of whatever still speaks its language.

    `api` is its address. A body goes to the container as it is: the service hands it on unread.

    Raises:
        ConfigurationError: the model is not named as the service names it.
    """

    name = "mlengine"

    def __init__(self, schema: Schema, mlengine: MLEngine, model: str, api: str = "") -> None:
        if MODEL.fullmatch(model) is None:
            raise ConfigurationError(
                f"model: expected projects/<project>/models/<name>[/versions/<version>], received {model!r}"
            )
        api = api or API
        request = functools.partial(projects_at(api).predict, name=model)
        super().__init__(schema, mlengine, PredictionClient(api, model, request, mlengine.deadline))


@functools.lru_cache(maxsize=4)
def projects_at(api: str) -> Any:
    """The client's methods for projects, built once for all versions."""
    return build_service("ml", api).projects()
