"""The snapshots that a report shows, fetched from a run that is over.

Only what needs a person is fetched, within bounds; a failure here never changes how the step ends.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from action_src.failure import ApiError
from action_src.run import Counts, Run, Snapshot

MAX_OF_EACH = 5000
MAX_SEARCHED_FOR_FLAKY = 2000
WITHIN_S = 30.0


class Api(Protocol):
    """What this needs of the client."""

    def snapshots(self, run_id: str, status: str, *, within_s: float | None = None) -> Iterator[Snapshot]:
        """The snapshots of one status."""


@dataclass(frozen=True)
class Details:
    """Snapshots by what became of them. `lost` says why some could not be fetched."""

    changed: tuple[Snapshot, ...] = ()
    new: tuple[Snapshot, ...] = ()
    error: tuple[Snapshot, ...] = ()
    flaky: tuple[Snapshot, ...] = ()
    lost: str = ""


def fetch_details(api: Api, run: Run, clock: Callable[[], float] = time.monotonic) -> Details:
    """What a report on this run shows, as far as it can be had in half a minute."""
    until = clock() + WITHIN_S
    found: dict[str, list[Snapshot]] = {"changed": [], "error": [], "new": [], "flaky": []}
    lost = ""

    def collect(name: str, status: str, most: int) -> None:
        for one in islice(api.snapshots(run.id, status, within_s=until - clock()), most):
            if name != "flaky" or one.flaky:
                found[name].append(one)

    try:
        for name in ("changed", "error", "new"):
            if run.counts is None or getattr(run.counts, name):
                collect(name, name.upper(), MAX_OF_EACH)
        if (run.counts or Counts()).flaky:
            collect("flaky", "UNCHANGED", MAX_SEARCHED_FOR_FLAKY)
    except ApiError as error:  # what came before it is kept
        lost = str(error)
    return Details(**{name: tuple(snapshots) for name, snapshots in found.items()}, lost=lost)
