"""Wiring, nothing but: settings, database, API, dashboard, errors."""

from __future__ import annotations

import logging
import string
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

from apiflask import APIFlask
from apiflask.exceptions import HTTPError
from flask import Flask, Request, make_response, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest, HTTPException, InternalServerError
from werkzeug.middleware.proxy_fix import ProxyFix

from server import api, dashboard, health, outages
from server.access.limits import TooMany
from server.api import errors
from server.config import Settings, load
from server.dashboard import errors as pages
from server.database import db, give_back, prepare
from server.outages import Outage
from server.problems import Problem

log = logging.getLogger("retestr")


class _Request(Request):
    def __init__(self, environ: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        """The query's bytes beyond ASCII are written as browsers do, %XX: Werkzeug cannot read those that are no UTF-8."""
        query = environ.get("QUERY_STRING", "")
        environ["QUERY_STRING"] = quote(query, safe=string.printable, encoding="latin-1")
        super().__init__(environ, *args, **kwargs)

    def get_json(self, *args: Any, **kwargs: Any) -> Any:
        """The body as JSON; null, or nested deeper than Python can follow, it is a bad request."""
        try:
            body = super().get_json(*args, **kwargs)
        except RecursionError:
            raise BadRequest from None
        if body is None:  # APIFlask would take it for an empty object
            raise BadRequest
        return body


class _Sessions(SecureCookieSessionInterface):
    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """None for the API: it knows keys, not cookies, and reading one takes time."""
        return None if request.path.startswith("/api/") else super().open_session(app, request)


class _App(APIFlask):
    request_class = _Request
    session_interface = _Sessions()


def build(settings: Settings | None = None) -> APIFlask:
    """The WSGI application. Migrations are applied by the commands that start it, not here."""
    settings = settings or load()
    app = _App(
        __name__,
        title="retestr",
        version=version("retestr"),
        spec_path="/api/openapi.json",
        docs_path=None,
        json_errors=False,
        static_folder=None,  # type: ignore[arg-type]
    )
    app.extensions["retestr"] = settings
    app.config.update(
        SQLALCHEMY_DATABASE_URI=settings.database,
        SQLALCHEMY_ENGINE_OPTIONS={
            "pool_size": settings.web_threads,  # one connection for each thread
            "max_overflow": settings.web_threads,  # and one for its session besides
            "pool_reset_on_return": None,  # a connection ends its own transaction when it is closed
        },
        SECRET_KEY=settings.session_secret(),
        MAX_CONTENT_LENGTH=settings.max_body_bytes,
        SESSION_COOKIE_NAME="retestr",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.public_url.startswith("https://"),
        DESCRIPTION="Visual regression testing that a CI pipeline drives with an API key.",
        PROVIDE_AUTOMATIC_OPTIONS=False,  # there is nothing to negotiate: no page of another site may call the API
        AUTO_OPERATION_ID=True,
        AUTO_404_RESPONSE=False,
        AUTO_VALIDATION_ERROR_RESPONSE=False,
        AUTO_SERVERS=False,
        AUTO_TAGS=False,
    )
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.json.sort_keys = False  # type: ignore[attr-defined]
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    db.init_app(app)
    with app.app_context():
        prepare(db.engine)
    app.teardown_appcontext(give_back)
    api.register(app)
    dashboard.register(app)
    app.register_blueprint(health.pages)
    if settings.metrics_token:
        from server import metrics  # who measures nothing need not import it

        metrics.register(app)
    _handle_errors(app)
    return app


def _handle_errors(app: APIFlask) -> None:
    """Errors are JSON under `/api` and pages elsewhere."""

    @app.errorhandler(Problem)
    def problem(error: Problem) -> ResponseReturnValue:
        if _wants_json():
            return errors.of_problem(error)
        return pages.of_problem(error)

    @app.errorhandler(TooMany)
    def too_many(error: TooMany) -> ResponseReturnValue:
        if _wants_json():
            return errors.of_too_many(error)
        answer = make_response(pages.page(429, "Too often", error.message))
        answer.headers["Retry-After"] = str(error.retry_after_s)
        return answer

    @app.errorhandler(HTTPError)
    def validation(error: HTTPError) -> ResponseReturnValue:
        return errors.of_validation(error)

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Any:
        if isinstance(error, InternalServerError) and isinstance(error.original_exception, Exception):
            return crash(error.original_exception)  # what failed after the view had answered
        if error.response is not None or (error.code or 500) < 400:
            return error.get_response()
        if _wants_json():
            return errors.of_http(error)
        status = error.code or 500
        return pages.page(status, error.name, pages.HELP.get(status) or error.description or "")

    @app.errorhandler(Exception)
    def crash(error: Exception) -> ResponseReturnValue:
        if (outage := outages.outage(error)) is not None:
            return _answer_outage(outage, error)
        answer = errors.of_crash(error)
        if _wants_json():
            return answer
        return pages.page(500, "The server failed", "Its log tells why. Trying again later may help.")


def _answer_outage(outage: Outage, error: Exception) -> ResponseReturnValue:
    log.error("%s %s: %s (%s)", request.method, request.path, outage.title, str(error).partition("\n")[0])
    if _wants_json():
        return errors.of_outage(outage)
    answer = make_response(pages.page(outage.status, outage.title, outage.message))
    answer.headers["Retry-After"] = str(outage.retry_after_s)
    return answer


def _wants_json() -> bool:
    return request.path == "/api" or (request.path.startswith("/api/") and request.path != "/api/docs")
