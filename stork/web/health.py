"""Whether this process lives, and whether it is ready for traffic."""

from flask import Blueprint, current_app, jsonify
from flask.typing import ResponseReturnValue

from stork.remote.mirror import attach
from stork.serving.predictor import Predictor

blueprint = Blueprint("health", __name__)


def find_predictor() -> Predictor:
    """The predictor of the running application."""
    predictor: Predictor = current_app.extensions["stork"]
    return predictor


@blueprint.get("/healthz")
def live() -> ResponseReturnValue:
    """200 as long as the process answers."""
    return jsonify(live=True)


@blueprint.get("/readyz")
def ready() -> ResponseReturnValue:
    """
    200 once every model serves its declared state; 503 with the reasons before, or when a change could not be followed.

    Records that the prediction log could not write, limits that are not shared, and a bucket that does not answer any
    more are told, but do not make the process unready; a bucket that never answered does.
    """
    predictor = find_predictor()
    problems = predictor.problems()
    mirror = attach(predictor.settings)
    if mirror is not None and not mirror.is_known():
        problems["root"] = mirror.problem
    document = {"ready": not problems, "problems": problems, "log_failures": predictor.log_failures()}
    counters = current_app.extensions["stork_admission"].gate.counters
    if counters is not None and counters.problem:
        document["limits"] = counters.problem
    if mirror is not None and mirror.problem:
        document["root"] = mirror.problem
    return jsonify(document), 503 if problems else 200


@blueprint.get("/_ah/warmup")
def warm_up() -> ResponseReturnValue:
    """App Engine asks this before traffic: answers when every model is loaded and has answered its golden requests."""
    predictor = find_predictor()
    for name in predictor.models():
        predictor.version(name)
    return jsonify(ready=True)
