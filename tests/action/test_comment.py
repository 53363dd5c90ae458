"""The comment on the pull request, against a small server that answers as GitHub's API does."""

import io
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from action_src.comment import MAX_BYTES, body_of, leave_comment
from action_src.details import Details
from action_src.inputs import Inputs
from action_src.log import Log
from action_src.outcome import Ending, Outcome
from action_src.run import Snapshot

from .fake_github import TOKEN, GitHubPlot, fake_github
from .fakes import Clock, a_run, some_inputs

HEAD = "1" * 40


@pytest.fixture
def github() -> Iterator[GitHubPlot]:
    with ExitStack() as stack:
        yield stack.enter_context(fake_github(GitHubPlot()))


def the_inputs(github: GitHubPlot, **more: object) -> Inputs:
    values = {"comment": True, "pull_request": 5, "github_token": TOKEN, "github_api_url": github.url}
    return some_inputs(**{**values, **more})


def changed(run_number: int = 7, number: int = 1) -> Outcome:
    return Outcome(Ending.CHANGED, replace(a_run("FAILED", total=9, changed=number), number=run_number))


def passed(run_number: int = 8) -> Outcome:
    return Outcome(Ending.PASSED, replace(a_run("PASSED", total=9, unchanged=9), number=run_number))


def leave(inputs: Inputs, outcome: Outcome, details: Details | None = None) -> str:
    """Leave a comment; the log."""
    stream = io.StringIO()
    log = Log(stream)
    log.mask(inputs.github_token)
    leave_comment(inputs, outcome, details or Details(), log, sleep=Clock().sleep)
    return stream.getvalue().partition("\n")[2] if inputs.github_token else stream.getvalue()


def test_the_first_comment_is_written_and_later_ones_take_its_place(github: GitHubPlot) -> None:
    assert leave(the_inputs(github), changed()) == "Left a comment on pull request 5.\n"
    assert leave(the_inputs(github), passed()) == "Updated the comment on pull request 5.\n"
    [body] = github.bodies()
    assert "9 snapshots as approved" in body
    assert ("POST", "/repos/acme/shop/issues/5/comments") in github.seen


def test_each_name_and_each_project_has_its_own(github: GitHubPlot) -> None:
    for more in ({}, {"name": "firefox"}, {"name": "phone"}, {"project_id": "blog"}, {"name": "phone"}):
        leave(the_inputs(github, **more), changed())
    assert len(github.bodies()) == 4
    assert sum("retestr (phone)" in body for body in github.bodies()) == 1


def test_the_hidden_line_cannot_be_left_by_a_name(github: GitHubPlot) -> None:
    leave(the_inputs(github, name="--> <b>x</b> <!--"), changed())
    [body] = github.bodies()
    assert body.splitlines()[0].count("-->") == 1
    assert body.splitlines()[0].endswith(" run 7 -->")
    assert "<b>" not in body


@pytest.mark.parametrize("links", [True, False])
def test_it_is_found_on_whatever_page_it_stands(github: GitHubPlot, links: bool) -> None:
    github.links = links
    for number in range(205):
        github.write(f"Comment {number}", login="ada")
    leave(the_inputs(github), changed())
    leave(the_inputs(github), passed())
    assert len(github.bodies()) == 206


def test_pages_smaller_than_asked_for_are_read_to_the_end_and_no_link_is_followed(
    github: GitHubPlot,
) -> None:
    github.most_per_page = 30
    for number in range(70):
        github.write(f"Comment {number}", login="ada")
    leave(the_inputs(github), changed())
    leave(the_inputs(github), passed())
    assert len(github.bodies()) == 71


def test_what_others_wrote_is_never_touched(github: GitHubPlot) -> None:
    mine = body_of(the_inputs(github), changed(), Details())
    github.write(mine, login="mallory", association="CONTRIBUTOR")  # copied from elsewhere
    github.write(f"Look at that:\n{mine}", login="ada", association="MEMBER")  # quoted
    leave(the_inputs(github), passed())
    assert github.bodies()[:2] == [mine, f"Look at that:\n{mine}"]
    assert len(github.bodies()) == 3


def test_a_token_of_a_person_finds_its_comment_too(github: GitHubPlot) -> None:
    mine = body_of(the_inputs(github), changed(), Details())
    github.write(mine, login="ada", association="MEMBER")
    leave(the_inputs(github), passed())
    assert len(github.bodies()) == 1


def test_a_run_that_ends_late_does_not_overrule_a_newer_one(github: GitHubPlot) -> None:
    leave(the_inputs(github), passed(run_number=8))
    assert "newer run" in leave(the_inputs(github), changed(run_number=7))
    assert "as approved" in github.bodies()[0]


