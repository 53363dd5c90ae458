"""The secrets on a project's settings, for Admins: stored, replaced and deleted; no page ever holds a value."""

from __future__ import annotations

from flask import Blueprint, current_app, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from server.dashboard import projects as pages_of_projects
from server.dashboard.visitors import actor, organization_id
from server.problems import Invalid
from server.runs import projects, secrets


def add_to(pages: Blueprint) -> None:
    """Adds the routes."""
    own = "/projects/<slug>/secrets"
    pages.add_url_rule(own, view_func=store_secret, methods=["POST"])
    pages.add_url_rule(f"{own}/delete", view_func=delete_secret, methods=["POST"])


def store_secret(slug: str) -> ResponseReturnValue:
    """Stores a secret or replaces it; what is wrong is said beside the form, where all but the value stays."""
    project = projects.find(organization_id(), slug)
    name, origins = request.form.get("secret", "").strip(), request.form.get("origins", "")
    value = request.form.get("value", "").replace("\r\n", "\n")
    try:
        secrets.put(project, name, value, origins.split(), actor(), current_app.extensions["retestr"])
    except Invalid as problem:
        secret = {"name": name, "origins": origins, "wrong": problem.message}
        return pages_of_projects.settings_page(project, secret), 422
    flash(f"{name} is stored.", "done")
    return redirect(url_for("dashboard.project_settings", slug=project.slug), 303)


def delete_secret(slug: str) -> ResponseReturnValue:
    """Deletes a secret."""
    project, name = projects.find(organization_id(), slug), request.form.get("secret", "")
    secrets.remove(project, name, actor())
    flash(f"{name} is deleted.", "done")
    return redirect(url_for("dashboard.project_settings", slug=project.slug), 303)
