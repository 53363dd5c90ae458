"""INPUT_* and GITHUB_* -> one frozen, validated `Inputs`.

One `clean_…` per field: it takes the text as the workflow gave it (empty: not given) and returns the value, or
raises `Wrong` with what is allowed. All wrong values are reported at once. What the event says is in `event`,
the suite file in `suite`.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from action_src import event
from action_src.log import UNPRINTABLE, shortened
from action_src.suite import UnusableSuite, file_of, read_suite

DEFAULTS: Mapping[str, str] = {
    "server-url": "https://retestr.ai",
    "wait": "true",
    "timeout-minutes": "30",
    "stall-minutes": "10",
    "fail-on": "changed,error",
    "on-missing-key": "fail",
    "on-unreachable": "fail",
    "comment": "false",
    "summary": "true",
    "annotations": "true",
}

FINDINGS = ("changed", "new", "error")
NEVER = "never"
KEY_PREFIX = "vts_"
GITHUB_API_URL = "https://api.github.com"
MAX_MINUTES = 24 * 60
MAX_CHARACTERS = 500
MAX_LABEL = 63  # characters between two dots of a host (RFC 1035, 2.3.4)

MISSING_KEY = (
    "is empty. Set it with `api-key: ${{ secrets.RETESTR_API_KEY }}`; a key is made in the dashboard under "
    "Settings > API Keys. If the secret exists: GitHub gives no secrets to pull requests from forks, and to "
    "Dependabot only those stored under Settings > Secrets and variables > Dependabot. "
    "`on-missing-key: skip` lets such runs pass without a visual test"
)
MISSING_PROJECT = (
    "is empty. Set it to the project's ID or slug, usually `project-id: ${{ vars.RETESTR_PROJECT_ID }}`"
)
MISSING_BRANCH = (
    "cannot be told from this event (a deployment of a commit, for one, names none); set it to the branch that is "
    'tested, as the recipe "A preview deployment" in docs/action.md shows'
)
KEY_AS_PROJECT = "holds an API key. Put the key into `api-key` and the project's ID or slug here"


class Wrong(ValueError):
    """One value is wrong; the message goes behind the input's name."""


