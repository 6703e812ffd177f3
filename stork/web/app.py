"""Putting the parts together: settings, predictor, door, pages."""

import os
from datetime import timedelta

from flask import Flask, Response, render_template, request
from flask_wtf import CSRFProtect
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from stork.access.gate import Gate
from stork.access.keys import derive_secret, load_admin_key
from stork.config import PROJECT, Settings
from stork.errors import StorkError, Unauthorized
from stork.remote.mirror import attach
from stork.serving.predictor import Predictor
from stork.web import admin, docs, health, metrics, pages, session, traffic
from stork.web.admission import Admission
from stork.web.dialects import encode_json, error_headers
from stork.web.door import Door

# The blueprints of pages; htmx asks for those without saying that it takes HTML.
PAGES = ("pages", "session", "versions")


def create_app(settings: Settings | None = None) -> Door:
    """
    The whole application, its models loading in the background.

    Call it in the process that serves, never before a fork: loaded models and threads do not survive one.

    Raises:
        ConfigurationError: a setting or a declaration is wrong.
    """
    settings = settings or Settings.from_environment()
    if mirror := attach(settings):
        mirror.follow()
        mirror.keep_following(settings.poll_seconds)
    admin_key = load_admin_key(settings)
    secret = derive_secret(admin_key)
    predictor = Predictor(settings, secret)
    predictor.start()
    admission = Admission(Gate(settings, admin_key), settings)
    flask = create_pages(settings, predictor, admission, secret)
    return Door(settings, predictor, flask, admission, project=os.environ.get("GOOGLE_CLOUD_PROJECT", ""))


def create_pages(settings: Settings, predictor: Predictor, admission: Admission, secret: bytes) -> Flask:
    """The Flask app of pages and rare routes."""
    app = Flask("stork", template_folder=str(PROJECT / "templates"), static_folder=str(PROJECT / "static"))
    app.config.update(
        SECRET_KEY=secret,
        MAX_CONTENT_LENGTH=settings.max_body,
        PERMANENT_SESSION_LIFETIME=timedelta(hours=8),
        SEND_FILE_MAX_AGE_DEFAULT=600,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_SECURE=os.environ.get("GAE_ENV") == "standard",  # there every handler is `secure: always`
        WTF_CSRF_SSL_STRICT=False,
    )
    app.extensions["stork"] = predictor
    app.extensions["stork_admission"] = admission
    csrf = CSRFProtect(app)
    served = (pages.blueprint, docs.blueprint, health.blueprint, metrics.blueprint, session.blueprint)
    for blueprint in (*served, admin.pages, admin.api, traffic.api):
        app.register_blueprint(blueprint)
    app.before_request(session.enter)
    app.after_request(session.tell_limits)
    app.teardown_request(session.leave)
    app.context_processor(lambda: {"caller": session.caller()})
    csrf.exempt(pages.blueprint)  # predicting changes nothing
    csrf.exempt(admin.api)  # takes no session
    csrf.exempt(traffic.api)  # nor does this
    app.register_error_handler(StorkError, render_stork_error)
    app.register_error_handler(HTTPException, render_http_error)
    return app


def render_stork_error(error: StorkError) -> Response:
    """A deliberate error: a page for a person, who is asked to sign in where that is missing, JSON for a program."""
    if isinstance(error, Unauthorized) and is_for_a_person():
        onward = request.full_path.rstrip("?") if request.method == "GET" else request.path
        response = Response(session.show_sign_in("", onward), error.status)
    else:
        response = render_error(error.status, str(error))
    response.headers.extend(error_headers(error))
    return response


def render_http_error(error: HTTPException) -> Response:
    """What Flask raises itself: an unknown page, a wrong method, a token that expired; also a defect of ours."""
    message = error.description or error.name
    if isinstance(error, NotFound) and not is_for_a_person():
        message = f"no such route: {request.path}"
    response = render_error(error.code or 500, message)
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def render_error(status: int, message: str) -> Response:
    if is_for_a_person():
        return Response(render_template("error.html", status=status, message=message), status)
    return Response(encode_json({"error": message}), status, mimetype="application/json")


def is_for_a_person() -> bool:
    """Whether the answer is looked at: that of a page, and of any path but the API's to who asks for HTML."""
    if request.blueprint in PAGES:
        return True
    is_api = request.path == "/api" or request.path.startswith("/api/")
    return not is_api and "text/html" in request.headers.get("Accept", "")
