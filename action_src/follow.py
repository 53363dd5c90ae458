"""One run on its way: triggered, followed at the server's pace, cancelled where it must be.

Time, the client and the log are arguments. What the run's end means for the step is said in `outcome`; how it is
shown, in `report`.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from action_src.failure import ApiError, NotAuthorised, Refused, Unreachable, WrongAddress
from action_src.inputs import Inputs
from action_src.interrupt import Interrupted
from action_src.log import Log
from action_src.outcome import Ending, Outcome, judged
from action_src.run import Counts, Run

FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 5.0
SHORTEST_WISH_S = 0.2
LONGEST_WISH_S = 60.0
INTERRUPTED_CANCEL_S = 4.0  # the runner kills 7 to 10 s after its first signal
INTERRUPTED_GRACE_S = 0.3  # beyond it, for words better than none
CANCEL_S = 15.0
NOT_IN_TIME = "The run could not be cancelled on the server in time; it may go on there."
NO_RUN_YET = "The server had not named a run before; there may be one that goes on."
LAST_LOOK_S = 10.0  # what the last question may take beyond the time-outs


class Api(Protocol):
    """What following needs of the client."""

    def trigger(
        self, order: Mapping[str, object], *, within_s: float | None = None
    ) -> tuple[Run, float | None]:
        """Trigger a run (or tell the one already triggered), and when to ask about it."""

    def run(self, run_id: str, *, within_s: float | None = None) -> tuple[Run, float | None]:
        """The run, and when to ask again."""

    def cancel(self, run_id: str, *, within_s: float | None = None) -> Run | None:
        """Cancel the run."""


class TooLong(Exception):
    """The run took longer than this step waits."""


def order_of(inputs: Inputs) -> dict[str, object]:
    """The body of `POST /api/runs`: optional members only where they are set."""
    optional: dict[str, object] = {
        "commitSha": inputs.commit_sha,
        "baseBranch": inputs.base_branch,
        "baseUrl": inputs.base_url,
        "suite": inputs.suite,
        "tests": list(inputs.tests),
        "name": inputs.name,
        "pullRequest": inputs.pull_request,
        "workflowUrl": inputs.workflow_url,
        "actor": inputs.actor,
    }
    required = {"projectId": inputs.project_id, "branch": inputs.branch}
    return required | {name: value for name, value in optional.items() if value}


class Following:
    """Follows one run. `to_the_end` never raises what the client raises: it becomes the outcome."""

    def __init__(
        self,
        inputs: Inputs,
        api: Api,
        log: Log,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._inputs, self._api, self._log = inputs, api, log
        self._clock, self._sleep = clock, sleep
        self._begun = clock()
        self._sent = False
        self._run: Run | None = None

    def to_the_end(self) -> Outcome:
        """Trigger the run and follow it; how that ended."""
        try:
            return self._followed()
        except Interrupted:
            return self._interrupted()
        except Exception:
            self._cancelled_in_words(INTERRUPTED_CANCEL_S)  # a crash of ours must not leave a run behind
            raise

    def _followed(self) -> Outcome:
        try:
            self._sent = True
            run, wish_s = self._api.trigger(order_of(self._inputs))
            self._run = run
            self._log.line(f"Run {run.number or run.id} is triggered{': ' + run.url if run.url else '.'}")
            if not self._inputs.wait:
                return self._ended(
                    Ending.STARTED, "The run was triggered and is not waited for (`wait: false`)."
                )
            for latest in self._states(run, wish_s):
                self._run = run = latest
            return self._ended(judged(run, self._inputs.fail_on), run.message)
        except TooLong as late:
            return self._given_up(str(late))
        except Refused as refused:
            if refused.status == 404 and self._run:
                return self._ended(Ending.CANCELLED, "The run is no longer on the server; it was deleted.")
            return self._ended(Ending.INVALID, str(refused))
        except NotAuthorised as error:
            return self._ended(Ending.NOT_AUTHORISED, str(error))
        except (Unreachable, WrongAddress) as error:
            return self._unreachable(error)

    def _states(self, run: Run, wish_s: float | None) -> Iterator[Run]:
        """The run again and again until it is over. Raises TooLong."""
        inputs, clock = self._inputs, self._clock
        moved = clock()
        pause_s = FIRST_PAUSE_S
        self._log.line(progress_of(run))
        while not run.over:
            now = clock()
            left_s = min(self._begun + inputs.timeout_s, moved + inputs.stall_s) - now
            if left_s <= 0:
                raise TooLong(too_long(run, inputs, stalled=now < self._begun + inputs.timeout_s))
            wait_s = pause_s if wish_s is None else min(max(wish_s, SHORTEST_WISH_S), LONGEST_WISH_S)
            self._sleep(min(wait_s, left_s))
            pause_s = min(pause_s * 1.25, LONGEST_PAUSE_S)
            before = run
            run, wish_s = self._api.run(run.id, within_s=max(left_s, LAST_LOOK_S))
            if (run.status, run.counts) != (before.status, before.counts):
                moved = clock()
                pause_s = FIRST_PAUSE_S
            if progress_of(run) != progress_of(before):
                self._log.line(progress_of(run))
            yield run

    def _given_up(self, reason: str) -> Outcome:
        words = self._cancelled_in_words(CANCEL_S)
        if self._run and self._run.over and self._run.status != "CANCELLED":  # it ended while being cancelled
            return self._ended(judged(self._run, self._inputs.fail_on), self._run.message)
        return self._ended(Ending.TIMED_OUT, f"{reason} {words}")

    def _interrupted(self) -> Outcome:
        """Cancel the run, and wait for that no longer than the runner waits for us.

        Apart, since the client's time-outs are those of one address and one read: a name server that is silent, a
        host of several addresses and an answer that trickles can take longer. And since there it may sleep between
        its tries, which the main thread may no more.
        """
        ended: list[Outcome] = []
        cancelling = threading.Thread(target=lambda: ended.append(self._cancelled_late()), daemon=True)
        cancelling.start()
        cancelling.join(INTERRUPTED_CANCEL_S + INTERRUPTED_GRACE_S)
        return ended[0] if ended else self._ended(Ending.INTERRUPTED, NOT_IN_TIME)

    def _cancelled_late(self) -> Outcome:
        until = self._clock() + INTERRUPTED_CANCEL_S
        if self._sent and not self._run:
            # The signal came while the answer was on its way: asked again, the server tells the same run.
            try:
                self._run, _ = self._api.trigger(order_of(self._inputs), within_s=INTERRUPTED_CANCEL_S / 2)
            except ApiError:
                return self._ended(Ending.INTERRUPTED, NO_RUN_YET)
        words = self._cancelled_in_words(until - self._clock())
        return self._ended(Ending.INTERRUPTED, words)

    def _unreachable(self, error: ApiError) -> Outcome:
        if self._inputs.on_unreachable == "skip" and isinstance(error, Unreachable):
            return self._ended(Ending.SKIPPED, f"{error} Skipped, as `on-unreachable: skip` asks.")
        return self._ended(Ending.UNREACHABLE, str(error))

    def _cancelled_in_words(self, within_s: float) -> str:
        """Cancel the run on the server if there is one; one sentence on how that went."""
        if not self._run or self._run.over:
            return ""
        try:
            told = self._api.cancel(self._run.id, within_s=within_s)
        except (ApiError, Interrupted) as error:
            return f"The run could not be cancelled on the server: {error or 'interrupted'}"
        if told and told.id == self._run.id:
            self._run = told
        return "The run was cancelled on the server."

    def _ended(self, ending: Ending, reason: str) -> Outcome:
        return Outcome(ending, self._run, reason.strip(), self._clock() - self._begun)


def progress_of(run: Run) -> str:
    """One line on where the run is."""
    counts = run.counts or Counts()
    if run.status == "PENDING":
        return "Waiting for a worker."
    found = [
        f"{number} {word}"
        for number, word in ((counts.changed, "changed"), (counts.new, "new"), (counts.error, "with errors"))
        if number
    ]
    done = f"{counts.done} of {counts.total} snapshots" if counts.total else "no snapshots yet"
    return f"{run.status.capitalize()}: {', '.join([done, *found])}."


def too_long(run: Run, inputs: Inputs, *, stalled: bool) -> str:
    """Why this step waits no longer."""
    counts = run.counts or Counts()
    state = f"{counts.done} of {counts.total} snapshots were done" if counts.total else f"it was {run.status}"
    if not stalled:
        return f"The run was not over after {inputs.timeout_s / 60:g} min (`timeout-minutes`): {state}."
    why = " Does the server have a worker that runs?" if run.status == "PENDING" else ""
    return f"The run made no progress for {inputs.stall_s / 60:g} min (`stall-minutes`): {state}.{why}"
