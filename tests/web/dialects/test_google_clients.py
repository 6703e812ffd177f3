"""The dialects of Vertex AI and ML Engine, asked by Google's own clients."""

from typing import Any

import numpy as np
import pytest
from googleapiclient import discovery
from googleapiclient.errors import HttpError
from server import BABY, Server

from stork.declaration import MLEngine, Vertex
from stork.schema.decode import Decoder
from stork.schema.frozen import Schema
from stork.serving.backends.mlengine import MLEngineBackend
from stork.serving.backends.vertex import VertexBackend

ENDPOINT = "projects/p/locations/us-central1/endpoints/babyweight"
MODEL = "projects/p/models/babyweight"
BODY = {"instances": [BABY]}
OLD = {"instances": [{**BABY, "mother_age": 900}]}


def build(name: str, url: str) -> Any:
    """Google's client for a service, made from the description in its package; it is closed when its block ends."""
    import httplib2

    return discovery.build(name, "v1", http=httplib2.Http(timeout=10), client_options={"api_endpoint": url})


@pytest.fixture(scope="module")
def pounds(shared_server: Server) -> float:
    """What Stork's own dialect answers."""
    value: float = shared_server.predict().json["predictions"][0]["weight_pounds"]
    return value


def test_the_vertex_client_predicts_and_explains(shared_server: Server, pounds: float) -> None:
    """google-api-python-client, `aiplatform`: every verb answers the number that all dialects do."""
    with build("aiplatform", shared_server.url) as service:
        endpoints = service.projects().locations().endpoints()
        predicted = endpoints.predict(endpoint=ENDPOINT, body=BODY).execute()
        explained = endpoints.explain(endpoint=ENDPOINT, body={**BODY, "deployedModelId": "1"}).execute()
        raw = endpoints.rawPredict(endpoint=ENDPOINT, body=BODY).execute()

    assert predicted["predictions"] == explained["predictions"] == raw["predictions"] == [pounds]
    assert explained["explanations"][0]["attributions"][0]["instanceOutputValue"] == pytest.approx(pounds)


def test_the_ml_client_predicts_and_looks(shared_server: Server, pounds: float) -> None:
    """google-api-python-client, `ml`: the default version and a named one; the model and its versions as resources."""
    with build("ml", shared_server.url) as service:
        projects = service.projects()
        default = projects.predict(name=MODEL, body=BODY).execute()
        named = projects.predict(name=f"{MODEL}/versions/v1", body=BODY).execute()
        model = projects.models().get(name=MODEL).execute()
        version = projects.models().versions().get(name=f"{MODEL}/versions/v1").execute()

    assert default == named == {"predictions": [{"weight_pounds": pounds}]}
    assert model["defaultVersion"] == version and version["name"] == f"{MODEL}/versions/v1"


@pytest.mark.parametrize("service", ["aiplatform", "ml"])
def test_a_refusal_is_raised_with_its_place(shared_server: Server, service: str) -> None:
    """The client shows our sentence, and has the located problem as data."""
    with build(service, shared_server.url) as client:
        if service == "ml":
            request = client.projects().predict(name=MODEL, body=OLD)
        else:
            request = client.projects().locations().endpoints().predict(endpoint=ENDPOINT, body=OLD)
        with pytest.raises(HttpError, match="mother_age: expected 10 to 60, received 900") as raised:
            request.execute()

    assert raised.value.status_code == 400
    assert raised.value.error_details[0]["fieldViolations"][0]["field"] == "instances[0].mother_age"


def test_a_stork_forwards_to_a_stork(shared_server: Server, schema: Schema) -> None:
    """Backend and dialect are two ends of one wire: what is not known stays so, and the float32 is the same."""
    tensors = Decoder(schema, 10).decode([BABY, {**BABY, "is_male": None}]).tensors
    vertex = VertexBackend(schema, Vertex(container="stork"), ENDPOINT, shared_server.url)
    mlengine = MLEngineBackend(schema, MLEngine(container="stork"), MODEL, shared_server.url)
    found = [backend.predict(tensors)["weight_pounds"] for backend in (vertex, mlengine)]
    for backend in (vertex, mlengine):
        backend.close()
    own = shared_server.predict({"instances": [BABY, {**BABY, "is_male": None}]}).json["predictions"]

    assert np.array_equal(*found)
    assert found[0].tolist() == np.array([row["weight_pounds"] for row in own], np.float32).tolist()
