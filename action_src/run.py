"""Runs and snapshots as the API tells them, read tolerantly.

A server may be older or newer than this Action: members that are missing get a sensible value, unknown ones
are ignored, and only a run's id is required.
"""

from collections.abc import Mapping
from dataclasses import dataclass

Json = Mapping[str, object]

LIVE = ("PENDING", "RUNNING")
FINAL = ("PASSED", "FAILED", "ERROR", "CANCELLED")


@dataclass(frozen=True)
class Counts:
    """How many snapshots a run has, by what became of them."""

    total: int = 0
    done: int = 0
    unchanged: int = 0
    changed: int = 0
    new: int = 0
    error: int = 0
    flaky: int = 0


@dataclass(frozen=True)
class Run:
    """A run, as far as the server tells."""

    id: str
    status: str = "PENDING"
    url: str = ""
    number: int | None = None
    project_id: str = ""
    branch: str = ""
    commit_sha: str = ""
    message: str = ""
    notice: str = ""
    finished_at: str = ""
    counts: Counts | None = None

    @property
    def over(self) -> bool:
        """Whether nothing will happen any more. A status of a newer server counts when it has an end."""
        return self.status in FINAL or (self.status not in LIVE and bool(self.finished_at))


@dataclass(frozen=True)
class Baseline:
    """What a snapshot was compared with."""

    branch: str = ""
    commit_sha: str = ""
    approved_by: str = ""
    approved_at: str = ""


@dataclass(frozen=True)
class Snapshot:
    """One page in one viewport and browser, and what the comparison said.

    Snapshots of one `group` show the same change; empty: this one stands alone. `thumbnail_url` is a small picture
    that anybody may see for a while; empty: there is none.
    """

    id: str
    status: str
    test: str = ""
    viewport: str = ""
    browser: str = ""
    review: str = "UNREVIEWED"
    reviewed_by: str = ""
    review_reason: str = ""
    flaky: bool = False
    url: str = ""
    sentence: str = ""
    error_kind: str = ""
    error_message: str = ""
    ratio: float | None = None
    group: str = ""
    thumbnail_url: str = ""
    baseline: Baseline | None = None


class Unreadable(ValueError):
    """This JSON is no run (or snapshot)."""


def read_run(json: object) -> Run:
    """A run from its JSON. Raises Unreadable where there is no id."""
    if not isinstance(json, Mapping):
        raise Unreadable("no JSON object")
    run_id = _text(json, "id") or _text(json, "runId")  # the hosted service may call it so
    if not run_id:
        raise Unreadable("a run without id")
    counts = json.get("counts")
    return Run(
        id=run_id,
        status=_word(json, "status") or "PENDING",
        url=_text(json, "url"),
        number=_whole(json, "number"),
        project_id=_text(json, "projectId"),
        branch=_text(json, "branch"),
        commit_sha=_text(json, "commitSha"),
        message=_text(json, "message"),
        notice=_text(json, "notice"),
        finished_at=_text(json, "finishedAt"),
        counts=_read_counts(counts) if isinstance(counts, Mapping) else None,
    )


def read_snapshot(json: object) -> Snapshot:
    """A snapshot from its JSON. Raises Unreadable where there is neither id nor status."""
    if not isinstance(json, Mapping):
        raise Unreadable("no JSON object")
    if not (_text(json, "id") and _word(json, "status")):
        raise Unreadable("a snapshot without id or status")
    error = _members(json, "error")
    ratio = json.get("ratio")
    return Snapshot(
        id=_text(json, "id"),
        status=_word(json, "status"),
        test=_text(json, "test"),
        viewport=_text(json, "viewport"),
        browser=_text(json, "browser"),
        review=_word(json, "review") or "UNREVIEWED",
        reviewed_by=_text(json, "reviewedBy"),
        review_reason=_text(json, "reviewReason"),
        flaky=json.get("flaky") is True,
        url=_text(json, "url"),
        sentence=_text(json, "sentence"),
        error_kind=_text(error, "kind"),
        error_message=_text(error, "message"),
        ratio=float(ratio) if isinstance(ratio, int | float) and not isinstance(ratio, bool) else None,
        group=_text(json, "group"),
        thumbnail_url=_text(json, "thumbnailUrl"),
        baseline=_read_baseline(json.get("baseline")),
    )


def _read_counts(json: Json) -> Counts:
    names = ("total", "done", "unchanged", "changed", "new", "error", "flaky")
    return Counts(**{name: max(0, _whole(json, name) or 0) for name in names})


def _read_baseline(json: object) -> Baseline | None:
    if not isinstance(json, Mapping):
        return None
    return Baseline(
        branch=_text(json, "branch"),
        commit_sha=_text(json, "commitSha"),
        approved_by=_text(json, "approvedBy"),
        approved_at=_text(json, "approvedAt"),
    )


def _members(json: Json, name: str) -> Json:
    value = json.get(name)
    return value if isinstance(value, Mapping) else {}


def _word(json: Json, name: str) -> str:
    return _text(json, name).strip().upper()


def _text(json: Json, name: str) -> str:
    value = json.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def _whole(json: Json, name: str) -> int | None:
    value = json.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
