"""Branch, commit, base branch and pull request of every kind of event."""

from pathlib import Path

import pytest

from action_src.event import Origin, actor, read_origin, workflow_url

from .conftest import EVENTS, MERGE_SHA, Environ

HEAD = "1" * 40
QUEUE = "gh-readonly-queue/main/pr-5-" + "2" * 40

# event, payload, GITHUB_REF_NAME, what is tested
ORIGINS = [
    ("push", "push", "feature/cart", Origin("feature/cart", HEAD)),
    ("push", "push_tag", "v1.2.0", Origin("v1.2.0", HEAD, "main")),
    ("push", "push_deleted", "main", Origin("feature/cart", MERGE_SHA)),
    ("pull_request", "pull_request", "5/merge", Origin("feature/cart", HEAD, "main", 5)),
    ("pull_request", "pull_request_fork", "5/merge", Origin("mallory:main", HEAD, "main", 5)),
    ("pull_request", "pull_request_deleted_fork", "5/merge", Origin("mallory:main", HEAD, "main", 5)),
    ("pull_request_target", "pull_request_target", "main", Origin("mallory:main", HEAD, "main", 5)),
    ("pull_request_review", "pull_request_review", "5/merge", Origin("feature/cart", HEAD, "main", 5)),
    ("merge_group", "merge_group", QUEUE, Origin(QUEUE, HEAD, "main")),
    ("workflow_run", "workflow_run", "main", Origin("feature/cart", HEAD, "main", 5)),
    ("workflow_run", "workflow_run_fork", "main", Origin("mallory:main", HEAD)),
    ("workflow_run", "workflow_run_two_pull_requests", "main", Origin("feature/cart", HEAD, "main", 5)),
    ("schedule", "schedule", "main", Origin("main", MERGE_SHA)),
    ("workflow_dispatch", "workflow_dispatch", "topic", Origin("topic", MERGE_SHA)),
    ("release", "release", "v1.2.0", Origin("v1.2.0", MERGE_SHA, "release/1.2")),
    ("release", "release_of_commit", "v1.2.0", Origin("v1.2.0", MERGE_SHA)),
    ("deployment_status", "deployment_status", "", Origin("feature/cart", HEAD)),
    ("deployment_status", "deployment_status_of_commit", "", Origin("", HEAD)),
    ("deployment", "deployment", "", Origin("feature/cart", HEAD)),
    ("repository_dispatch", "repository_dispatch", "main", Origin("main", MERGE_SHA)),
    # A comment runs on the default branch, whatever it stands under
    ("issue_comment", "issue_comment", "main", Origin("main", MERGE_SHA)),
    ("create", "create", "feature/cart", Origin("feature/cart", MERGE_SHA)),
]


@pytest.mark.parametrize(("name", "payload", "ref_name", "origin"), ORIGINS, ids=[x[1] for x in ORIGINS])
def test_each_event_tells_what_is_tested(
    environ: Environ, name: str, payload: str, ref_name: str, origin: Origin
) -> None:
    environ |= {
        "GITHUB_EVENT_NAME": name,
        "GITHUB_EVENT_PATH": str(EVENTS / f"{payload}.json"),
        "GITHUB_REF_NAME": ref_name,
    }
    assert read_origin(environ) == origin


def test_every_payload_is_used() -> None:
    assert {path.stem for path in EVENTS.iterdir()} == {payload for _, payload, _, _ in ORIGINS}


@pytest.mark.parametrize(
    "content", [None, "", "no json", "[1, 2]", '{"pull_request": 5}', '{"pull_request": {"head": []}}']
)
def test_a_pull_request_without_usable_payload_never_claims_the_merge_commit(
    environ: Environ, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "event.json"
    if content is not None:
        path.write_text(content)
    environ |= {
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(path),
        "GITHUB_HEAD_REF": "feature/cart",
        "GITHUB_BASE_REF": "main",
    }
    assert read_origin(environ) == Origin("feature/cart", "", "main")


def test_a_push_without_payload_is_told_by_the_variables(environ: Environ) -> None:
    environ["GITHUB_EVENT_PATH"] = "/nowhere"
    assert read_origin(environ) == Origin("feature/cart", MERGE_SHA)


def test_outside_github_nothing_is_known() -> None:
    assert read_origin({}) == Origin()
    assert workflow_url({}) == ""
    assert actor({}) == ""


def test_the_workflow_address_names_the_attempt_from_the_second_on(environ: Environ) -> None:
    assert workflow_url(environ) == "https://github.com/acme/shop/actions/runs/1000"
    assert workflow_url(environ | {"GITHUB_RUN_ATTEMPT": "2"}).endswith("/runs/1000/attempts/2")


def test_the_actor_is_who_started_the_re_run(environ: Environ) -> None:
    assert actor(environ) == "ada"
    assert actor(environ | {"GITHUB_TRIGGERING_ACTOR": "grace"}) == "grace"
