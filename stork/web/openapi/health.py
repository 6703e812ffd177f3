"""The routes that an orchestrator and Prometheus ask, described."""

from stork.web.openapi.parts import OPEN, Described, Json, Part, json_answer, object_schema, reference

TITLE = "Health"
TEXT: Json = {"type": "string"}


def describe(models: list[Described]) -> Part:
    """Alive, ready, metrics, and the description itself."""
    live = object_schema({"live": {"type": "boolean"}})
    ready = operation("Does every model serve what it should?", "ready", reference("Readiness"))
    ready["responses"]["503"] = json_answer("Not yet, or not any more: the reasons.", reference("Readiness"))
    metrics = operation("The numbers of all processes, for Prometheus", "metrics", {})
    kinds = ("text/plain", "application/openmetrics-text")
    metrics["responses"]["200"]["content"] = {kind: {"schema": TEXT} for kind in kinds}
    paths = {
        "/healthz": {"get": OPEN | operation("Does the process answer?", "live", live)},
        "/readyz": {"get": OPEN | ready},
        "/metrics": {"get": metrics},
        "/openapi.json": {"get": operation("This description", "openapi", {"type": "object"})},
    }
    return Part(TITLE, "For whoever runs the service.", paths, {"Readiness": readiness()})


def operation(summary: str, identity: str, schema: Json) -> Json:
    """One that takes nothing, and is refused to nobody."""
    return {
        "tags": [TITLE],
        "operationId": identity,
        "summary": summary,
        "responses": {"200": json_answer("The answer.", schema)},
    }


def readiness() -> Json:
    """What /readyz says."""
    return object_schema(
        {
            "ready": {"type": "boolean"},
            "problems": {"type": "object", "additionalProperties": TEXT, "description": "Reasons, by model."},
            "log_failures": {"type": "integer", "description": "Records that the prediction log could not keep."},
        }
    )
