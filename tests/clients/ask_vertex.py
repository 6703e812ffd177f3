"""Ask a Vertex AI endpoint with google-cloud-aiplatform's REST transport: URL INSTANCE -> JSON of what it says."""

import json
import sys
from typing import Any

from google.api import httpbody_pb2
from google.api_core.exceptions import GoogleAPICallError
from google.auth.credentials import AnonymousCredentials
from google.cloud.aiplatform_v1 import PredictionServiceClient
from google.cloud.aiplatform_v1.services.prediction_service.transports import PredictionServiceRestTransport
from google.protobuf import json_format, struct_pb2

ENDPOINT = "projects/p/locations/us-central1/endpoints/babyweight"


def ask(client: PredictionServiceClient, instance: dict[str, Any]) -> dict[str, Any]:
    """Every verb's answer to one instance, and the error for one that is refused."""
    instances = [json_format.ParseDict(instance, struct_pb2.Value())]
    refused = [json_format.ParseDict({**instance, "mother_age": 9}, struct_pb2.Value())]
    predicted = client.predict(endpoint=ENDPOINT, instances=instances)
    explained = client.explain(endpoint=ENDPOINT, instances=instances, deployed_model_id="1")
    body = httpbody_pb2.HttpBody(content_type="application/json", data=json.dumps({"instances": [instance]}).encode())
    try:
        error = None
        client.predict(endpoint=ENDPOINT, instances=refused)
    except GoogleAPICallError as raised:
        error = {"type": type(raised).__name__, "message": raised.message, "details": raised.details}
    return {
        "predict": type(predicted).to_dict(predicted),
        "explain": type(explained).to_dict(explained),
        "raw_predict": json.loads(client.raw_predict(endpoint=ENDPOINT, http_body=body).data),
        "error": error,
    }


if __name__ == "__main__":
    url, instance = sys.argv[1:]
    host = url.removeprefix("http://")
    transport = PredictionServiceRestTransport(host=host, credentials=AnonymousCredentials(), url_scheme="http")
    print(json.dumps(ask(PredictionServiceClient(transport=transport), json.loads(instance))))