def test_two_legs_at_the_same_time_leave_one_comment_with_the_newer_run(github: GitHubPlot) -> None:
    other = body_of(the_inputs(github), changed(run_number=6), Details())
    github.after_create = lambda: github.comments.update({1: {**_by_bot(1), "body": other}})
    assert leave(the_inputs(github), passed(run_number=7)) == "Updated the comment on pull request 5.\n"
    assert list(github.comments) == [1]
    assert "as approved" in github.bodies()[0]


def test_however_many_legs_begin_together_one_comment_is_left(github: GitHubPlot) -> None:
    together = threading.Barrier(6, timeout=10)
    github.after_create = together.wait  # all have looked and found nothing
    inputs = the_inputs(github)
    legs = [threading.Thread(target=leave, args=(inputs, passed(number))) for number in range(1, 7)]
    for leg in legs:
        leg.start()
    for leg in legs:
        leg.join(20)
    assert len(github.bodies()) == 1


def test_of_two_legs_the_quicker_one_leaves_its_comment_alone(github: GitHubPlot) -> None:
    late = body_of(the_inputs(github), changed(run_number=9), Details())
    github.after_create = lambda: github.comments.update({9999: {**_by_bot(9999), "body": late}})
    assert leave(the_inputs(github), passed(run_number=8)) == "Left a comment on pull request 5.\n"
    assert len(github.bodies()) == 2  # the other leg removes its own


def test_a_second_one_that_was_left_behind_is_removed(github: GitHubPlot) -> None:
    for _ in range(2):
        github.write(body_of(the_inputs(github), changed(), Details()))
    leave(the_inputs(github), passed())
    assert len(github.bodies()) == 1


def test_a_second_one_may_be_gone_by_the_time_it_is_removed(github: GitHubPlot) -> None:
    for _ in range(2):
        github.write(body_of(the_inputs(github), changed(), Details()))
    github.failures = [None, (404, {}, {"message": "Not Found"})]
    assert leave(the_inputs(github), passed()) == "Updated the comment on pull request 5.\n"


def _by_bot(identity: int) -> dict[str, object]:
    return {"id": identity, "user": {"login": "github-actions[bot]", "type": "Bot"}}


# --- what it says


def test_it_is_short_and_leads_to_the_rest(github: GitHubPlot) -> None:
    found = tuple(
        Snapshot(f"s{n}", "CHANGED", test=f"T{n}", thumbnail_url="https://a.example/t.png") for n in range(50)
    )
    inputs = the_inputs(github, workflow_url="https://github.com/acme/shop/actions/runs/1")
    leave(inputs, changed(number=50), Details(changed=found))
    [body] = github.bodies()
    assert "… and 40 more, not shown here; all are in [the dashboard]" in body
    assert "in [the workflow run](https://github.com/acme/shop/actions/runs/1)" in body
    assert "<img" not in body


def test_it_never_comes_near_github_s_limit(github: GitHubPlot) -> None:
    found = tuple(
        Snapshot(f"s{n}", "CHANGED", test="<" * 300, sentence="é" * 300, url="https://a.example/" + "é" * 900)
        for n in range(50)
    )
    outcome = replace(changed(number=50), reason="<x\n" * 9000)
    leave(the_inputs(github), outcome, Details(changed=found))
    assert len(github.bodies()[0].encode()) < MAX_BYTES + 100


@pytest.mark.parametrize("ending", [Ending.STARTED, Ending.SKIPPED, Ending.INTERRUPTED])
def test_nothing_is_written_where_nothing_is_known_of_the_pages(github: GitHubPlot, ending: Ending) -> None:
    leave(the_inputs(github), Outcome(ending, a_run()))
    assert github.seen == []


def test_a_step_that_could_not_do_its_work_says_so_there_too(github: GitHubPlot) -> None:
    leave(the_inputs(github), passed())
    leave(the_inputs(github), Outcome(Ending.UNREACHABLE, None, "Connection refused."))
    assert "Connection refused." in github.bodies()[0]


# --- what may stand in its way


def test_it_is_written_only_where_it_is_asked_for(github: GitHubPlot) -> None:
    assert leave(the_inputs(github, comment=False), changed()) == ""
    assert github.seen == []


def test_an_event_without_pull_request_is_a_line_of_the_log(github: GitHubPlot) -> None:
    log = leave(the_inputs(github, pull_request=None), changed())
    assert log == "No comment: this event belongs to no pull request.\n"
    assert github.seen == []


def test_without_a_token_a_notice_says_where_it_comes_from(github: GitHubPlot) -> None:
    log = leave(the_inputs(github, github_token=""), changed())
    assert log.startswith("::notice title=retestr::No comment was left: `github-token` is empty.")


