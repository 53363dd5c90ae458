"""`/api/projects`: create, read, change and delete projects, and their suites."""

from __future__ import annotations

from typing import Any

from flask import Response, g, request
from sqlalchemy import select

from server import answers
from server.api.blueprint import api
from server.api.openapi import binary, yaml_body
from server.api.shapes.base import PageQuery
from server.api.shapes.projects import ProjectIn, ProjectOut, ProjectPage, ProjectPatch
from server.api.views import dashboard_url, project_named, visible_projects
from server.models import Project
from server.paging import page
from server.problems import Invalid
from server.runs import projects


@api.get("/projects")
@api.input(PageQuery, location="query", arg_name="query")
@api.output(ProjectPage)
def list_projects(query: PageQuery) -> dict[str, Any]:
    """List projects, the newest first"""
    found = select(Project).where(Project.organization_id == g.holder.organization_id)
    if (limit := visible_projects()) is not None:
        found = found.where(Project.id.in_(limit))
    rows, cursor = page(found, Project.id, query.limit, query.cursor)
    return {"items": [_json(project) for project in rows], "nextCursor": cursor}


@api.post("/projects")
@api.input(ProjectIn, arg_name="asked")
@api.output(ProjectOut, 201)
def create_project(asked: ProjectIn) -> dict[str, Any]:
    """Create a project"""
    project = projects.create(
        g.holder.organization_id,
        asked.name,
        g.actor,
        suite=asked.suite,
        default_branch=asked.default_branch,
        slug=asked.slug or "",
    )
    return _json(project)


@api.get("/projects/<project_id>")
@api.output(ProjectOut)
def read_project(project_id: str) -> dict[str, Any]:
    """Read a project, by ID or slug"""
    return _json(project_named(project_id))


@api.patch("/projects/<project_id>")
@api.input(ProjectPatch, arg_name="asked")
@api.output(ProjectOut)
def change_project(project_id: str, asked: ProjectPatch) -> dict[str, Any]:
    """Change a project's name, default branch, retention or the branches whose changes nobody needs to approve"""
    values = asked.model_dump(exclude_unset=True)
    for name in (
        "name",
        "default_branch",
        "auto_approve",
    ):  # these cannot be null; the days can, and are the server's then
        if values.get(name) is None:
            values.pop(name, None)
    return _json(projects.change(project_named(project_id), g.actor, **values))


@api.delete("/projects/<project_id>")
@api.doc(responses={204: "Deleted, with its runs and baselines."})
def delete_project(project_id: str) -> tuple[str, int]:
    """Delete a project with its runs and baselines"""
    projects.remove(project_named(project_id), g.actor)
    return "", 204


@api.get("/projects/<project_id>/suite")
@api.doc(responses=binary("application/yaml", description="The suite."))
def read_suite(project_id: str) -> Response:
    """Read a project's suite, as YAML"""
    return answers.suite(project_named(project_id).suite)


@api.put("/projects/<project_id>/suite")
@api.doc(
    responses=binary("application/yaml", description="The suite as stored."),
    extensions=yaml_body("The suite. Its content type does not matter."),
)
def replace_suite(project_id: str) -> Response:
    """Store a project's suite, sent as YAML text

    Where it cannot be used the answer is 422 with the line and column of every problem, and nothing is stored.
    """
    project = project_named(project_id)
    try:
        text = request.get_data().decode()
    except UnicodeDecodeError:
        raise Invalid(
            "suite-invalid", "The suite is not UTF-8 text; save it as UTF-8 and send it again."
        ) from None
    if not text.strip():
        raise Invalid("suite-invalid", "The body is empty; send the suite as YAML text.")
    return answers.suite(projects.change(project, g.actor, suite=text).suite)


def _json(project: Project) -> dict[str, Any]:
    names = (
        "id", "name", "slug", "default_branch", "created_at", "updated_at", "keep_passing_days",
        "keep_failing_days", "keep_runs_days", "auto_approve",
    )  # fmt: skip
    return {
        **{name: getattr(project, name) for name in names},
        "has_suite": bool(project.suite),
        "url": dashboard_url(f"/projects/{project.slug}"),
    }
