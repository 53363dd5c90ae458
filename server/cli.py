"""The `retestr` command. Each command migrates the database first and works beside a running server."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
from apiflask import APIFlask
from flask import current_app

from server import create_app, doctor, migrations, supervisor
from server.access import keys, people, usage
from server.access.audit import CLI
from server.access.scopes import SCOPES
from server.config import SettingError, Settings, load, table
from server.database import db, now
from server.images import open_store
from server.models import ApiKey, Organization
from server.problems import Problem
from server.runs import projects, retention, secrets
from server.runs.suite import SuiteError, json_schema, parse
from server.vision import browser as browsers
from server.vision.addresses import AddressPolicy
from server.vision.upstream import Upstream


class _Command(click.Group):
    """Turns what users can mend into one line instead of a traceback."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except (Problem, SettingError, supervisor.PortTaken) as error:
            raise click.ClickException(str(error)) from None


def _epilog() -> str:
    rows = "\n".join(f"  {name} ({default or 'empty'})\n      {help}" for name, default, help in table())
    return f"\b\nSettings, from the environment, or from a file that NAME_FILE names:\n{rows}"


@click.group(cls=_Command, epilog=_epilog(), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("retestr"), prog_name="retestr")
def main() -> None:
    """retestr: visual regression testing that a CI pipeline drives with an API key."""
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _ready() -> APIFlask:
    """The application with its database at the newest revision."""
    settings = load()
    try:
        AddressPolicy(settings.capture_allow)
    except ValueError as error:
        raise SettingError(f"RETESTR_CAPTURE_ALLOW cannot be used: {error}") from None
    try:
        Upstream.parse(settings.capture_proxy)
    except ValueError as error:
        raise SettingError(f"RETESTR_CAPTURE_PROXY cannot be used: {error}") from None
    settings.data.mkdir(parents=True, exist_ok=True)
    app = create_app(settings)
    with app.app_context():
        migrations.upgrade(db.engine, settings)
    return app


# ------------------------------------------------------------------------------------------- running


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, help="Port to listen on.")
@click.option(
    "--worker/--no-worker",
    "with_worker",
    default=None,
    help="Whether to run an embedded worker; unless told, one runs where no broker is set.",
)
def serve(host: str, port: int, with_worker: bool | None) -> None:
    """Run the server: web and, where no broker is set, one embedded worker."""
    settings: Settings = _ready().extensions["retestr"]
    if with_worker is None:
        with_worker = not settings.broker_url
    if with_worker and browsers.find_browser(settings.browser or None) is None:
        click.echo(
            f"Warning: runs will end in ERROR, for there is no browser. {browsers.install_hint()}", err=True
        )
    shown = "localhost" if host in ("0.0.0.0", "::", "127.0.0.1") else host  # noqa: S104
    click.echo(f"retestr {version('retestr')} on {settings.public_url or f'http://{shown}:{port}'}")
    click.echo(f"Data in {settings.data.resolve()}. Stop with Ctrl-C.")
    sys.exit(supervisor.serve(settings, host, port, with_worker=with_worker))


