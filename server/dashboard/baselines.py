"""How things shall look: the gallery of a branch, a page's history as a timeline, and restoring an older one."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from server import answers
from server.dashboard.visitors import actor, organization_id
from server.database import db
from server.models import Baseline, Image, Project
from server.paging import page_from
from server.problems import NotFound
from server.runs import baselines, projects, review

PER_PAGE = 60
ENTRIES_PER_PAGE = 50
SOURCES = {
    "NEW": "First picture of this page",
    "APPROVED": "Approved by {who}",
    "CARRIED": "Approved by {who} on another branch, then merged",
    "AUTO": "Approved by a branch pattern of the project",
    "RESTORED": "Restored by {who}",
}
ENDED = {"TAKEN_BACK": "taken back", "EXPIRED": "ended, as its branch was no longer used"}


def add_to(pages: Blueprint) -> None:
    """Adds the routes."""
    pages.add_url_rule("/projects/<slug>/baselines", view_func=list_baselines)
    pages.add_url_rule("/baselines/<baseline_id>", view_func=show_baseline)
    pages.add_url_rule("/baselines/<baseline_id>/image.png", view_func=baseline_image)
    pages.add_url_rule(
        "/baselines/<baseline_id>/restore", view_func=restore_baseline, methods=["GET", "POST"]
    )


def in_words(baseline: Baseline) -> str:
    """Where a baseline comes from: "Approved by ada@acme.example"."""
    return SOURCES[baseline.source].format(who=baseline.approved_by or "somebody")


def list_baselines(slug: str) -> ResponseReturnValue:
    """The current baselines of a branch, as pictures."""
    project = projects.find(organization_id(), slug)
    branch = request.args.get("branch") or project.default_branch
    wanted = request.args.get("q", "").strip()
    number = max(1, request.args.get("page", 1, type=int))
    rows = baselines.current(project.id, branch)
    found = [row for row in rows if wanted.casefold() in row.test.casefold()]
    start = (number - 1) * PER_PAGE
    return render_template(
        "dashboard/baselines.html",
        project=project,
        branch=branch,
        branches=_branches(project),
        wanted=wanted,
        number=number,
        shown=found[start : start + PER_PAGE],
        more=len(found) > start + PER_PAGE,
        found=len(found),
        total=len(rows),
    )


def show_baseline(baseline_id: str) -> ResponseReturnValue:
    """How one page was to look on one branch, the latest decision first."""
    baseline, project = named(baseline_id)
    latest = baselines.latest_name(baseline)
    before = request.args.get("cursor", "")
    rows, cursor = page_from(baselines.history(baseline), Baseline.id, ENTRIES_PER_PAGE, before)
    return render_template(
        "dashboard/baseline.html",
        project=project,
        baseline=baseline,
        latest=latest,
        entries=rows,
        before=before,
        cursor=cursor,
        standing=baselines.newest(latest, baseline.branch),
        removed=_removed(rows),
        elsewhere=_elsewhere(latest),
        ended=ENDED,
    )


def baseline_image(baseline_id: str) -> ResponseReturnValue:
    """A baseline's image."""
    return answers.image(named(baseline_id)[0].image)


def restore_baseline(baseline_id: str) -> ResponseReturnValue:
    """Asks, and then makes an older baseline the current one again."""
    baseline, project = named(baseline_id)
    if request.method != "POST":
        return render_template("dashboard/baseline_restore.html", baseline=baseline, project=project)
    restored = review.restore(baseline, actor())
    flash(f"{restored.test} shall look like that again on {restored.branch}, from the next run on.", "done")
    return redirect(url_for("dashboard.show_baseline", baseline_id=restored.id), 303)


def named(baseline_id: str) -> tuple[Baseline, Project]:
    """A baseline of the visitor's organisation, with its project. Raises `NotFound`."""
    row = db.session.execute(
        select(Baseline, Project)
        .join(Project, Project.id == Baseline.project_id)
        .where(Baseline.id == baseline_id, Project.organization_id == organization_id())
    ).one_or_none()
    if row is None:
        raise NotFound("baseline-not-found", f"There is no baseline {baseline_id!r} in your organisation.")
    return row[0], row[1]


def _branches(project: Project) -> list[str]:
    """The branches that have baselines, the default branch first."""
    standing = Baseline.project_id == project.id, Baseline.ended_at.is_(None)
    found = set(db.session.scalars(select(Baseline.branch).where(*standing).distinct()))
    return sorted(found | {project.default_branch}, key=lambda name: (name != project.default_branch, name))


def _removed(rows: Sequence[Baseline]) -> set[str]:
    """Which of these images retention has taken."""
    gone = Image.sha256.in_({row.image for row in rows}), Image.removed_at.is_not(None)
    return set(db.session.scalars(select(Image.sha256).where(*gone)))


def _elsewhere(baseline: Baseline) -> list[Baseline]:
    """The newest entry of the same page on each other branch, by branch."""
    others = baselines.of_variant(baseline).where(Baseline.branch != baseline.branch)
    newest = {
        row.branch: row for row in db.session.scalars(others.order_by(Baseline.run_number, Baseline.id))
    }
    return [newest[branch] for branch in sorted(newest)]
