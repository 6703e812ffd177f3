"""What Vertex AI tells a container that it runs, as settings."""

from collections.abc import Mapping

from stork.errors import SettingError

# Its variables, and the one of ours that each gives where that is not set itself.
CONTAINER = {
    "AIP_HEALTH_ROUTE": "STORK_HEALTH_ROUTE",
    "AIP_PREDICT_ROUTE": "STORK_PREDICT_ROUTE",
    "AIP_ENDPOINT_ID": "STORK_ENDPOINT",
    "AIP_STORAGE_URI": "STORK_MODELS",
}


def container_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """
    The variables of ours that those of a Vertex AI container stand for; none outside of one.

    There the service's front end asks by address, whatever that is, and nobody else reaches the port.
    Source: https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements

    Raises:
        SettingError: the models are to be read from a bucket.
    """
    if "AIP_HTTP_PORT" not in environment:
        return {}
    if "://" in environment.get("AIP_STORAGE_URI", "") and "STORK_MODELS" not in environment:
        raise SettingError(
            f"AIP_STORAGE_URI: expected a local folder or nothing, received {environment['AIP_STORAGE_URI']!r}; "
            "put the models into the image, and upload it without an artifact URI"
        )
    found = {ours: environment[theirs] for theirs, ours in CONTAINER.items() if environment.get(theirs)}
    return {"STORK_BIND": "0.0.0.0", "STORK_HOSTS": "*", **found}
