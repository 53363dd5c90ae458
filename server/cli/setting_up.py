"""Commands that set up: organisations, projects, their secrets, keys."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from flask import current_app

from server import times
from server.access import keys, people, usage
from server.access.audit import CLI
from server.access.scopes import SCOPES
from server.cli.base import organization_named, ready, text_of
from server.database import db, now
from server.models import ApiKey, Project
from server.runs import projects, secrets


@click.command()
@click.option("--organization", required=True, help="Name of the organisation.")
@click.option("--email", required=True, help="Email address of its first Admin.")
@click.option(
    "--password", envvar="RETESTR_ADMIN_PASSWORD", required=True, help="Password, 12 characters or more."
)
@click.option("--json", "as_json", is_flag=True, help="Print the IDs on one line.")
def init(organization: str, email: str, password: str, as_json: bool) -> None:
    """Make an organisation and its first Admin. Again, it says so and changes nothing."""
    with ready().app_context():
        made, user, is_new = people.found_organization(organization, email, password)
        if as_json:
            click.echo(json.dumps({"organizationId": made.id, "userId": user.id}))
        elif is_new:
            click.echo(f"Organisation {made.name!r} made; {user.email} is its Admin.")
        else:
            click.echo(f"Organisation {made.name!r} and {user.email} were there already; nothing changed.")


@click.group()
def project() -> None:
    """Projects: the sites under test."""


@project.command("create")
@click.option("--organization", required=True, help="Name or ID of the organisation.")
@click.option("--name", required=True, help="Name of the project.")
@click.option(
    "--suite", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Suite, a YAML file."
)
@click.option("--default-branch", default="main", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the ID on one line.")
def project_create(
    organization: str, name: str, suite: Path | None, default_branch: str, as_json: bool
) -> None:
    """Create a project, with its suite."""
    with ready().app_context():
        text = text_of(suite) if suite else ""
        made = projects.create(
            organization_named(organization).id, name, CLI, suite=text, default_branch=default_branch
        )
        if as_json:
            click.echo(json.dumps({"projectId": made.id}))
        else:
            click.echo(f"Project {made.name!r} created: ID {made.id}, slug {made.slug}.")


@click.group()
def key() -> None:
    """API keys."""


@key.command("create")
@click.option("--organization", required=True, help="Name or ID of the organisation.")
@click.option("--name", required=True, help='What the key is for, such as "GitHub Actions CI".')
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(list(SCOPES)))
@click.option("--project", "project_names", multiple=True, help="Limit the key to this project (ID or slug).")
@click.option("--expires", help="Expiry: a date (2027-01-31), a time (RFC 3339) or days (90d).")
@click.option("--json", "as_json", is_flag=True, help="Print ID and key on one line.")
def key_create(
    organization: str,
    name: str,
    scopes: tuple[str, ...],
    project_names: tuple[str, ...],
    expires: str | None,
    as_json: bool,
) -> None:
    """Create an API key and print it, this once."""
    with ready().app_context():
        row, secret = keys.create(
            organization_named(organization).id,
            name,
            scopes,
            CLI,
            _expiry(expires) if expires else None,
            project_names or None,
        )
        _show_once(row, secret, as_json)


@key.command("list")
@click.option("--organization", required=True, help="Name or ID of the organisation.")
def key_list(organization: str) -> None:
    """List API keys: ID, hint, request count, last used, name, what to look at."""
    with ready().app_context():
        rows = keys.listed(organization_named(organization).id)
        if not rows:
            click.echo("No API key yet; `retestr key create` creates one.", err=True)
        for row in rows:
            used = times.exact(row.last_used_at) if row.last_used_at else "never"
            notes = ", ".join(usage.judge(row, now()).notes)
            click.echo(f"{row.id}  {row.hint}  {row.request_count:>9}  {used:<23}  {row.name}  {notes}")


@key.command("revoke")
@click.argument("key_id")
def key_revoke(key_id: str) -> None:
    """Revoke an API key: it is refused from the next request on."""
    with ready().app_context():
        row = _key(key_id)
        keys.revoke(row, CLI)
        click.echo(f"{row.name!r} ({row.hint}) is revoked.")


@key.command("rotate")
@click.argument("key_id")
@click.option(
    "--overlap-hours",
    default=24,
    type=click.IntRange(0, 720),
    show_default=True,
    help="How long the old key lives on.",
)
@click.option("--json", "as_json", is_flag=True, help="Print ID and key on one line.")
def key_rotate(key_id: str, overlap_hours: int, as_json: bool) -> None:
    """Rotate an API key: create its successor and print that, this once."""
    with ready().app_context():
        row, secret = keys.rotate(_key(key_id), CLI, timedelta(hours=overlap_hours))
        _show_once(row, secret, as_json)


def _project_options(command: Callable[..., None]) -> Callable[..., None]:
    """What names a project."""
    command = click.option("--project", "project_name", required=True, help="ID or slug of the project.")(
        command
    )
    return click.option("--organization", required=True, help="Name or ID of the organisation.")(command)


@click.group()
def secret() -> None:
    """Secrets of a project: what its suite uses as ${{ secrets.NAME }}."""


@secret.command("set")
@_project_options
@click.option("--name", required=True, help="Name of the secret: letters, digits and _.")
@click.option(
    "--origin",
    "origins",
    multiple=True,
    required=True,
    help="Where it may be sent, such as https://x.example.",
)
def secret_set(organization: str, project_name: str, name: str, origins: tuple[str, ...]) -> None:
    """Store or replace a secret, read from standard input, without the line end after it."""
    with ready().app_context():
        found = _project(organization, project_name)
        if sys.stdin.isatty():
            value = click.prompt("Value", hide_input=True)
        else:
            value = sys.stdin.read().removesuffix("\n").removesuffix("\r")
        settings = current_app.extensions["retestr"]
        row = secrets.put(found, name, value, origins, CLI, settings)
        click.echo(f"{row.name} is stored; it may be sent to {', '.join(row.origins)}.")


@secret.command("list")
@_project_options
def secret_list(organization: str, project_name: str) -> None:
    """List a project's secrets: name, when it was stored, where it may be sent."""
    with ready().app_context():
        rows = secrets.listed(_project(organization, project_name))
        if not rows:
            click.echo("No secret yet; `retestr secret set` stores one.", err=True)
        for row in rows:
            click.echo(f"{row.name}  {times.exact(row.updated_at)}  {' '.join(row.origins)}")


@secret.command("delete")
@_project_options
@click.option("--name", required=True, help="Name of the secret.")
def secret_delete(organization: str, project_name: str, name: str) -> None:
    """Delete a secret: suites that use it are refused from now on."""
    with ready().app_context():
        secrets.remove(_project(organization, project_name), name, CLI)
        click.echo(f"{name} is deleted.")


def _project(organization: str, name: str) -> Project:
    return projects.find(organization_named(organization).id, name)


def _show_once(row: ApiKey, secret: str, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"keyId": row.id, "key": secret}))
    else:
        click.echo(f"{secret}\nKeep it now: nobody can read it again.")


def _key(key_id: str) -> ApiKey:
    row = db.session.get(ApiKey, key_id)
    if row is None:
        raise click.ClickException(f"There is no API key {key_id!r}; `retestr key list` shows them.")
    return row


def _expiry(text: str) -> datetime:
    try:
        if text.endswith("d") and text[:-1].isdigit():
            return now() + timedelta(days=int(text[:-1]))
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise click.ClickException(
            f"--expires {text!r}: use 2027-01-31, 2027-01-31T12:00:00Z or 90d."
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
