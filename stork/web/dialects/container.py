"""The contract of a Vertex AI container: one path says whether it is ready, another answers predictions."""

from stork.config import Settings
from stork.errors import MethodNotAllowed, StorkError
from stork.serving.predictor import Predictor
from stork.web.dialects import Dialect, Reply, Request, json_reply, only_predicts
from stork.web.dialects.google_json import refuse
from stork.web.dialects.vertex import predict_alone


def make_dialects(settings: Settings) -> tuple[Dialect, ...]:
    """
    The two paths that these settings name, each where it is named.

    They are the deployment's own to choose, so they come before those of any other dialect.
    """
    dialects = []
    if settings.health_route:
        dialects.append(
            Dialect("container", settings.health_route.__eq__, lambda method, path: "anyone", tell_health, refuse)
        )
    if settings.predict_route:
        dialects.append(Dialect("container", settings.predict_route.__eq__, only_predicts, predict, refuse))
    return tuple(dialects)


def tell_health(predictor: Predictor, request: Request) -> Reply:
    """200 once every model serves what it should, else 503 with the reasons."""
    if request.method not in ("GET", "HEAD"):
        return refuse(MethodNotAllowed("GET"))
    problems = predictor.problems()
    return json_reply(503 if problems else 200, {"ready": not problems, "problems": problems})


def predict(predictor: Predictor, request: Request) -> Reply:
    """The default model's predictions, one per instance, in their order; none where one of them fails."""
    try:
        if request.method != "POST":
            raise MethodNotAllowed("POST")
        return predict_alone(predictor, request, predictor.default_model, "container")[0]
    except StorkError as error:
        return refuse(error)
