"""How a step can end: the endings, their exit codes, and what a finished run means for the step."""

from dataclasses import dataclass
from enum import StrEnum

from action_src.run import Counts, Run


class Ending(StrEnum):
    """Every way this step can end. Where a run did not end by itself, this word is the output `status`."""

    PASSED = "PASSED"
    TOLERATED = "TOLERATED"  # findings, but none that `fail-on` names
    STARTED = "STARTED"  # not waited for
    SKIPPED = "SKIPPED"
    CHANGED = "CHANGED"
    INVALID = "INVALID"
    ERROR = "ERROR"
    TIMED_OUT = "TIMED_OUT"
    NOT_AUTHORISED = "NOT_AUTHORISED"
    UNREACHABLE = "UNREACHABLE"
    CANCELLED = "CANCELLED"
    INTERRUPTED = "INTERRUPTED"
    CRASHED = "CRASHED"


EXIT_CODES = {
    Ending.PASSED: 0,
    Ending.TOLERATED: 0,
    Ending.STARTED: 0,
    Ending.SKIPPED: 0,
    Ending.CHANGED: 1,
    Ending.INVALID: 2,
    Ending.ERROR: 3,
    Ending.TIMED_OUT: 4,
    Ending.NOT_AUTHORISED: 5,
    Ending.UNREACHABLE: 6,
    Ending.CANCELLED: 7,
    Ending.CRASHED: 70,  # EX_SOFTWARE of sysexits.h
    Ending.INTERRUPTED: 130,
}


@dataclass(frozen=True)
class Outcome:
    """How this step ended, with what is known of the run."""

    ending: Ending
    run: Run | None = None
    reason: str = ""
    duration_s: float = 0.0

    @property
    def exit_code(self) -> int:
        """The step's exit code."""
        return EXIT_CODES[self.ending]

    @property
    def failed(self) -> bool:
        """Whether the step fails."""
        return self.exit_code != 0

    @property
    def status(self) -> str:
        """The output `status`: the run's own where it ended (or was not waited for), else the ending."""
        ran = self.ending in (Ending.PASSED, Ending.TOLERATED, Ending.STARTED, Ending.CHANGED, Ending.ERROR)
        return self.run.status if self.run and ran else self.ending.value


def judged(run: Run, fail_on: frozenset[str]) -> Ending:
    """What a run that is over means for a step that fails on these findings.

    A status that this Action does not know is an error, whatever was chosen: it is not known to be good.
    """
    counts = run.counts or Counts()
    if run.status == "CANCELLED":
        return Ending.CANCELLED
    if run.status not in ("PASSED", "FAILED", "ERROR"):
        return Ending.ERROR
    if run.status == "ERROR" and "error" in fail_on:
        return Ending.ERROR
    changed = run.status == "FAILED" or (run.status == "ERROR" and counts.changed > 0)
    if (changed and "changed" in fail_on) or (counts.new > 0 and "new" in fail_on):
        return Ending.CHANGED
    if run.status == "FAILED" and counts.error > 0 and "error" in fail_on:
        return Ending.ERROR
    return Ending.PASSED if run.status == "PASSED" else Ending.TOLERATED