class WrongInputs(Exception):
    """At least one input is wrong; `problems` has one sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Inputs:
    """What this step was asked to do. An empty `api_key` means: skip, as the workflow chose.

    `suite` is the file's text, `suite_file` its path in the workspace. `repository` (`owner/name`) and
    `github_api_url` say where a comment goes.
    """

    api_key: str = field(repr=False)
    project_id: str
    server_url: str
    branch: str
    commit_sha: str
    base_branch: str
    pull_request: int | None
    actor: str
    workflow_url: str
    base_url: str
    suite: str | None = field(repr=False)
    suite_file: str
    tests: tuple[str, ...]
    name: str
    wait: bool
    timeout_s: float
    stall_s: float
    fail_on: frozenset[str]
    on_missing_key: str
    on_unreachable: str
    comment: bool
    github_token: str = field(repr=False)
    repository: str
    github_api_url: str
    summary: bool
    annotations: bool


def read_inputs(environ: Mapping[str, str]) -> Inputs:
    """The validated inputs of this step. Raises WrongInputs."""
    origin = event.read_origin(environ)
    missing_key_text = given(environ, "on-missing-key").lower()
    skipped = not given(environ, "api-key") and missing_key_text == "skip"
    workspace = Path(environ.get("GITHUB_WORKSPACE") or ".")
    cleaners: dict[str, tuple[str, Callable[[str], object]]] = {
        "api_key": ("api-key", partial(clean_api_key, may_be_missing=skipped)),
        # A fork's workflow has no variables either
        "project_id": ("project-id", partial(clean_project_id, may_be_missing=skipped)),
        "server_url": ("server-url", clean_server_url),
        "branch": ("branch", partial(clean_branch, origin=origin)),
        "commit_sha": (
            "commit-sha",
            partial(clean_commit_sha, origin=origin, merge_sha=environ.get("GITHUB_SHA", "")),
        ),
        "base_url": ("base-url", clean_base_url),
        "suite": ("suite", partial(clean_suite, workspace=workspace)),
        "tests": ("tests", clean_tests),
        "name": ("name", clean_name),
        "wait": ("wait", clean_switch),
        "timeout_s": ("timeout-minutes", clean_minutes),
        "stall_s": ("stall-minutes", clean_minutes),
        "fail_on": ("fail-on", clean_fail_on),
        "on_missing_key": ("on-missing-key", clean_policy),
        "on_unreachable": ("on-unreachable", clean_policy),
        "comment": ("comment", clean_switch),
        "github_token": ("github-token", clean_github_token),
        "summary": ("summary", clean_switch),
        "annotations": ("annotations", clean_switch),
    }
    values: dict[str, object] = {}
    problems: list[str] = []
    for name, (input_name, clean) in cleaners.items():
        try:
            values[name] = clean(given(environ, input_name))
        except Wrong as wrong:
            problems.append(f"{input_name} {wrong}")
    if problems:
        raise WrongInputs(problems)
    return Inputs(
        base_branch=origin.base_branch,
        pull_request=origin.pull_request,
        actor=event.actor(environ),
        workflow_url=event.workflow_url(environ),
        suite_file=file_of(given(environ, "suite"), workspace),
        repository=environ.get("GITHUB_REPOSITORY", ""),
        github_api_url=(environ.get("GITHUB_API_URL") or GITHUB_API_URL).rstrip("/"),
        **values,  # type: ignore[arg-type]  # each cleaner's type is its field's, a test compares them
    )


def given(environ: Mapping[str, str], name: str) -> str:
    """An input as text, without surrounding space; its default where it was not given.

    The runner keeps dashes: `api-key` arrives as INPUT_API-KEY.
    """
    return environ.get(f"INPUT_{name.upper()}", "").strip() or DEFAULTS.get(name, "")


def clean_api_key(text: str, *, may_be_missing: bool = False) -> str:
    """The key as it goes into a header; it is never part of a message."""
    if not text:
        if may_be_missing:
            return ""
        raise Wrong(MISSING_KEY)
    if text.lower().startswith("bearer "):
        raise Wrong("begins with `Bearer`; give the key alone (vts_…)")
    if not re.fullmatch(r"[!-~]+", text):
        raise Wrong("holds spaces, line ends or other characters that no key has; store the secret again")
    return text


def clean_github_token(text: str) -> str:
    """The token as it goes into a header; empty: nothing can be written to GitHub. Never part of a message."""
    if not re.fullmatch(r"[!-~]*", text):
        raise Wrong("holds spaces or line ends; leave it out, or give `${{ github.token }}`")
    return text


def clean_project_id(text: str, *, may_be_missing: bool = False) -> str:
    """The project's ID or slug."""
    if not text and not may_be_missing:
        raise Wrong(MISSING_PROJECT)
    if text.startswith(KEY_PREFIX):
        raise Wrong(KEY_AS_PROJECT)
    return _plain(text)


def clean_server_url(text: str) -> str:
    """Scheme, host and perhaps a path, without a slash at the end; `/api` at the end is taken off."""
    address = _clean_address(text, "https://retestr.example.com")
    parts = urlsplit(address)
    if parts.username or parts.password:
        raise Wrong("holds a user name or password; the key goes into `api-key`")
    if parts.query or parts.fragment:
        raise Wrong(f"must end with the host or a path, not with `?` or `#`; got {_quoted(text)}")
    address = address.rstrip("/")
    return address.removesuffix("/api") if urlsplit(address).path.endswith("/api") else address


def clean_base_url(text: str) -> str:
    """The address of the site that is tested; empty: the suite's own."""
    return _clean_address(text, "https://preview.example.com") if text else ""


