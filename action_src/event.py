"""Where a run comes from: branch, commit, base branch and pull request, read from GitHub's event.

Nothing here needs git or a checkout. The rules follow GitHub's documentation of events:
https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

Environ = Mapping[str, str]
Payload = Mapping[str, object]

FULL_SHA = re.compile(r"[0-9a-fA-F]{40,64}")
NO_COMMIT = re.compile(r"0+")  # what a push says of a branch that was deleted
MERGE_REF = re.compile(r"\d+/(merge|head)")  # what GITHUB_REF_NAME is in a pull request


@dataclass(frozen=True)
class Origin:
    """What is tested. Empty (or None) where the event does not tell."""

    branch: str = ""
    commit_sha: str = ""
    base_branch: str = ""
    pull_request: int | None = None


def read_origin(environ: Environ) -> Origin:
    """The origin of the workflow run that these GITHUB_* variables and their event describe."""
    payload = read_payload(environ.get("GITHUB_EVENT_PATH", ""))
    name = environ.get("GITHUB_EVENT_NAME", "")
    if name.startswith("pull_request"):
        return _of_pull_request(payload, environ)
    if name in _OF_EVENT:
        return _OF_EVENT[name](payload, environ)
    return _of_ref(environ)


def read_payload(path: str) -> Payload:
    """The event's JSON; empty where there is none or it cannot be read."""
    try:
        payload = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return payload if isinstance(payload, dict) else {}


def branch_of(ref: str) -> str:
    """`main` of `refs/heads/main`, `v1` of `refs/tags/v1`."""
    return ref.removeprefix("refs/heads/").removeprefix("refs/tags/")


def is_merge_ref(branch: str) -> bool:
    """Whether this is a pull request's `5/merge`, which is no branch."""
    return MERGE_REF.fullmatch(branch.removeprefix("refs/pull/")) is not None


def workflow_url(environ: Environ) -> str:
    """The address of this workflow run (and attempt); empty outside GitHub."""
    server, repository, run = (environ.get(f"GITHUB_{x}", "") for x in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    if not (server and repository and run):
        return ""
    attempt = environ.get("GITHUB_RUN_ATTEMPT", "1")
    return f"{server}/{repository}/actions/runs/{run}" + (f"/attempts/{attempt}" if attempt != "1" else "")


def actor(environ: Environ) -> str:
    """Who started this workflow run: on a re-run not its first author."""
    return environ.get("GITHUB_TRIGGERING_ACTOR") or environ.get("GITHUB_ACTOR", "")


def _of_pull_request(payload: Payload, environ: Environ) -> Origin:
    number = _at(payload, "pull_request", "number")
    return Origin(
        branch=_pull_request_branch(payload, environ),
        # GITHUB_SHA is the merge commit of a pull request: without the payload, better none than that one
        commit_sha=_text(payload, "pull_request", "head", "sha"),
        base_branch=_text(payload, "pull_request", "base", "ref") or environ.get("GITHUB_BASE_REF", ""),
        pull_request=number if isinstance(number, int) else None,
    )


def _pull_request_branch(payload: Payload, environ: Environ) -> str:
    branch = _text(payload, "pull_request", "head", "ref")
    if not branch:
        return environ.get("GITHUB_HEAD_REF", "")
    head = _text(payload, "pull_request", "head", "repo", "full_name")  # none: the fork was deleted
    base = _text(payload, "pull_request", "base", "repo", "full_name") or environ.get("GITHUB_REPOSITORY", "")
    owner = head.partition("/")[0] or _text(payload, "pull_request", "head", "user", "login")
    return _foreign_aware(branch, head, base, owner)


def _of_workflow_run(payload: Payload, environ: Environ) -> Origin:
    head = _text(payload, "workflow_run", "head_repository", "full_name")
    base = _text(payload, "workflow_run", "repository", "full_name") or environ.get("GITHUB_REPOSITORY", "")
    pull_request = _own_pull_request(_at(payload, "workflow_run", "pull_requests"), base)
    number = _at(pull_request, "number")
    return Origin(
        branch=_foreign_aware(
            _text(payload, "workflow_run", "head_branch"), head, base, head.partition("/")[0]
        ),
        commit_sha=_text(payload, "workflow_run", "head_sha"),
        base_branch=_text(pull_request, "base", "ref"),
        pull_request=number if isinstance(number, int) else None,
    )


def _own_pull_request(pull_requests: object, repository: str) -> object:
    """The first that is to be merged here: a branch may have pull requests to other repositories, too."""
    for one in pull_requests if isinstance(pull_requests, list) else []:
        address = _text(one, "base", "repo", "url")  # https://api.github.com/repos/OWNER/NAME
        if not address or address.lower().endswith(f"/{repository.lower()}"):
            return one
    return None


def _of_merge_group(payload: Payload, environ: Environ) -> Origin:
    return Origin(
        branch=branch_of(_text(payload, "merge_group", "head_ref") or environ.get("GITHUB_REF", "")),
        commit_sha=_text(payload, "merge_group", "head_sha") or environ.get("GITHUB_SHA", ""),
        base_branch=branch_of(_text(payload, "merge_group", "base_ref")),
    )


def _of_push(payload: Payload, environ: Environ) -> Origin:
    ref = _text(payload, "ref")
    commit = _text(payload, "after")
    if ref.startswith("refs/tags/"):  # `after` of an annotated tag is the tag itself
        commit = _text(payload, "head_commit", "id") or commit
    if NO_COMMIT.fullmatch(commit):
        commit = ""
    return Origin(
        branch=branch_of(ref) or environ.get("GITHUB_REF_NAME", ""),
        commit_sha=commit or environ.get("GITHUB_SHA", ""),
        base_branch=branch_of(_text(payload, "base_ref")),
    )


def _of_release(payload: Payload, environ: Environ) -> Origin:
    target = _text(payload, "release", "target_commitish")
    origin = _of_ref(environ)
    return Origin(
        branch=origin.branch,
        commit_sha=origin.commit_sha,
        base_branch="" if FULL_SHA.fullmatch(target) else branch_of(target),
    )


def _of_deployment(payload: Payload, environ: Environ) -> Origin:
    ref = _text(payload, "deployment", "ref")
    origin = _of_ref(environ)
    return Origin(
        branch=origin.branch or ("" if FULL_SHA.fullmatch(ref) else branch_of(ref)),
        commit_sha=_text(payload, "deployment", "sha") or origin.commit_sha,
    )


def _of_ref(environ: Environ) -> Origin:
    return Origin(branch=environ.get("GITHUB_REF_NAME", ""), commit_sha=environ.get("GITHUB_SHA", ""))


_OF_EVENT = {
    "push": _of_push,
    "workflow_run": _of_workflow_run,
    "merge_group": _of_merge_group,
    "release": _of_release,
    "deployment": _of_deployment,
    "deployment_status": _of_deployment,
}


def _foreign_aware(branch: str, head: str, base: str, owner: str) -> str:
    """`owner:branch` where head and base repositories differ: a fork's `main` is never ours."""
    if not branch or head.lower() == base.lower():
        return branch
    return f"{owner or 'unknown'}:{branch}"


def _at(value: object, *path: str) -> object:
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def _text(value: object, *path: str) -> str:
    found = _at(value, *path)
    return found if isinstance(found, str) else ""
