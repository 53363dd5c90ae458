"""What a finished run means for the step, as a table, and the exit codes."""

import pytest

from action_src.outcome import EXIT_CODES, Ending, Outcome, judged
from action_src.run import Run, read_run

from .fakes import a_run

DEFAULT = "changed,error"

# status, counts, fail-on, exit code
VERDICTS = [
    ("PASSED", {}, DEFAULT, 0),
    ("PASSED", {"new": 3}, DEFAULT, 0),
    ("PASSED", {"new": 3}, "new", 1),
    ("PASSED", {"changed": 2}, DEFAULT, 0),  # approved meanwhile
    ("PASSED", {"new": 3, "changed": 1}, "", 0),
    ("FAILED", {"changed": 1}, DEFAULT, 1),
    ("FAILED", {"changed": 1, "error": 1}, DEFAULT, 1),
    ("FAILED", {"changed": 1}, "changed", 1),
    ("FAILED", {"changed": 1}, "error", 0),
    ("FAILED", {"changed": 1, "error": 1}, "error", 3),
    ("FAILED", {"changed": 1, "new": 1}, "new", 1),
    ("FAILED", {"changed": 1}, "", 0),
    ("FAILED", {}, DEFAULT, 1),
    ("ERROR", {"error": 1}, DEFAULT, 3),
    ("ERROR", {}, DEFAULT, 3),
    ("ERROR", {"error": 1, "changed": 1}, DEFAULT, 3),
    ("ERROR", {"error": 1, "changed": 1}, "changed", 1),
    ("ERROR", {"error": 1}, "changed", 0),
    ("ERROR", {"error": 1}, "", 0),
    ("CANCELLED", {}, DEFAULT, 7),
    ("CANCELLED", {}, "", 7),
    ("EXPLODED", {}, DEFAULT, 3),
    ("EXPLODED", {}, "", 3),
]


@pytest.mark.parametrize(("status", "counts", "fail_on", "code"), VERDICTS)
def test_a_finished_run_gives_this_exit_code(
    status: str, counts: dict[str, int], fail_on: str, code: int
) -> None:
    words = frozenset(word for word in fail_on.split(",") if word)
    assert EXIT_CODES[judged(a_run(status, **counts), words)] == code


def test_a_run_without_counts_is_judged_by_its_status() -> None:
    assert judged(Run("r1", "FAILED"), frozenset({"changed"})) is Ending.CHANGED
    assert judged(Run("r1", "PASSED"), frozenset({"new"})) is Ending.PASSED


def test_every_ending_has_an_exit_code_and_none_lies_outside_a_byte() -> None:
    assert set(EXIT_CODES) == set(Ending)
    assert all(0 <= code < 256 for code in EXIT_CODES.values())


def test_only_what_was_chosen_is_a_success() -> None:
    good = {ending for ending, code in EXIT_CODES.items() if code == 0}
    assert good == {Ending.PASSED, Ending.TOLERATED, Ending.STARTED, Ending.SKIPPED}


def test_the_status_is_the_run_s_own_where_it_ended() -> None:
    assert Outcome(Ending.TOLERATED, a_run("FAILED")).status == "FAILED"
    assert Outcome(Ending.TIMED_OUT, a_run("CANCELLED")).status == "TIMED_OUT"
    assert Outcome(Ending.SKIPPED).status == "SKIPPED"


@pytest.mark.parametrize(
    ("json", "over"),
    [
        ({"id": "1", "status": "passed"}, True),
        ({"id": "1", "status": "Running", "finishedAt": "2026-11-01T10:00:00Z"}, False),
        ({"id": "1", "status": "QUEUED"}, False),
        ({"id": "1", "status": "EXPLODED", "finishedAt": "2026-11-01T10:00:00Z"}, True),
        ({"id": "1"}, False),
    ],
)
def test_a_run_is_over_when_its_status_or_its_end_says_so(json: dict[str, str], over: bool) -> None:
    assert read_run(json).over is over
