"""The review of one run, its progress, and what is decided about a run as a whole."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from server.config import Settings
from server.dashboard import deciding, marks, queries, reviewing
from server.dashboard.outline import SHOWN, Filters, listing, outline
from server.dashboard.visitors import actor, organization_id
from server.database import now
from server.models import Run
from server.runs import kept, lifecycle, suites
from server.runs.automatic import REVIEWABLE


def add_to(pages: Blueprint) -> None:
    """Adds the routes."""
    pages.add_url_rule("/runs/<run_id>", view_func=show_run)
    pages.add_url_rule("/runs/<run_id>/progress", view_func=run_progress)
    pages.add_url_rule("/runs/<run_id>/cancel", view_func=cancel_run, methods=["POST"])
    pages.add_url_rule(
        "/runs/<run_id>/<any(approve, reject):decision>", view_func=review_run, methods=["GET", "POST"]
    )
    pages.add_url_rule("/runs/<run_id>/undo", view_func=undo_run, methods=["POST"])


def show_run(run_id: str) -> ResponseReturnValue:
    """The review: verdict, list of snapshots, image stage, facts and decisions."""
    run = queries.run_named(organization_id(), run_id)
    return render_template("dashboard/run.html", **_review(run))


def run_progress(run_id: str) -> ResponseReturnValue:
    """The verdict and the list, where something happened; the whole page once the selected page is captured."""
    run = queries.run_named(organization_id(), run_id)
    if request.args.get("done") == str(run.done) and request.args.get("status") == run.status:
        return Response(status=204)
    shown = _review(run)
    selected = shown["selected"]
    if "waiting" in request.args and lifecycle.status_of(selected) not in lifecycle.UNFINISHED:
        return Response(headers={"HX-Refresh": "true"})
    return render_template("dashboard/run_progress.html", **shown)


def cancel_run(run_id: str) -> ResponseReturnValue:
    """Cancels a run that is not over."""
    run = queries.run_named(organization_id(), run_id)
    if not lifecycle.cancel(run, actor()):
        flash("The run was over already; nothing is cancelled.", "notice")
    return redirect(url_for("dashboard.show_run", run_id=run_id), 303)


def review_run(run_id: str, decision: str) -> ResponseReturnValue:
    """Asks, and then approves or rejects what nobody has decided: of a group (unasked), or all that is shown."""
    run = queries.run_named(organization_id(), run_id)
    if request.method == "POST":
        return deciding.many(run, deciding.DECISIONS[decision], request.form)
    filters = Filters.of(request.args)
    return render_template(
        "dashboard/review_run.html",
        run=run,
        filters=filters,
        count=outline(run, filters.without_show()).tally["review"],
        decision=decision,
        at=now().isoformat(),
    )


def undo_run(run_id: str) -> ResponseReturnValue:
    """Undoes what was decided about several snapshots at once."""
    return deciding.undo_many(queries.run_named(organization_id(), run_id), request.form)


def _settings() -> Settings:
    settings: Settings = current_app.extensions["retestr"]
    return settings


def _review(run: Run) -> dict[str, Any]:
    filters = Filters.of(request.args)
    outlined = outline(run, filters)
    selected = reviewing.selected_of(run, outlined, request.args.get("snapshot", ""))
    opened = "open" in request.args
    return {
        "run": run,
        "verdict": marks.verdict(run),
        "left_s": lifecycle.seconds_left(run),
        "branches": list(
            dict.fromkeys(filter(None, (run.branch, run.base_branch, run.project.default_branch)))
        ),
        "links": reviewing.links(run),
        "suite_since": None if run.suite_sent else suites.since(run),
        "outline": outlined,
        "filters": filters,
        "shown": SHOWN,
        "listing": listing(outlined, selected, opened, request.args.get("first", type=int)),
        "selected": selected,
        "images": reviewing.sizes(selected) if selected else {},
        "removed": kept.why_removed(run, _settings()) if selected and kept.image_removed(selected) else None,
        "undo": deciding.undo_offered(run),
        "at": now().isoformat(),
        "reviewable": REVIEWABLE,
        "unfinished": lifecycle.UNFINISHED,
    }
