"""`/api/runs`: trigger, list, follow, cancel and review runs, and the suites that they were made from."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

from flask import Response, after_this_request, current_app, g, request
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from server import answers
from server.api.blueprint import api
from server.api.openapi import binary, header, optional_json
from server.api.shapes.reviews import ReviewedRunOut, RunReviewIn
from server.api.shapes.runs import CancelledOut, Counts, RunOut, RunPage, RunQuery, TriggerIn
from server.api.shapes.snapshots import SnapshotPage, SnapshotQuery
from server.api.views import (
    dashboard_url,
    group_sizes,
    optional_body,
    project_named,
    run_named,
    run_polled,
    snapshot_json,
    visible_projects,
)
from server.config import Settings
from server.models import Run, Snapshot
from server.paging import page
from server.problems import Invalid
from server.runs import lifecycle, review, suites, trigger
from server.runs.review import Only
from server.runs.trigger import Trigger

PRINTABLE = r"^[!-~]([ -~]*[!-~])?$"


@api.post("/runs")
@api.input(TriggerIn, arg_name="asked")
@api.output(RunOut, 201, description="The run, PENDING; poll it to learn how it ends.")
@api.doc(
    extensions=header(
        "Idempotency-Key",
        "Sent again within 48 hours with the same request, it returns the first run.",
        maxLength=255,
        pattern=PRINTABLE,
    )
)
def trigger_run(asked: TriggerIn) -> dict[str, Any]:
    """Trigger a run

    Waits for nothing. With an `Idempotency-Key` header the same request within 48 hours returns the first
    run.
    """
    project = project_named(asked.project_id)
    values = asked.model_dump(exclude={"project_id", "tests"})
    settings: Settings = current_app.extensions["retestr"]
    run, replayed = trigger.trigger(
        project,
        Trigger(**values, tests=tuple(asked.tests)),
        g.actor,
        settings.max_snapshots,
        _idempotency_key(),
        settings.max_unfinished_runs,
    )
    if replayed:
        _header("Idempotent-Replayed", "true")
    return run_json(run)


@api.get("/runs")
@api.input(RunQuery, location="query", arg_name="query")
@api.output(RunPage)
def list_runs(query: RunQuery) -> dict[str, Any]:
    """List runs, the newest first"""
    runs = select(Run).where(Run.organization_id == g.holder.organization_id)
    if query.project_id is not None:
        runs = runs.where(Run.project_id == project_named(query.project_id).id)
    elif (limit := visible_projects()) is not None:
        runs = runs.where(Run.project_id.in_(limit))
    if query.branch is not None:
        runs = runs.where(Run.branch == query.branch)
    if query.status is not None:
        runs = runs.where(Run.status == query.status)
    rows, cursor = page(runs, Run.id, query.limit, query.cursor)
    return {"items": [run_json(run) for run in rows], "nextCursor": cursor}


@api.get("/runs/<run_id>")
@api.output(RunOut)
def read_run(run_id: str) -> Response:
    """Read a run

    While it is not over, the answer's `Retry-After` says in how many seconds to ask again.
    """
    run = run_polled(run_id)
    answer = Response(
        RunOut.model_validate(run_json(run)).model_dump_json(by_alias=True),
        mimetype="application/json",
    )
    if run.status in lifecycle.UNFINISHED:
        answer.headers["Retry-After"] = str(lifecycle.ask_again_s(run))
    return answer


@api.get("/runs/<run_id>/snapshots")
@api.input(SnapshotQuery, location="query", arg_name="query")
@api.output(SnapshotPage)
def list_snapshots(run_id: str, query: SnapshotQuery) -> dict[str, Any]:
    """List a run's snapshots, in the suite's order"""
    run = run_named(run_id)
    snapshots = select(Snapshot).where(Snapshot.run_id == run.id).options(selectinload(Snapshot.baseline))
    if query.status is not None:
        snapshots = snapshots.where(lifecycle.has_status(run, query.status))
    rows, cursor = page(snapshots, Snapshot.position, query.limit, query.cursor, newest_first=False)
    sizes = group_sizes(rows)
    return {"items": [snapshot_json(row, sizes) for row in rows], "nextCursor": cursor}


@api.get("/runs/<run_id>/suite")
@api.doc(responses=binary("application/yaml", description="The suite."))
def read_run_suite(run_id: str) -> Response:
    """Read the suite that a run was made from, as YAML

    The one that was sent with it, or the project's as it was then. 404 for runs from before suites were kept.
    """
    return answers.suite(suites.of(run_named(run_id)).text)


@api.post("/runs/<run_id>/cancel")
@api.output(RunOut)
def cancel_run(run_id: str) -> dict[str, Any]:
    """Cancel a run; one that is over stays as it is"""
    run = run_named(run_id)
    lifecycle.cancel(run, g.actor)
    return run_json(run)


@api.post("/runs/cancel-all")
@api.output(CancelledOut)
def cancel_all_runs() -> dict[str, int]:
    """Cancel every unfinished run of the organisation, at once"""
    return {"cancelled": lifecycle.cancel_all(g.holder.organization_id, g.actor)}


@api.post("/runs/<run_id>/approve")
@api.output(ReviewedRunOut)
@api.doc(extensions=optional_json(RunReviewIn))
def approve_run(run_id: str) -> dict[str, Any]:
    """Approve the changes of a run that nobody has reviewed: all, some, or a group

    At once or not at all. What is decided already stays as it is; `reviewed` tells how many that were.
    """
    return _decide(run_id, "APPROVED")


@api.post("/runs/<run_id>/reject")
@api.output(ReviewedRunOut)
@api.doc(extensions=optional_json(RunReviewIn))
def reject_run(run_id: str) -> dict[str, Any]:
    """Reject the changes of a run that nobody has reviewed: all, some, or a group"""
    return _decide(run_id, "REJECTED")


def _decide(run_id: str, decision: str) -> dict[str, Any]:
    run, asked = run_named(run_id), optional_body(RunReviewIn)
    only = Only(asked.snapshots, asked.group)
    done = review.review_run(run, decision, g.actor, asked.reason, only)
    return {**run_json(run), "reviewed": asdict(done)}


def run_json(run: Any) -> dict[str, Any]:
    """A run, or its row from `run_polled`, as `RunOut` wants it."""
    return {
        **{name: getattr(run, name) for name in PLAIN},
        "url": dashboard_url(f"/runs/{run.id}"),
        "seconds_left": lifecycle.seconds_left(run),
        "counts": {name: getattr(run, name) for name in Counts.model_fields},
    }


PLAIN = tuple(name for name in RunOut.model_fields if name not in ("url", "counts", "seconds_left"))


def _idempotency_key() -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (len(key) <= 255 and re.fullmatch(PRINTABLE, key)):
        raise Invalid("idempotency-key-invalid", "Idempotency-Key must be 1 to 255 printable characters.")
    return key


def _header(name: str, value: str) -> None:
    @after_this_request
    def add(response: Response) -> Response:
        response.headers[name] = value
        return response
