"""Errors as pages: what happened and where to go from here."""

from __future__ import annotations

from flask import g, make_response, render_template
from flask.typing import ResponseReturnValue

from server.dashboard.security import security_headers
from server.dashboard.visitors import Refused, recognise
from server.problems import Conflict, Invalid, NotFound, Problem

TITLES: dict[type[Problem], str] = {
    NotFound: "Not found",
    Invalid: "This cannot be used",
    Conflict: "This is not possible now",
    Refused: "Your role does not allow this",
}

HELP = {
    404: "Nothing is at this address. It may be mistyped, or what was here is deleted.",
    405: "This address is not made to be opened; go back and use the button or form that leads here.",
    413: "What was sent is larger than this server takes (RETESTR_MAX_BODY_BYTES); go back and send less.",
}
"""What pages say instead of what Werkzeug says to programmers."""


def of_problem(problem: Problem) -> ResponseReturnValue:
    """A page about a problem."""
    return page(problem.status, TITLES.get(type(problem), "This is not possible"), problem.message)


def page(status: int, title: str, message: str) -> ResponseReturnValue:
    """An error as a page with its status; asks the database for nothing where the server itself failed."""
    if "visitor" not in g:
        g.visitor = None
        if status < 500:
            recognise()
    html = render_template("dashboard/error.html", status=status, title=title, message=message)
    return security_headers(make_response(html, status))
