"""The comment on the pull request: one for each project and `name`, updated in place.

It is found again by a hidden first line. A comment is a courtesy: whatever stands in its way is a notice, and the
step ends as it would without. GitHub's API is in `github`, the text's tables are `summary`'s.
"""

import hashlib
import re
import time
from collections.abc import Callable
from contextlib import closing

from action_src.details import Details
from action_src.github import Comment, GitHub, GitHubError
from action_src.inputs import Inputs
from action_src.log import Log
from action_src.outcome import Ending, Outcome
from action_src.report import TITLE
from action_src.summary import Form, summary

MAX_BYTES = 50_000  # GitHub takes 65,536 characters
MAX_ROWS = 10
PAUSE_S = 2.0  # before it is tried once more
# Nothing is known of the pages then
SILENT = (Ending.STARTED, Ending.SKIPPED, Ending.INTERRUPTED, Ending.CRASHED)
NO_PULL_REQUEST = "No comment: this event belongs to no pull request."
NOT_GIVEN = (
    "No comment was left: `github-token` is empty. Leave that input out, or give it `${{ github.token }}`."
)
NO_PERMISSION = (
    "No comment was left{where}: the token may not write there ({error}). Give the job "
    "`permissions: pull-requests: write`. In pull requests from forks and from Dependabot GitHub's token can only "
    "read, whatever a workflow says; the job summary has it all. The outcome of this step is not touched by this."
)
NO_COMMENT = (
    "No comment was left{where}: GitHub's API could not be used ({error}). The outcome of this "
    "step is not touched by this."
)

Connect = Callable[[str, str, str], GitHub]


def leave_comment(
    inputs: Inputs,
    outcome: Outcome,
    details: Details,
    log: Log,
    *,
    connect: Connect = GitHub,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Write the comment, or bring it up to date, where one is wanted and possible."""
    if not inputs.comment or outcome.ending in SILENT:
        return
    # Only a fork's branch has a colon; a `workflow_run` of one does not name its pull request
    if inputs.pull_request is None and ":" not in inputs.branch:
        log.line(NO_PULL_REQUEST)
        return
    if not inputs.github_token:
        log.notice(NOT_GIVEN, TITLE)
        return
    with closing(connect(inputs.github_api_url, inputs.github_token, inputs.repository)) as github:
        try:
            log.line(_patiently(github, inputs, outcome, details, sleep))
        except GitHubError as error:
            denied = error.status in (401, 403, 404) and not error.passing
            words = NO_PERMISSION if denied else NO_COMMENT
            where = f" on pull request {inputs.pull_request}" if inputs.pull_request else ""
            log.notice(words.format(where=where, error=error), TITLE)


def _patiently(
    github: GitHub, inputs: Inputs, outcome: Outcome, details: Details, sleep: Callable[[float], None]
) -> str:
    """Look and write, twice at most. What was written without an answer is found at the second look."""
    try:
        return _written(github, inputs, outcome, details)
    except GitHubError as error:
        if not error.passing:
            raise
    sleep(PAUSE_S)
    return _written(github, inputs, outcome, details)


def _written(github: GitHub, inputs: Inputs, outcome: Outcome, details: Details) -> str:
    """Find our comment, then write or update it; what was done, in a sentence.

    Where two legs write their first comment at the same time, the older one stays and has the newer run's text.
    """
    number = inputs.pull_request or github.pull_request_of(inputs.branch, inputs.commit_sha)
    if number is None:
        return NO_PULL_REQUEST
    body = body_of(inputs, outcome, details)
    ours = _ours(github, number, inputs)
    if not ours:
        made = github.create(number, body)
        ours = _ours(github, number, inputs)
        if not ours or ours[0].id == made:
            return f"Left a comment on pull request {number}."
    kept, *others = ours
    for other in others:
        _removed(github, other)
    if 0 < _run_number(body) < _run_number(kept.body):
        return f"The comment on pull request {number} tells of a newer run already."
    github.update(kept.id, body)
    return f"Updated the comment on pull request {number}."


def body_of(inputs: Inputs, outcome: Outcome, details: Details) -> str:
    """The comment: the hidden line, then a short form of the job summary."""
    form = Form(MAX_BYTES, MAX_ROWS, pictures=False, workflow_url=inputs.workflow_url)
    number = outcome.run.number if outcome.run else None
    return f"{_mark(inputs)} run {number or 0} -->\n{summary(outcome, details, name=inputs.name, form=form)}"


def _mark(inputs: Inputs) -> str:
    """How the hidden line begins; a digest, so that no name can end it."""
    what = f"{inputs.project_id}\n{inputs.name}".encode()
    return f"<!-- retestr {hashlib.sha256(what).hexdigest()[:16]}"


def _ours(github: GitHub, number: int, inputs: Inputs) -> list[Comment]:
    """Our comments, the oldest first. One that a stranger wrote is never ours, whatever it begins with."""
    found = [one for one in github.comments(number) if one.trusted and one.body.startswith(_mark(inputs))]
    return sorted(found, key=lambda one: one.id)


def _run_number(body: str) -> int:
    """The number of the run that a comment of ours tells of; 0 where it had none."""
    found = re.match(r"<!-- retestr \w+ run (\d+) -->", body)
    return int(found[1]) if found else 0


def _removed(github: GitHub, comment: Comment) -> None:
    """Remove a second comment of ours; another leg may have been quicker."""
    try:
        github.delete(comment.id)
    except GitHubError as error:
        if error.status != 404:
            raise