@pytest.mark.parametrize("rights", [{"may_write": False}, {"may_read": False}])
def test_a_missing_permission_is_a_notice_that_names_it(github: GitHubPlot, rights: dict[str, bool]) -> None:
    for name, value in rights.items():
        setattr(github, name, value)
    log = leave(the_inputs(github), changed())
    assert log.startswith("::notice title=retestr::")
    assert "`permissions: pull-requests: write`" in log
    assert "Resource not accessible by integration" in log
    assert "forks" in log
    assert log.count("\n") == 1
    assert github.bodies() == []


def test_a_wrong_token_is_a_notice_and_shown_to_nobody(github: GitHubPlot) -> None:
    log = leave(the_inputs(github, github_token="ghs_wrong"), changed())
    assert log.startswith("::notice")
    assert "ghs_wrong" not in log


@pytest.mark.parametrize(
    "failure",
    [
        (502, {}, {}),
        (429, {}, {}),
        (403, {"Retry-After": "1"}, {"message": "You have exceeded a secondary rate limit"}),
        (403, {"X-RateLimit-Remaining": "0"}, {"message": "API rate limit exceeded"}),
    ],
)
def test_what_passes_is_tried_once_more(
    github: GitHubPlot, failure: tuple[int, dict[str, str], dict[str, str]]
) -> None:
    github.failures = [failure]
    assert leave(the_inputs(github), changed()) == "Left a comment on pull request 5.\n"


def test_what_was_written_without_an_answer_is_not_written_twice(github: GitHubPlot) -> None:
    def lose_the_answer() -> None:
        github.after_create = lambda: None
        raise ConnectionResetError

    github.after_create = lose_the_answer
    assert leave(the_inputs(github), changed()) == "Updated the comment on pull request 5.\n"
    assert len(github.bodies()) == 1


def test_what_does_not_pass_is_a_notice(github: GitHubPlot) -> None:
    github.failures = [(500, {}, {"message": "boo\n::error::x"})] * 2
    log = leave(the_inputs(github), changed())
    assert log.startswith("::notice title=retestr::No comment was left on pull request 5: GitHub's API")
    assert log.count("\n") == 1


def test_a_second_one_that_cannot_be_removed_is_a_notice(github: GitHubPlot) -> None:
    for _ in range(2):
        github.write(body_of(the_inputs(github), changed(), Details()))
    github.failures = [None, (403, {}, {"message": "Must have admin rights"})]
    assert "Must have admin rights" in leave(the_inputs(github), passed())


def test_an_error_without_words_and_what_is_no_comment_do_no_harm(github: GitHubPlot) -> None:
    github.comments[1] = {"id": "no number"}
    github.failures = [(502, {}, None)]
    assert leave(the_inputs(github), changed()) == "Left a comment on pull request 5.\n"


def test_nobody_listening_is_a_notice(github: GitHubPlot) -> None:
    log = leave(the_inputs(github, github_api_url="http://127.0.0.1:9"), changed())
    assert log.startswith("::notice")
    assert "connection refused" in log


def test_the_token_follows_no_redirect(github: GitHubPlot) -> None:
    with fake_github(GitHubPlot()) as elsewhere:
        github.failures = [(307, {"Location": f"{elsewhere.url}/repos/acme/shop/issues/5/comments"}, {})]
        assert leave(the_inputs(github), changed()).startswith("::notice")
        assert elsewhere.seen == []


def test_a_netrc_cannot_replace_the_token(
    github: GitHubPlot, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{tmp_path}/netrc"
    with open(path, "w") as file:  # noqa: PTH123
        file.write("machine 127.0.0.1 login ada password hunter2\n")
    monkeypatch.setenv("NETRC", path)
    assert leave(the_inputs(github), changed()).startswith("Left a comment")


# --- forks


def fork(github: GitHubPlot) -> Inputs:
    return the_inputs(github, pull_request=None, branch="mallory:main", commit_sha=HEAD)


def test_a_workflow_run_of_a_fork_finds_its_pull_request(github: GitHubPlot) -> None:
    github.pull_requests = [
        {"number": 4, "label": "mallory:main", "head": {"sha": "0" * 40}},
        {"number": 6, "label": "mallory:main", "head": {"sha": HEAD}},
    ]
    assert leave(fork(github), changed()) == "Left a comment on pull request 6.\n"


def test_a_fork_s_pull_request_that_cannot_be_looked_up_is_a_notice(github: GitHubPlot) -> None:
    github.may_read = False
    assert "::No comment was left: the token may not write there (403" in leave(fork(github), changed())


def test_a_fork_without_pull_request_gets_no_comment(github: GitHubPlot) -> None:
    assert "no pull request" in leave(fork(github), changed())
    assert github.methods() == "GET"
