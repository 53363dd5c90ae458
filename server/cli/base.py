"""What every command of `retestr` stands on: the group, the application, and how a mistake is told."""

from __future__ import annotations

import errno
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from apiflask import APIFlask
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from server import backup, create_app, logs, migrations, outages, supervisor
from server.access import people
from server.config import SettingError, Settings, load, table
from server.database import check_address, db
from server.images import open_store
from server.models import Organization
from server.problems import Problem
from server.runs import dispatch
from server.vision.addresses import AddressPolicy
from server.vision.upstream import Upstream

PRIVATE = 0o077
"""The umask of every command and its children: images and rows are read by the server's user alone."""


class _Command(click.Group):
    """Turns what users can mend into one line instead of a traceback."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except (Problem, SettingError, backup.BackupError, supervisor.PortTaken) as error:
            raise click.ClickException(str(error)) from None
        except (OSError, SQLAlchemyError) as error:
            said = str(error).partition("\n")[0]
            if outage := outages.outage(error):
                raise click.ClickException(f"{outage.title}: {said}") from None
            if isinstance(error, PermissionError):
                raise click.ClickException(f"{said}. Run the command as the server's user.") from None
            if isinstance(error, DBAPIError):
                raise click.ClickException(f"The database refused a statement: {said}") from None
            raise


def _epilog() -> str:
    rows = "\n".join(f"  {name} ({default or 'empty'})\n      {help}" for name, default, help in table())
    return f"\b\nSettings, from the environment, or from a file that NAME_FILE names:\n{rows}"


@click.group(cls=_Command, epilog=_epilog(), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("retestr"), prog_name="retestr")
def main() -> None:
    """retestr: visual regression testing that a CI pipeline drives with an API key."""
    os.umask(PRIVATE)
    logs.configure(load())


def ready() -> APIFlask:
    """The application with its database at the newest revision."""
    settings = load()
    _make_data_folder(settings)
    for variable, check in (
        ("RETESTR_DATABASE_URL", lambda: check_address(settings.database)),
        ("RETESTR_BROKER_URL", lambda: settings.broker_url and dispatch.broker_name(settings.broker_url)),
        ("RETESTR_CAPTURE_ALLOW", lambda: AddressPolicy(settings.capture_allow)),
        ("RETESTR_CAPTURE_PROXY", lambda: Upstream.parse(settings.capture_proxy)),
        ("RETESTR_PUBLIC_URL", lambda: urlsplit(settings.public_url).port),
        ("RETESTR_STORAGE_URL", lambda: open_store(settings.storage)),
    ):
        try:
            check()
        except ValueError as error:
            raise SettingError(f"{variable} cannot be used: {error}") from None
    app = create_app(settings)
    with app.app_context():
        migrations.upgrade(db.engine, settings)
    return app


def _make_data_folder(settings: Settings) -> None:
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
        if not settings.database_url and not os.access(settings.data, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        if outages.outage(error):
            raise
        raise SettingError(
            f"The data folder {settings.data.absolute()} cannot be used: {error.strerror}. Let RETESTR_DATA name a folder "
            "that the user who runs this may write, or give it to that user."
        ) from None


def counted(count: int, what: str) -> str:
    """`3 images`."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def text_of(file: Path) -> str:
    """A file's text; what cannot be read is told in a line."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{file} cannot be read as UTF-8 text: {error}") from None


def organization_named(name: str) -> Organization:
    """The organisation of a name or ID; that there is none is told in a line."""
    organization = people.organization_named(name)
    if organization is None:
        raise click.ClickException(f"There is no organisation {name!r}; make it with `retestr init`.")
    return organization
