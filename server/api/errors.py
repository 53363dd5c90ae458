"""Every error of the API in one shape: `{"error": {"code", "message", "details"}}`."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from apiflask.exceptions import HTTPError
from flask import current_app, jsonify, make_response, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from server.access.limits import TooMany
from server.outages import Outage
from server.problems import Invalid, Problem

log = logging.getLogger("retestr.api")
NO_OBJECT = "The body must be a JSON object."


class Denied(Problem):
    """The caller may not do this: 401 without a valid key, 403 where the key does not allow it."""

    def __init__(self, status: int, code: str, message: str, details: Any = None) -> None:
        super().__init__(code, message, details)
        self.status = status


def shape(status: int, code: str, message: str, details: Any = None) -> ResponseReturnValue:
    """One error as an answer."""
    response = make_response(
        jsonify({"error": {"code": code, "message": message, "details": details}}), status
    )
    if status == 401:
        known = code not in ("key-missing",)
        response.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"' if known else "Bearer"
    return response


def of_problem(problem: Problem) -> ResponseReturnValue:
    """A problem that `runs` or `access` reported, or a refusal."""
    return shape(problem.status, problem.code, problem.message, problem.details)


def of_too_many(error: TooMany) -> ResponseReturnValue:
    """A rate limit; says when to try again."""
    answer = make_response(shape(429, error.code, error.message))
    answer.headers["Retry-After"] = str(error.retry_after_s)
    return answer


def of_outage(outage: Outage) -> ResponseReturnValue:
    """A full disk, or a database that is busy or away; says when to try again."""
    answer = make_response(shape(outage.status, outage.code, outage.message))
    answer.headers["Retry-After"] = str(outage.retry_after_s)
    return answer


def of_validation(error: HTTPError) -> ResponseReturnValue:
    """What pydantic found wrong with a body or a query: all of it, field by field."""
    problem = not_valid(
        (None, NO_OBJECT) if field == "_schema" else (field, message)
        for fields in dict(error.detail or {}).values()
        for field, messages in fields.items()
        for message in messages
    )
    return shape(error.status_code, problem.code, problem.message, problem.details)


def not_valid(wrong: Iterable[tuple[str | None, str]]) -> Invalid:
    """What is wrong with a body or a query, as (field, message); a field of None: the whole."""
    details = [{"field": field, "message": message} for field, message in wrong]
    said = "; ".join(f"{w['field']}: {w['message']}" if w["field"] else f"{w['message']}" for w in details)
    return Invalid("validation", f"The request is not valid. {said}", details)


def of_http(error: HTTPException) -> ResponseReturnValue:
    """What Flask and Werkzeug refuse by themselves: no such route, wrong method, a body too large."""
    code = (error.name or "error").lower().replace(" ", "-")
    message = {
        400: "The body is not valid JSON. Send a JSON object with Content-Type: application/json.",
        404: f"There is nothing at {request.path}. The routes are listed at /api/docs.",
        405: f"{request.method} is not possible at {request.path}; see /api/docs.",
        413: f"The body is larger than {current_app.config['MAX_CONTENT_LENGTH']} bytes (RETESTR_MAX_BODY_BYTES); send less.",
    }.get(error.code or 0, error.description or "The request cannot be answered.")
    answer = make_response(shape(error.code or 500, code, message))
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After"):
            answer.headers[name] = value
    if error.code == 405 and (
        own := [rule for rule in current_app.url_map.iter_rules() if rule.rule == request.path]
    ):
        # `/api/runs/<run_id>` matches `/api/runs/cancel-all` as well, but that is no run.
        answer.headers["Allow"] = ", ".join(sorted({method for rule in own for method in rule.methods or ()}))
    return answer


def of_crash(error: Exception) -> ResponseReturnValue:
    """A fault of our own: logged with its traceback, told without it."""
    log.exception("%s %s failed", request.method, request.path, exc_info=error)
    return shape(
        500, "internal", "The server failed to answer; its log tells why. Trying again later may help."
    )