def clean_branch(text: str, *, origin: event.Origin) -> str:
    """The branch as given, else the event's.

    `5/merge`, which is what `github.ref_name` is in a pull request, is no branch: the pull request's is taken.
    """
    branch = event.branch_of(text)
    if not branch or (origin.branch and origin.pull_request and event.is_merge_ref(branch)):
        branch = origin.branch
    if not branch:
        raise Wrong(MISSING_BRANCH)
    return _plain(branch)


def clean_commit_sha(text: str, *, origin: event.Origin, merge_sha: str) -> str:
    """The commit as given, else the event's; may be empty.

    `github.sha` of a pull request is its merge commit, which is never what a run is about.
    """
    if not text or (origin.pull_request and origin.commit_sha and text == merge_sha):
        text = origin.commit_sha
    if re.search(r"\s", text):
        raise Wrong(f"must be one word, usually a full commit SHA; got {_quoted(text)}")
    return _plain(text)


def clean_suite(text: str, *, workspace: Path) -> str | None:
    """The text of the suite file; None: the project's own suite is used."""
    try:
        return read_suite(text, workspace)
    except UnusableSuite as unusable:
        raise Wrong(f"file {unusable}") from None


def clean_tests(text: str) -> tuple[str, ...]:
    """Names or patterns, one on a line; on a single line, commas separate them."""
    parts = text.splitlines() if "\n" in text else text.split(",")
    return tuple(_plain(part.strip()) for part in parts if part.strip())


def clean_name(text: str) -> str:
    """What tells this run from others of the same commit."""
    return _plain(text)


def clean_switch(text: str) -> bool:
    """`true` or `false`, in any case."""
    if text.lower() not in ("true", "false"):
        raise Wrong(f"must be `true` or `false`; got {_quoted(text)}")
    return text.lower() == "true"


def clean_minutes(text: str) -> float:
    """Minutes, given as a number; returned in seconds."""
    try:
        minutes = float(text)
    except ValueError:
        minutes = math.nan
    if not 0 < minutes <= MAX_MINUTES:
        raise Wrong(f"must be a number of minutes above 0 and at most {MAX_MINUTES}; got {_quoted(text)}")
    return minutes * 60


def clean_fail_on(text: str) -> frozenset[str]:
    """Which findings fail the step; empty: none does."""
    words = [word for word in re.split(r"[\s,]+", text.lower()) if word]
    if words == [NEVER]:
        return frozenset()
    if not words or not set(words) <= set(FINDINGS):
        raise Wrong(f"must be a list of `changed`, `new` and `error`, or `never` alone; got {_quoted(text)}")
    return frozenset(words)


def clean_policy(text: str) -> str:
    """`fail` or `skip`."""
    if text.lower() not in ("fail", "skip"):
        raise Wrong(f"must be `fail` or `skip`; got {_quoted(text)}")
    return text.lower()


def _clean_address(text: str, example: str) -> str:
    try:
        parts = urlsplit(text)
        labels = (parts.hostname or "").removesuffix(".").split(".")
        named = all(0 < len(label) <= MAX_LABEL for label in labels)
        usable = parts.scheme in ("http", "https") and named and parts.port != 0
    except ValueError:  # a port that is no number, half a bracket
        usable = False
    if not usable or re.search(r"[\s\\]", text) or UNPRINTABLE.search(text):
        raise Wrong(f"must be an address such as `{example}`; got {_quoted(text)}")
    return text


def _plain(text: str) -> str:
    """One line of printable text, not overlong."""
    if UNPRINTABLE.search(text):
        raise Wrong("must be one line without control characters")
    if len(text) > MAX_CHARACTERS:
        raise Wrong(f"must have at most {MAX_CHARACTERS} characters; it has {len(text)}")
    return text


def _quoted(text: str) -> str:
    """A wrong value as it is shown: short, without the password of an address, and without a key."""
    text = re.sub(r"//[^/@\s]*@", "//***@", text)
    text = re.sub(rf"{KEY_PREFIX}\w+", f"{KEY_PREFIX}***", text)
    return f"`{shortened(text, 100)}`"
