"""Stand-ins for time and for the client."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from action_src.inputs import Inputs
from action_src.run import Counts, Run, Snapshot


@dataclass
class Clock:
    """Time that passes only where somebody sleeps."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        """The time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class FakeApi:
    """Plays a list of runs (or of exceptions to raise): the first for `trigger`, the next ones for `run`."""

    plays: list[Run | BaseException]
    cancels: Run | BaseException | None = None
    pace_s: float | None = None
    listed: Mapping[str, list[Snapshot]] = field(default_factory=dict)
    orders: list[Mapping[str, object]] = field(default_factory=list)
    cancelled: list[tuple[str, float | None]] = field(default_factory=list)
    on_run: Callable[[], None] = lambda: None

    def trigger(
        self, order: Mapping[str, object], *, within_s: float | None = None
    ) -> tuple[Run, float | None]:
        """The first play."""
        self.orders.append(order)
        return self._next(), self.pace_s

    def run(self, run_id: str, *, within_s: float | None = None) -> tuple[Run, float | None]:
        """The next play; the last one stays."""
        self.on_run()
        return self._next(), self.pace_s

    def cancel(self, run_id: str, *, within_s: float | None = None) -> Run | None:
        """Notes that the run was cancelled."""
        self.cancelled.append((run_id, within_s))
        if isinstance(self.cancels, BaseException):
            raise self.cancels
        return self.cancels

    def snapshots(self, run_id: str, status: str, *, within_s: float | None = None) -> Iterator[Snapshot]:
        """What is listed under the status."""
        yield from self.listed.get(status, [])

    def _next(self) -> Run:
        play = self.plays.pop(0) if len(self.plays) > 1 else self.plays[0]
        if isinstance(play, BaseException):
            raise play
        return play


def a_run(status: str = "RUNNING", **counts: int) -> Run:
    """A run of this status and these counts."""
    return Run("r1", status, url="https://retestr.example.com/runs/r1", number=7, counts=Counts(**counts))


def some_inputs(**changes: object) -> Inputs:
    """Valid inputs with these changes."""
    values: dict[str, object] = {
        "api_key": "vts_key",
        "project_id": "shop",
        "server_url": "https://retestr.example.com",
        "branch": "main",
        "commit_sha": "",
        "base_branch": "",
        "pull_request": None,
        "actor": "",
        "workflow_url": "",
        "base_url": "",
        "suite": None,
        "suite_file": "retestr.yml",
        "tests": (),
        "name": "",
        "wait": True,
        "timeout_s": 1800.0,
        "stall_s": 600.0,
        "fail_on": frozenset({"changed", "error"}),
        "on_missing_key": "fail",
        "on_unreachable": "fail",
        "comment": False,
        "github_token": "ghs_token_of_the_tests",
        "repository": "acme/shop",
        "github_api_url": "https://api.github.com",
        "summary": True,
        "annotations": True,
    }
    return Inputs(**{**values, **changes})  # type: ignore[arg-type]
