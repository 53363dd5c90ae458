"""Commands about what a run found, and about the suite that it follows."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import click

from server.access.audit import CLI
from server.cli.base import counted, ready, text_of
from server.database import db
from server.models import Run
from server.runs import review
from server.runs.review import Only
from server.runs.suite import SuiteError, json_schema, parse


def _review_options(command: Callable[..., None]) -> Callable[..., None]:
    """What `approve` and `reject` share."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print what was done on one line."),
        click.option("--reason", help="Why; it stays with each change."),
        click.option("--group", help="Only what shows this change (`group` of a snapshot in the API)."),
        click.option(
            "--test", "tests", multiple=True, help="Only this test; a pattern such as 'Shop*' fits several."
        ),
    ):
        command = option(command)
    return click.argument("run")(command)


@click.command()
@_review_options
def approve(run: str, tests: tuple[str, ...], group: str | None, reason: str | None, as_json: bool) -> None:
    """Approve the changes of a run, by its ID, that nobody has reviewed: their images are the new baselines."""
    _review(run, "APPROVED", Only(None, group, tests), reason, as_json)


@click.command()
@_review_options
def reject(run: str, tests: tuple[str, ...], group: str | None, reason: str | None, as_json: bool) -> None:
    """Reject the changes of a run, by its ID, that nobody has reviewed."""
    _review(run, "REJECTED", Only(None, group, tests), reason, as_json)


def _review(run_id: str, decision: str, only: Only, reason: str | None, as_json: bool) -> None:
    with ready().app_context():
        run = db.session.get(Run, run_id)
        if run is None:
            raise click.ClickException(
                f"There is no run {run_id!r}; its ID is the last part of the address of its page."
            )
        done = review.review_run(run, decision, CLI, reason, only)
        if as_json:
            told = {"runId": run.id, "status": run.status, **asdict(done)}
            click.echo(json.dumps(told))
            return
        verb = decision.capitalize()
        what = counted(done.decided, "change")
        click.echo(
            f"{verb} {what} of run #{run.number} ({run.project.slug}, {run.branch}): it is {run.status}."
        )
        if done.settled:
            click.echo(f"{verb} the same images in {counted(done.settled, 'snapshot')} of other runs.")
        if done.otherwise:
            stay = "stays" if done.otherwise == 1 else "stay"
            click.echo(
                f"{counted(done.otherwise, 'change')} had been decided otherwise before and {stay} so."
            )


@click.group()
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
        parsed = parse(text_of(file))
    except SuiteError as error:
        for problem in error.problems:
            click.echo(f"{file}:{problem.line}:{problem.column}: {problem.message}", err=True)
        sys.exit(1)
    click.echo(f"{file}: {counted(len(parsed.tests), 'test')}, {counted(len(parsed.shots()), 'snapshot')}.")