@main.command()
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="With a broker: processes, each with a browser and working one chunk of a run.",
)
def worker(concurrency: int) -> None:
    """Run one more worker, on this machine or another: a Celery worker where a broker is set."""
    settings: Settings = _ready().extensions["retestr"]
    environment = dict(os.environ)
    arguments = ["-m", "server.worker"]
    if settings.broker_url:
        arguments = [
            "-m", "celery", "--app", "server.celery_app", "worker", "--hostname", f"retestr-{os.getpid()}@%h",
            "--concurrency", str(concurrency), "--loglevel", "warning", "--without-gossip", "--without-mingle",
        ]  # fmt: skip
        # Has Celery finish within `worker_soft_shutdown_timeout` on SIGTERM and give back the rest.
        environment["REMAP_SIGTERM"] = "SIGQUIT"
        if not settings.pages_at_once:
            pages = max(1, 2 * (os.cpu_count() or 1) // concurrency)
            environment["RETESTR_PAGES_AT_ONCE"] = str(pages)
    os.execve(sys.executable, [sys.executable, *arguments], environment)  # noqa: S606 - signals reach the worker


@main.command()
def browser() -> None:
    """Print the browser that captures pages; exit 1 and say what to install where there is none."""
    path = browsers.find_browser(load().browser or None)
    if path is None:
        raise click.ClickException(browsers.install_hint())
    click.echo(f"{path} ({browsers.version(path)})")


@main.command("doctor")
def doctor_command() -> None:
    """Check browser, database, store, queue and clock; say what to do about what does not work."""
    settings = load()
    fine = True
    for check in doctor.checks(settings):
        fine = fine and check.works
        click.echo(f"{'✔' if check.works else '✘'} {check.name}: {check.finding}")
    sys.exit(0 if fine else 1)


@main.command()
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts on one line.")
def gc(dry_run: bool, as_json: bool) -> None:
    """Remove images and runs that are past their days, as the server does by itself once a day."""
    app = _ready()
    settings: Settings = app.extensions["retestr"]
    with app.app_context():
        report = retention.collect(open_store(settings.storage), settings, CLI, dry_run=dry_run)
    if as_json:
        click.echo(json.dumps({"dryRun": dry_run, **report.as_json()}))
        return
    parts = [
        _counted(report.images, "image"),
        _counted(report.orphans, "orphaned file"),
        _counted(report.runs, "run"),
        _counted(report.expired, "expired row"),
    ]
    click.echo(f"{'Would remove' if dry_run else 'Removed'} {', '.join(parts[:-1])} and {parts[-1]}.")
    click.echo(f"{'That would free' if dry_run else 'Freed'} {_size(report.freed_bytes)}.")
    if report.strangers:
        click.echo(
            f"{_counted(report.strangers, 'file')} in the store that retestr did not make: left alone."
        )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _size(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


# ------------------------------------------------------------------------------------------- setting up


@main.command()
@click.option("--organization", required=True, help="Name of the organisation.")
@click.option("--email", required=True, help="Email address of its first Admin.")
@click.option(
    "--password", envvar="RETESTR_ADMIN_PASSWORD", required=True, help="Password, 12 characters or more."
)
@click.option("--json", "as_json", is_flag=True, help="Print ids on one line.")
def init(organization: str, email: str, password: str, as_json: bool) -> None:
    """Make an organisation and its first Admin. Again, it says so and changes nothing."""
    with _ready().app_context():
        made, user, is_new = people.found_organization(organization, email, password)
        if as_json:
            click.echo(json.dumps({"organizationId": made.id, "userId": user.id}))
        elif is_new:
            click.echo(f"Organisation {made.name!r} made; {user.email} is its Admin.")
        else:
            click.echo(f"Organisation {made.name!r} and {user.email} were there already; nothing changed.")


@main.group()
def project() -> None:
    """Projects: the sites under test."""


@project.command("create")
@click.option("--organization", required=True, help="Name or ID of the organisation.")
@click.option("--name", required=True, help="Name of the project.")
@click.option(
    "--suite", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Suite, a YAML file."
)
@click.option("--default-branch", default="main", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the id on one line.")
def project_create(
    organization: str, name: str, suite: Path | None, default_branch: str, as_json: bool
) -> None:
    """Make a project, with its suite."""
    with _ready().app_context():
        text = _text_of(suite) if suite else ""
        made = projects.create(
            _organization(organization).id, name, CLI, suite=text, default_branch=default_branch
        )
        if as_json:
            click.echo(json.dumps({"projectId": made.id}))
        else:
            click.echo(f"Project {made.name!r} made: ID {made.id}, slug {made.slug}.")


@main.group()
def key() -> None:
    """API keys."""


@key.command("create")
@click.option("--organization", required=True, help="Name or ID of the organisation.")
@click.option("--name", required=True, help='What the key is for, such as "GitHub Actions CI".')
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(list(SCOPES)))
@click.option("--project", "project_names", multiple=True, help="Limit the key to this project (ID or slug).")
@click.option("--expires", help="Expiry: a date (2027-01-31), a time (RFC 3339) or days (90d).")
@click.option("--json", "as_json", is_flag=True, help="Print id and key on one line.")
def key_create(
    organization: str,
    name: str,
    scopes: tuple[str, ...],
    project_names: tuple[str, ...],
    expires: str | None,
    as_json: bool,
) -> None:
    """Make an API key and print it, this once."""
    with _ready().app_context():
        row, secret = keys.create(
            _organization(organization).id,
            name,
            scopes,
            CLI,
            _expiry(expires) if expires else None,
            project_names or None,
        )
        if as_json:
            click.echo(json.dumps({"keyId": row.id, "key": secret}))
        else:
            click.echo(f"{secret}\nKeep it now: nobody can read it again.")


@key.command("list")
@click.option("--organization", required=True, help="Name or ID of the organisation.")
def key_list(organization: str) -> None:
    """List API keys: ID, hint, name, last use, request count, what to look at."""
    with _ready().app_context():
        for row in keys.listed(_organization(organization).id):
            used = f"{row.last_used_at:%Y-%m-%d %H:%M:%S}" if row.last_used_at else "never"
            notes = ", ".join(usage.judge(row, now()).notes)
            click.echo(f"{row.id}  {row.hint}  {row.request_count:>9}  {used:<19}  {row.name}  {notes}")


@key.command("revoke")
@click.argument("key_id")
def key_revoke(key_id: str) -> None:
    """Revoke an API key: it is refused from the next request on."""
    with _ready().app_context():
        row = _key(key_id)
        keys.revoke(row, CLI)
        click.echo(f"{row.name!r} ({row.hint}) is revoked.")


@key.command("rotate")
@click.argument("key_id")
@click.option("--overlap-hours", default=24.0, show_default=True, help="How long the old key lives on.")
@click.option("--json", "as_json", is_flag=True, help="Print id and key on one line.")
def key_rotate(key_id: str, overlap_hours: float, as_json: bool) -> None:
    """Make a key's successor and print it, this once."""
    with _ready().app_context():
        row, secret = keys.rotate(_key(key_id), CLI, timedelta(hours=overlap_hours))
        if as_json:
            click.echo(json.dumps({"keyId": row.id, "key": secret}))
        else:
            click.echo(f"{secret}\nKeep it now: nobody can read it again.")


@main.group()
def secret() -> None:
    """Secrets of a project: what its suite uses as ${{ secrets.NAME }}."""


@secret.command("set")
@click.option("--organization", required=True, help="Name or ID of the organisation.")
@click.option("--project", "project_name", required=True, help="ID or slug of the project.")
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
    with _ready().app_context():
        found = projects.find(_organization(organization).id, project_name)
        if sys.stdin.isatty():
            value = click.prompt("Value", hide_input=True)
        else:
            value = sys.stdin.read().removesuffix("\n").removesuffix("\r")
        settings = current_app.extensions["retestr"]
        row = secrets.put(found, name, value, origins, CLI, settings)
        click.echo(f"{row.name} is stored; it may be sent to {', '.join(row.origins)}.")


@secret.command("list")
@click.option("--organization", required=True, help="Name or ID of the organisation.")
@click.option("--project", "project_name", required=True, help="ID or slug of the project.")
def secret_list(organization: str, project_name: str) -> None:
    """List a project's secrets: name, when it was stored, where it may be sent."""
    with _ready().app_context():
        for row in secrets.listed(projects.find(_organization(organization).id, project_name)):
            click.echo(f"{row.name}  {row.updated_at:%Y-%m-%d %H:%M:%S}  {' '.join(row.origins)}")


@secret.command("delete")
@click.option("--organization", required=True, help="Name or ID of the organisation.")
@click.option("--project", "project_name", required=True, help="ID or slug of the project.")
@click.option("--name", required=True, help="Name of the secret.")
def secret_delete(organization: str, project_name: str, name: str) -> None:
    """Delete a secret: suites that use it are refused from now on."""
    with _ready().app_context():
        secrets.remove(projects.find(_organization(organization).id, project_name), name, CLI)
        click.echo(f"{name} is deleted.")


# ------------------------------------------------------------------------------------------- suites


@main.group()
def suite() -> None:
    """Suites: what to capture, in YAML."""


@suite.command("schema")
def suite_schema() -> None:
    """Print the JSON Schema of suites, for editors that complete and check YAML."""
    click.echo(json.dumps(json_schema(), indent=2))


@suite.command("check")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def suite_check(file: Path) -> None:
    """Say whether a suite can be used, and where not."""
    try:
        parsed = parse(_text_of(file))
    except SuiteError as error:
        for problem in error.problems:
            click.echo(f"{file}:{problem.line}:{problem.column}: {problem.message}", err=True)
        sys.exit(1)
    click.echo(f"{file}: {len(parsed.tests)} tests, {len(parsed.shots())} snapshots.")


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{file} cannot be read as UTF-8 text: {error}") from None


def _organization(name: str) -> Organization:
    organization = people.organization_named(name)
    if organization is None:
        raise click.ClickException(f"There is no organisation {name!r}; make it with `retestr init`.")
    return organization


def _key(key_id: str) -> ApiKey:
    row = db.session.get(ApiKey, key_id)
    if row is None:
        raise click.ClickException(f"There is no API key {key_id!r}; `retestr key list` shows them.")
    return row


def _expiry(text: str) -> datetime:
    try:
        if text.endswith("d") and text[:-1].isdigit():
            return datetime.now(UTC) + timedelta(days=int(text[:-1]))
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise click.ClickException(
            f"--expires {text!r}: use 2027-01-31, 2027-01-31T12:00:00Z or 90d."
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
