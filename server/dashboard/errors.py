"""Errors as pages: what happened and where to go from here."""

from __future__ import annotations

from flask import g, make_response, render_template
from flask.typing import ResponseReturnValue

from server.dashboard.security import security_headers
from server.dashboard.visitors import recognise


def page(status: int, title: str, message: str) -> ResponseReturnValue:
    """An error as a page with its status; asks the database for nothing where the server itself failed."""
    if "visitor" not in g:
        g.visitor = None
        if status < 500:
            recognise()
    html = render_template("dashboard/error.html", status=status, title=title, message=message)
    return security_headers(make_response(html, status))
