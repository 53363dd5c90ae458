"""The review of one run, its progress, and what is decided about a run as a whole."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from server.config import Settings
from server.dashboard import marks, queries, reviewing
from server.dashboard.visitors import actor, organization_id
from server.models import Run
from server.runs import kept, lifecycle, review

DECISIONS = {"approve": "APPROVED", "reject": "REJECTED"}


def add_to(pages: Blueprint) -> None:
    """Adds the routes."""
    pages.add_url_rule("/runs/<run_id>", view_func=show_run)
    pages.add_url_rule("/runs/<run_id>/row", view_func=run_row)
    pages.add_url_rule("/runs/<run_id>/progress", view_func=run_progress)
    pages.add_url_rule("/runs/<run_id>/cancel", view_func=cancel_run, methods=["POST"])
    pages.add_url_rule(
        "/runs/<run_id>/<any(approve, reject):decision>", view_func=review_run, methods=["GET", "POST"]
    )


def show_run(run_id: str) -> ResponseReturnValue:
    """The review: verdict, list of snapshots, image stage, facts and decisions."""
    run = queries.run_named(organization_id(), run_id)
    return render_template("dashboard/run.html", **_review(run))


def run_row(run_id: str) -> ResponseReturnValue:
    """One row of a project's runs; it asks again by itself until the run is over."""
    return render_template("dashboard/run_row.html", run=queries.run_named(organization_id(), run_id))


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
    """Asks, and then approves or rejects every change of a run that nobody has reviewed."""
    run = queries.run_named(organization_id(), run_id)
    if request.method != "POST":
        return render_template(
            "dashboard/review_run.html", run=run, tally=reviewing.tally(run), decision=decision
        )
    reason = request.form.get("reason", "").strip() or None
    count = review.review_run(run, DECISIONS[decision], actor(), reason)
    done = f"{count} change{'' if count == 1 else 's'} {DECISIONS[decision].lower()}."
    flash(done if count else "There was nothing left to review.", "done" if count else "notice")
    return redirect(url_for("dashboard.show_run", run_id=run_id), 303)


def _settings() -> Settings:
    settings: Settings = current_app.extensions["retestr"]
    return settings


def _review(run: Run) -> dict[str, Any]:
    show = request.args.get("show", "all")
    selected = reviewing.selected_of(run, request.args.get("snapshot", ""), show)
    listing = reviewing.listing(run, show, selected)
    return {
        "run": run,
        "verdict": marks.verdict(run),
        "left_s": lifecycle.seconds_left(run),
        "branches": list(
            dict.fromkeys(filter(None, (run.branch, run.base_branch, run.project.default_branch)))
        ),
        "listing": listing,
        "filters": reviewing.FILTERS,
        "selected": selected,
        "images": reviewing.sizes(selected) if selected else {},
        "removed": kept.why_removed(run, _settings()) if selected and kept.image_removed(selected) else None,
        "reviewable": review.REVIEWABLE,
        "unfinished": lifecycle.UNFINISHED,
    }
