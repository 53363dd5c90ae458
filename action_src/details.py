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

MAX_OF_EACH = 1000
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
    found: dict[str, tuple[Snapshot, ...]] = {"changed": (), "error": (), "new": (), "flaky": ()}
    lost = ""

    def some(status: str, most: int) -> tuple[Snapshot, ...]:
        return tuple(islice(api.snapshots(run.id, status, within_s=until - clock()), most))

    try:
        for name in ("changed", "error", "new"):
            if run.counts is None or getattr(run.counts, name):
                found[name] = some(name.upper(), MAX_OF_EACH)
        if (run.counts or Counts()).flaky:
            found["flaky"] = tuple(one for one in some("UNCHANGED", MAX_SEARCHED_FOR_FLAKY) if one.flaky)
    except ApiError as error:
        lost = str(error)
    return Details(**found, lost=lost)
