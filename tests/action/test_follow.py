"""Following a run: pace, time-outs, cancelling, and how each way of ending is told."""

import io
import threading
import time
from dataclasses import replace

import pytest

from action_src.failure import ApiError, NotAuthorised, Refused, Unreachable, WrongAddress
from action_src.follow import Following, order_of
from action_src.inputs import Inputs
from action_src.interrupt import Interrupted
from action_src.log import Log
from action_src.outcome import Ending, Outcome
from action_src.run import Run

from .fakes import Clock, FakeApi, a_run, some_inputs


def followed(api: FakeApi, clock: Clock | None = None, log: Log | None = None, **inputs: object) -> Outcome:
    clock = clock or Clock()
    log = log or Log(io.StringIO())
    return Following(some_inputs(**inputs), api, log, clock=clock, sleep=clock.sleep).to_the_end()


def test_only_what_is_set_is_sent() -> None:
    assert order_of(some_inputs()) == {"projectId": "shop", "branch": "main"}


def test_everything_that_is_set_is_sent() -> None:
    inputs: Inputs = some_inputs(
        commit_sha="abc",
        base_branch="main",
        base_url="https://preview.example.com",
        suite="tests: []",
        tests=("Home",),
        name="firefox",
        pull_request=5,
        workflow_url="https://github.com/acme/shop/actions/runs/1",
        actor="ada",
    )
    assert order_of(inputs) == {
        "projectId": "shop",
        "branch": "main",
        "commitSha": "abc",
        "baseBranch": "main",
        "baseUrl": "https://preview.example.com",
        "suite": "tests: []",
        "tests": ["Home"],
        "name": "firefox",
        "pullRequest": 5,
        "workflowUrl": "https://github.com/acme/shop/actions/runs/1",
        "actor": "ada",
    }


def test_a_run_is_followed_until_it_is_over() -> None:
    outcome = followed(
        FakeApi([a_run("PENDING"), a_run("RUNNING", total=2, done=1), a_run("PASSED", total=2, done=2)])
    )
    assert (outcome.ending, outcome.exit_code, outcome.status) == (Ending.PASSED, 0, "PASSED")
    assert outcome.duration_s == 4


def test_a_run_that_is_over_at_once_is_not_asked_about() -> None:
    clock = Clock()
    assert followed(FakeApi([a_run("PASSED")]), clock).ending is Ending.PASSED
    assert clock.slept == []


def test_without_waiting_the_step_ends_with_the_trigger() -> None:
    clock = Clock()
    outcome = followed(FakeApi([a_run("PENDING")]), clock, wait=False)
    assert (outcome.ending, outcome.exit_code, outcome.status) == (Ending.STARTED, 0, "PENDING")
    assert clock.slept == []


def test_without_wishes_the_pace_slows_down() -> None:
    clock = Clock()
    followed(FakeApi([a_run("RUNNING")] * 8 + [a_run("PASSED")]), clock)
    assert clock.slept[0] == 2
    assert clock.slept[-1] == 5
    assert sorted(clock.slept) == clock.slept


def test_progress_makes_the_pace_quick_again() -> None:
    clock = Clock()
    followed(
        FakeApi([a_run("RUNNING")] * 6 + [a_run("RUNNING", total=2, done=1)] * 2 + [a_run("PASSED")]), clock
    )
    assert clock.slept[6] == 2


@pytest.mark.parametrize(("wish", "pause"), [(1.0, 1.0), (0.0, 0.2), (7.0, 7.0), (999.0, 60.0)])
def test_the_server_sets_the_pace_within_reason(wish: float, pause: float) -> None:
    clock = Clock()
    followed(FakeApi([a_run("RUNNING"), a_run("RUNNING"), a_run("PASSED")], pace_s=wish), clock)
    assert clock.slept == [pause, pause]


def test_a_line_is_written_only_when_something_changed() -> None:
    stream = io.StringIO()
    plays = (
        [a_run("PENDING")] * 3
        + [a_run("RUNNING", total=3, done=1, changed=1)] * 3
        + [a_run("FAILED", total=3, done=3, changed=2)]
    )
    followed(FakeApi(list(plays)), log=Log(stream))
    assert stream.getvalue().splitlines() == [
        "Run 7 is triggered: https://retestr.example.com/runs/r1",
        "Waiting for a worker.",
        "Running: 1 of 3 snapshots, 1 changed.",
        "Failed: 3 of 3 snapshots, 2 changed.",
    ]


def test_a_run_that_takes_too_long_is_cancelled() -> None:
    counting = [a_run("RUNNING", total=999, done=n) for n in range(999)]
    api, clock = FakeApi(counting, cancels=a_run("CANCELLED")), Clock()
    outcome = followed(api, clock, timeout_s=60.0)
    assert (outcome.ending, outcome.exit_code, outcome.status) == (Ending.TIMED_OUT, 4, "TIMED_OUT")
    assert clock.now == 1060
    assert api.cancelled == [("r1", 15.0)]
    assert "`timeout-minutes`" in outcome.reason
    assert "was cancelled on the server" in outcome.reason


def test_a_run_without_progress_is_cancelled_however_much_time_is_left() -> None:
    api, clock = FakeApi([a_run("RUNNING", total=3, done=1)]), Clock()
    outcome = followed(api, clock, stall_s=60.0)
    assert (outcome.ending, clock.now, len(api.cancelled)) == (Ending.TIMED_OUT, 1060, 1)
    assert "no progress for 1 min (`stall-minutes`): 1 of 3 snapshots were done" in outcome.reason


