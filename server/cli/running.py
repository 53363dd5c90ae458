"""Commands that run: the server, a worker, and a look at what they need."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version

import click

from server import doctor as checks
from server import supervisor
from server.access import founding
from server.cli.base import ready
from server.config import Settings, load
from server.vision import browser as browsers


@click.command()
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
    app = ready()
    settings: Settings = app.extensions["retestr"]
    with app.app_context():
        is_new = founding.is_empty()
    if with_worker is None:
        with_worker = not settings.broker_url
    if with_worker and browsers.find_browser(settings.browser or None) is None:
        click.echo(
            f"Warning: runs will end in ERROR, for there is no browser. {browsers.install_hint()}", err=True
        )
    shown = "localhost" if host in ("0.0.0.0", "::", "127.0.0.1") else host  # noqa: S104
    url = settings.public_url.rstrip("/") or f"http://{supervisor.address(shown, port)}"
    click.echo(f"retestr {version('retestr')} on {url}")
    if is_new:
        click.echo(f"No organisation yet. Make the first one: {url}/setup/{founding.token(settings)}")
    click.echo(f"Data in {settings.data.resolve()}. Stop with Ctrl-C.")
    supervisor.serve(settings, host, port, with_worker=with_worker)


@click.command()
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="With a broker: processes, each with a browser and working one chunk of a run.",
)
@click.option(
    "--check", is_flag=True, help="Run none: exit with 0 if one of this machine was heard of within 20 s."
)
def worker(concurrency: int, check: bool) -> None:
    """Run one more worker, on this machine or another: a Celery worker where a broker is set."""
    if check:
        found = checks.workers_here(load())
        click.echo(f"{found.finding}.")
        sys.exit(0 if found.works else 1)
    settings: Settings = ready().extensions["retestr"]
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


@click.command()
def browser() -> None:
    """Print the browser that captures pages; exit 1 and say what to install where there is none."""
    path = browsers.find_browser(load().browser or None)
    if path is None:
        raise click.ClickException(browsers.install_hint())
    click.echo(f"{path} ({browsers.version(path)})")


@click.command()
def doctor() -> None:
    """Check browser, database, store, queue and clock; say what to do about what does not work."""
    settings = load()
    fine = True
    for check in checks.checks(settings):
        fine = fine and check.works
        click.echo(f"{'✔' if check.works else '✘'} {check.name}: {check.finding}")
    sys.exit(0 if fine else 1)
