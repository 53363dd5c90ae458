"""The dashboard: HTTP and HTML around `runs` and `access`. One small file per page; who may come in is checked here."""

from __future__ import annotations

from collections.abc import Iterator

from apiflask import APIBlueprint
from flask import Flask, Response, abort, flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError, CSRFProtect

from server.access import people
from server.dashboard import (
    account,
    assets,
    audit_logs,
    baselines,
    errors,
    first_steps,
    formats,
    health,
    invitations,
    keys,
    login,
    marks,
    members,
    organization,
    passwords,
    projects,
    reviewing,
    runs,
    search,
    secrets,
    snapshots,
    social,
    suites,
    workers,
)
from server.dashboard.security import security_headers
from server.dashboard.visitors import let_in, local
from server.problems import Conflict, Problem

__all__ = ["register", "security_headers"]

csrf = CSRFProtect()
PAGES = (
    login,
    passwords,
    invitations,
    first_steps,
    projects,
    suites,
    secrets,
    baselines,
    health,
    runs,
    snapshots,
    search,
    members,
    keys,
    audit_logs,
    organization,
    account,
    social,
    workers,
)


def register(app: Flask) -> None:
    """Adds the pages, their static files and what protects them."""
    app.config.update(
        WTF_CSRF_CHECK_DEFAULT=False,  # the API has keys instead; `_protect` checks the dashboard's forms
        WTF_CSRF_SSL_STRICT=False,  # pages that hold a secret send no Referer; `_protect` looks at Sec-Fetch-Site
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session: a review may stay open over night
        PERMANENT_SESSION_LIFETIME=people.LOGIN_LASTS,
        SESSION_REFRESH_EACH_REQUEST=False,  # else every image would carry a new cookie
    )
    csrf.init_app(app)
    pages = APIBlueprint(
        "dashboard",
        __name__,
        template_folder="templates",
        static_folder="static",
        static_url_path="/static",
        enable_openapi=False,
    )
    pages.before_request(_protect)
    pages.before_request(let_in)
    pages.after_request(_seal)
    for page in PAGES:
        page.add_to(pages)
    pages.register_error_handler(Problem, _problem)
    pages.register_error_handler(CSRFError, _stale_form)
    app.register_blueprint(pages)
    formats.register(app)
    app.jinja_env.filters.update(source_in_words=baselines.in_words, links=reviewing.links)
    app.jinja_env.globals.update(
        asset=assets.asset, marks=marks.MARKS, organizations=organization.to_switch_to
    )


def _protect() -> None:
    if any("\0" in text for text in _sent()):
        abort(400, "There is a NUL character in it, which PostgreSQL does not take.")
    if request.method not in ("GET", "HEAD", "OPTIONS"):
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            raise CSRFError("the form is another site's")
        csrf.protect()


def _sent() -> Iterator[str]:
    """All text that the database may see: the path, and names and values of each field, whichever hides another."""
    yield request.path
    for name, value in (*request.args.items(multi=True), *request.form.items(multi=True)):
        yield from (name, value)


def _seal(response: Response) -> Response:
    if request.endpoint == "dashboard.static":
        return assets.seal(response)
    return security_headers(response)


def _problem(problem: Problem) -> ResponseReturnValue:
    if isinstance(problem, Conflict) and request.method == "POST" and (back := local(request.referrer)):
        flash(problem.message, "notice")
        return redirect(back, 303)
    return errors.of_problem(problem)


def _stale_form(error: CSRFError) -> ResponseReturnValue:
    return errors.page(
        400,
        "This form is no longer valid",
        "It was loaded before you logged in, or cookies are blocked. Go back, reload the page and send it again.",
    )