def test_progress_starts_the_stall_anew() -> None:
    plays = [a_run("RUNNING", total=99, done=n // 10) for n in range(60)] + [a_run("PASSED")]
    assert followed(FakeApi(plays), stall_s=60.0).ending is Ending.PASSED


def test_a_run_that_nobody_takes_up_asks_for_a_worker() -> None:
    assert "have a worker" in followed(FakeApi([a_run("PENDING")]), stall_s=60.0).reason


def test_a_run_that_ended_while_being_cancelled_counts() -> None:
    api = FakeApi([a_run("RUNNING")], cancels=a_run("PASSED", total=1, done=1))
    assert followed(api, timeout_s=60.0).ending is Ending.PASSED


def test_a_cancel_that_fails_is_told() -> None:
    api = FakeApi([a_run("RUNNING")], cancels=Unreachable("gone"))
    outcome = followed(api, timeout_s=60.0)
    assert outcome.ending is Ending.TIMED_OUT
    assert "could not be cancelled on the server: gone" in outcome.reason


@pytest.mark.parametrize(
    ("error", "ending", "code"),
    [
        (Unreachable("x"), Ending.UNREACHABLE, 6),
        (WrongAddress("x"), Ending.UNREACHABLE, 6),
        (NotAuthorised("x"), Ending.NOT_AUTHORISED, 5),
        (Refused("x", 422), Ending.INVALID, 2),
        (Refused("x", 404), Ending.INVALID, 2),
    ],
)
def test_each_failure_of_the_trigger_has_its_ending(error: ApiError, ending: Ending, code: int) -> None:
    outcome = followed(FakeApi([error]))
    assert (outcome.ending, outcome.exit_code, outcome.run, outcome.reason) == (ending, code, None, "x")


@pytest.mark.parametrize(
    ("error", "ending"),
    [
        (Unreachable("x"), Ending.UNREACHABLE),
        (NotAuthorised("x"), Ending.NOT_AUTHORISED),
        (Refused("x", 404), Ending.CANCELLED),
    ],
)
def test_a_failure_on_the_way_keeps_the_run(error: ApiError, ending: Ending) -> None:
    outcome = followed(FakeApi([a_run("PENDING"), error]))
    assert outcome.ending is ending
    assert outcome.run is not None


def test_an_unreachable_server_may_be_skipped() -> None:
    outcome = followed(FakeApi([Unreachable("down")]), on_unreachable="skip")
    assert (outcome.ending, outcome.exit_code) == (Ending.SKIPPED, 0)
    assert outcome.reason.startswith("down")


def test_a_wrong_address_is_never_skipped() -> None:
    assert followed(FakeApi([WrongAddress("x")]), on_unreachable="skip").ending is Ending.UNREACHABLE


# --- being cancelled


def test_an_interruption_cancels_the_run() -> None:
    api = FakeApi([a_run("PENDING"), a_run("RUNNING"), Interrupted()])
    outcome = followed(api)
    assert (outcome.ending, outcome.exit_code, outcome.status) == (Ending.INTERRUPTED, 130, "INTERRUPTED")
    assert api.cancelled == [("r1", 4.0)]


def test_an_interruption_during_the_trigger_learns_the_run_and_cancels_it() -> None:
    api = FakeApi([Interrupted(), a_run("PENDING")])
    outcome = followed(api)
    assert outcome.ending is Ending.INTERRUPTED
    assert len(api.orders) == 2
    assert [run_id for run_id, _ in api.cancelled] == ["r1"]


def test_an_interruption_without_any_run_is_told() -> None:
    outcome = followed(FakeApi([Interrupted(), Unreachable("down")]))
    assert outcome.ending is Ending.INTERRUPTED
    assert "had not named a run" in outcome.reason


@pytest.mark.parametrize("plays", [[a_run("PENDING"), Interrupted()], [Interrupted(), a_run("PENDING")]])
def test_an_interruption_does_not_wait_for_a_server_that_keeps_no_time(
    plays: list[Run | BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    class Trickling(FakeApi):
        def cancel(self, run_id: str, *, within_s: float | None = None) -> None:
            over.wait(20)

    monkeypatch.setattr("action_src.follow.INTERRUPTED_CANCEL_S", 0.1)
    begun = time.monotonic()
    outcome = followed(Trickling(plays))
    assert time.monotonic() - begun < 5
    over.set()
    assert (outcome.ending, outcome.run) == (Ending.INTERRUPTED, a_run("PENDING"))
    assert "in time" in outcome.reason


def test_an_interruption_while_giving_up_still_ends_as_given_up() -> None:
    outcome = followed(FakeApi([a_run("RUNNING")], cancels=Interrupted()), timeout_s=60.0)
    assert outcome.ending is Ending.TIMED_OUT


def test_a_crash_of_ours_leaves_no_run_behind() -> None:
    api = FakeApi([a_run("PENDING"), ZeroDivisionError()])
    with pytest.raises(ZeroDivisionError):
        followed(api)
    assert api.cancelled


def test_a_crash_of_ours_before_there_is_a_run_cancels_none() -> None:
    api = FakeApi([ZeroDivisionError()])
    with pytest.raises(ZeroDivisionError):
        followed(api)
    assert api.cancelled == []


def test_a_run_that_is_over_is_not_cancelled() -> None:
    api = FakeApi([a_run("PENDING"), replace(a_run("PASSED"), message="")])
    followed(api)
    assert api.cancelled == []
