"""Commands about what is kept: removing what is past its days, backups."""

from __future__ import annotations

import json
from pathlib import Path

import click

from server import backup as backups
from server.access.audit import CLI
from server.cli.base import counted, ready
from server.config import Settings
from server.images import open_store
from server.runs import retention


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts on one line.")
def gc(dry_run: bool, as_json: bool) -> None:
    """Remove what is past its days, and end baselines of unused branches, as the server does once a day."""
    app = ready()
    settings: Settings = app.extensions["retestr"]
    with app.app_context():
        report = retention.collect(open_store(settings.storage), settings, CLI, dry_run=dry_run)
    if as_json:
        click.echo(json.dumps({"dryRun": dry_run, **report.as_json()}))
        return
    parts = [
        counted(report.images, "image"),
        counted(report.orphans, "orphaned file"),
        counted(report.runs, "run"),
        counted(report.expired, "expired row"),
    ]
    click.echo(f"{'Would remove' if dry_run else 'Removed'} {', '.join(parts[:-1])} and {parts[-1]}.")
    click.echo(f"{'That would free' if dry_run else 'Freed'} {_size(report.freed_bytes)}.")
    if report.baselines:
        click.echo(
            f"{counted(report.baselines, 'baseline')} of branches without a run for 30 days "
            f"{'would expire' if dry_run else 'expired'}."
        )
    if report.spared:
        click.echo(
            f"{counted(report.spared, 'orphaned file')} left alone: the database knows no organisation. Is it the one "
            "that the image store belongs to? Check RETESTR_DATABASE_URL and RETESTR_DATA.",
            err=True,
        )
    if report.strangers:
        click.echo(f"{counted(report.strangers, 'file')} in the store that retestr did not make: left alone.")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> None:
    """Write every row and every image into FILE (a tar), beside a running server; exit 1 if the store lacks images."""
    app = ready()
    settings: Settings = app.extensions["retestr"]
    with app.app_context():
        held = backups.write(file, open_store(settings.storage), _progress)
    click.echo(
        f"{file}: {counted(held.rows, 'row')} and {counted(held.images, 'image')}, {_size(file.stat().st_size)}."
    )
    if gone := held.missing - held.lost:
        click.echo(f"{counted(gone, 'image')} past their days went meanwhile, and so they are not in it.")
    if not settings.secret_key:
        click.echo(
            f"Keep {settings.data.resolve() / 'secret'} apart: projects' secrets cannot be read without it."
        )
    if held.lost:
        raise click.ClickException(
            f"The backup is not whole: {counted(held.lost, 'image')} that the database names could not be had from the "
            f"store, {settings.storage.partition('?')[0]}, or not as stored. {file} has all the rest. Check that "
            "RETESTR_STORAGE_URL and RETESTR_DATA are those of the server, then make another backup."
        )


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def restore(file: Path) -> None:
    """Fill an empty database and store, of any kind, from FILE that `retestr backup` wrote."""
    app = ready()
    settings: Settings = app.extensions["retestr"]
    with app.app_context():
        held = backups.read(file, open_store(settings.storage), _progress)
    click.echo(f"Restored {counted(held.rows, 'row')} and {counted(held.images, 'image')}; all were checked.")
    if held.missing:
        click.echo(
            f"{counted(held.missing, 'image')} that rows name are not in the backup: marked as removed."
        )


def _progress(line: str) -> None:
    click.echo(line, err=True)


def _size(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
