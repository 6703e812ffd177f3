"""Putting the parts together: settings, predictor, door, pages."""

import os
from datetime import timedelta

from flask import Flask, Response, render_template, request
from flask_wtf import CSRFProtect
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from stork.access.keys import derive_secret, load_admin_key
from stork.config import PROJECT, Settings
from stork.errors import StorkError
from stork.serving.predictor import Predictor
from stork.web import admin, docs, health, metrics, pages, traffic
from stork.web.door import Door


def create_app(settings: Settings | None = None) -> Door:
    """
    The whole application, its models loading in the background.

    Call it in the process that serves, never before a fork: loaded models and threads do not survive one.

    Raises:
        ConfigurationError: a setting or a declaration is wrong.
    """
    settings = settings or Settings.from_environment()
    admin_key = load_admin_key(settings)
    secret = derive_secret(admin_key)
    predictor = Predictor(settings, secret)
    predictor.start()
    flask = create_pages(settings, predictor, admin_key, secret)
    return Door(settings, predictor, flask, admin_key, project=os.environ.get("GOOGLE_CLOUD_PROJECT", ""))


def create_pages(settings: Settings, predictor: Predictor, admin_key: str, secret: bytes) -> Flask:
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
    app.extensions["stork_admin_key"] = admin_key
    csrf = CSRFProtect(app)
    served = (pages.blueprint, docs.blueprint, health.blueprint, metrics.blueprint)
    for blueprint in (*served, admin.pages, admin.api, traffic.api):
        app.register_blueprint(blueprint)
    csrf.exempt(pages.blueprint)  # predicting changes nothing
    csrf.exempt(admin.api)  # asks for the key itself, which no browser sends on its own
    csrf.exempt(traffic.api)  # so does this
    app.register_error_handler(StorkError, render_stork_error)
    app.register_error_handler(HTTPException, render_http_error)
    return app


def render_stork_error(error: StorkError) -> tuple[Response | str, int]:
    """A deliberate error: JSON under /api/, a page for a person."""
    return render_error(error.status, str(error))


def render_http_error(error: HTTPException) -> tuple[Response | str, int, dict[str, str]]:
    """What Flask raises itself: an unknown page, a wrong method, a token that expired; also a defect of ours."""
    methods = error.valid_methods if isinstance(error, MethodNotAllowed) else None
    allowed = {"Allow": ", ".join(sorted(methods))} if methods else {}
    return *render_error(error.code or 500, error.description or error.name), allowed


def render_error(status: int, message: str) -> tuple[Response | str, int]:
    if request.path.startswith("/api/"):
        response = Response(status=status)
        from stork.web.dialects import encode_json

        response.data = encode_json({"error": message})
        response.mimetype = "application/json"
        return response, status
    return render_template("error.html", status=status, message=message), status
