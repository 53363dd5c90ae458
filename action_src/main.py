"""The whole step: inputs -> follow -> report -> exit code.

Its collaborators are arguments, so that a test passes others in. Nothing is decided here that has a module of
its own.
"""

import ipaddress
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

from action_src import report
from action_src.client import Client
from action_src.comment import leave_comment
from action_src.details import Details, fetch_details
from action_src.follow import Following
from action_src.inputs import Inputs, WrongInputs, given, read_inputs
from action_src.interrupt import Interrupted, Interruption
from action_src.log import Log
from action_src.outcome import EXIT_CODES, Ending, Outcome
from action_src.report import TITLE, Places
from action_src.run import Run, Snapshot
from action_src.summary import headline, summary, verdict

ISSUES = "https://github.com/retestr/action/issues"
NO_KEY = (
    "There is no API key in this run (a pull request from a fork or from Dependabot has no secrets), and "
    "`on-missing-key: skip` lets it pass. Nothing was tested."
)
CRASH = (
    "The retestr Action itself failed ({kind} in {place}). That is a bug of ours, not of your pages: please report "
    "this line at {issues}. Debug logging (a re-run with it enabled) shows more."
)
UNENCRYPTED = (
    "`server-url` is plain http: the API key can be read on the way. Use https if the server has it."
)
REPORTED_ENDINGS = (
    Ending.PASSED,
    Ending.TOLERATED,
    Ending.CHANGED,
    Ending.ERROR,
    Ending.TIMED_OUT,
    Ending.CANCELLED,
)

Connect = Callable[..., Client]


def main(
    environ: Mapping[str, str],
    stream: TextIO,
    interruption: Interruption,
    *,
    connect: Connect = Client,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Do the step and return its exit code; nothing is raised."""
    log = Log(stream, debug=environ.get("RUNNER_DEBUG") == "1" or environ.get("ACTIONS_STEP_DEBUG") == "true")
    for name in ("INPUT_API-KEY", "INPUT_GITHUB-TOKEN"):
        log.mask(environ.get(name, "").strip())
    try:
        return _step(environ, log, interruption, connect, clock).exit_code
    except Interrupted:
        return EXIT_CODES[Ending.INTERRUPTED]
    except Exception as error:
        log.error(_crash(error), TITLE)
        log.debug(traceback.format_exc())
        return EXIT_CODES[Ending.CRASHED]


def _step(
    environ: Mapping[str, str],
    log: Log,
    interruption: Interruption,
    connect: Connect,
    clock: Callable[[], float],
) -> Outcome:
    places = Places.of(environ)
    try:
        inputs = read_inputs(environ)
    except WrongInputs as wrong:
        return _refuse(wrong, environ, places, log)
    if not inputs.api_key:
        outcome = Outcome(Ending.SKIPPED, reason=NO_KEY)
        return _tell(outcome, Details(), inputs, places, log)
    _introduce(inputs, log)
    client = connect(inputs.server_url, inputs.api_key, clock=clock, sleep=interruption.sleep, say=log.line)
    with closing(client):
        with log.group("Following the run"):
            outcome = Following(inputs, client, log, clock=clock, sleep=interruption.sleep).to_the_end()
        try:
            outcome, details = _completed(outcome, client, clock)
            _tell(outcome, details, inputs, places, log)
        except Interrupted:  # the run itself is over: tell what is known, but as a step that was cancelled
            cancelled = replace(outcome, ending=Ending.INTERRUPTED, reason="The run itself was over.")
            return _tell(cancelled, Details(), inputs, places, log)
    leave_comment(inputs, outcome, details, log, sleep=interruption.sleep)
    return outcome


def _refuse(wrong: WrongInputs, environ: Mapping[str, str], places: Places, log: Log) -> Outcome:
    """Tell every wrong input, each as its own annotation as long as there is room for it."""
    for number, problem in enumerate(wrong.problems):
        if number < report.MAX_ANNOTATIONS:
            log.error(f"Input {problem}.", TITLE)
        else:
            log.line(f"Input {problem}.")
    outcome = Outcome(Ending.INVALID, reason="\n".join(f"{problem}." for problem in wrong.problems))
    if given(environ, "summary").lower() != "false":
        report.append(places.summary, summary(outcome, Details()), log)
    report.append(places.output, report.output_lines(report.outputs_of(outcome)), log)
    return outcome


def _introduce(inputs: Inputs, log: Log) -> None:
    """Say what is about to be tested."""
    with log.group(f"Testing {inputs.branch} with {inputs.server_url}"):
        log.line(f"project      {inputs.project_id}")
        log.line(
            f"branch       {inputs.branch}" + (f" (base {inputs.base_branch})" if inputs.base_branch else "")
        )
        log.line(f"commit       {inputs.commit_sha or 'unknown'}")
        if inputs.pull_request:
            log.line(f"pull request {inputs.pull_request}")
        if inputs.base_url:
            log.line(
                f"base URL     {urlsplit(inputs.base_url).scheme}://{urlsplit(inputs.base_url).hostname}"
            )
        log.line(
            "suite        " + ("from the workspace" if inputs.suite is not None else "the project's own")
        )
        if inputs.tests:
            log.line(f"tests        {', '.join(inputs.tests)}")
    if _unencrypted(inputs.server_url):
        log.warning(UNENCRYPTED, TITLE)


def _completed(outcome: Outcome, client: Client, clock: Callable[[], float]) -> tuple[Outcome, Details]:
    """The outcome and its snapshots, all addresses made whole."""
    if outcome.run is None:
        return outcome, Details()
    run: Run = replace(outcome.run, url=client.absolute(outcome.run.url))
    details = fetch_details(client, run, clock) if outcome.ending in REPORTED_ENDINGS else Details()

    def whole(snapshots: tuple[Snapshot, ...]) -> tuple[Snapshot, ...]:
        return tuple(replace(one, url=client.absolute(one.url)) for one in snapshots)

    return replace(outcome, run=run), Details(
        whole(details.changed), whole(details.new), whole(details.error), whole(details.flaky), details.lost
    )


def _tell(outcome: Outcome, details: Details, inputs: Inputs, places: Places, log: Log) -> Outcome:
    """Leave report, outputs, summary and annotations behind."""
    name = report.write_report(places, inputs.name, report.report_json(outcome, details), log)
    report.append(places.output, report.output_lines(report.outputs_of(outcome, name)), log)
    if inputs.summary:
        report.append(places.summary, summary(outcome, details, name=inputs.name), log)
    if inputs.annotations:
        report.annotate(outcome, details, inputs, log)
    elif outcome.failed and outcome.ending not in (Ending.CHANGED, Ending.ERROR):
        log.error(f"{verdict(outcome)}: {outcome.reason}", TITLE)  # not a finding: always said aloud
    elif outcome.ending is Ending.SKIPPED:
        log.warning(f"{verdict(outcome)}: {outcome.reason}", TITLE)
    else:
        log.line(headline(outcome, inputs.name))
    return outcome


def _unencrypted(server_url: str) -> bool:
    """Whether the key travels readable over a network that is not private."""
    parts = urlsplit(server_url)
    host = parts.hostname or ""
    if parts.scheme != "http" or host.endswith((".local", ".internal")):
        return False
    try:
        return not ipaddress.ip_address(host).is_private
    except ValueError:
        return "." in host  # a bare name is one of the own network


def _crash(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1:]
    place = f"{Path(last[0].filename).name}:{last[0].lineno}" if last else "an unknown place"
    return CRASH.format(kind=type(error).__name__, place=place, issues=ISSUES)
