"""Settings > Workers: which there are on all machines, what they are at, and those that went silent."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from server.dashboard.visitors import organization_id
from server.runs import workers


def add_to(pages: Blueprint) -> None:
    """Adds the route."""
    pages.add_url_rule("/settings/workers", view_func=list_workers)


def list_workers() -> ResponseReturnValue:
    """The server's workers, each with the runs of the visitor's organisation that it works on, and what waits."""
    return render_template(
        "dashboard/workers.html",
        known=workers.known(),
        working_on=workers.working_on(organization_id()),
        waiting=workers.waiting(),
    )
