"""Runs: triggering, listing, cancelling."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from server.api.shapes.base import Asked, Page, PageQuery, Shape
from server.api.texts import (
    Branch,
    Name,
    OptionalBranch,
    OptionalName,
    OptionalUrl,
    PullRequest,
    Reference,
    SuiteText,
)

RunStatus = Literal["PENDING", "RUNNING", "PASSED", "FAILED", "ERROR", "CANCELLED"]


class TriggerIn(Asked):
    """What to run. The first three are the contract; the rest is optional."""

    project_id: Reference = Field(description="The project's ID or slug.")
    branch: Branch = Field(description="The branch that is tested.", examples=["main"])
    commit_sha: OptionalBranch = Field(None, description="The commit, an opaque text.")
    base_branch: OptionalBranch = Field(None, description="The branch that this one will be merged into.")
    base_url: OptionalUrl = Field(None, description="Capture from here instead of the suite's `baseUrl`.")
    suite: SuiteText | None = Field(None, description="A suite (YAML) for this run instead of the project's.")
    tests: list[Name] = Field([], max_length=1000, description="Names or patterns of the tests to run.")
    name: OptionalName = Field(None, description="What the run is called where a workflow has several.")
    pull_request: PullRequest | None = Field(None, description="The number of the pull request.")
    workflow_url: OptionalUrl = Field(None, description="The page of the workflow run that triggers it.")
    actor: OptionalName = Field(None, description="Who caused the run, as the CI system says.")


class Counts(Shape):
    """How many snapshots a run has, in all and by outcome."""

    total: int
    done: int
    unchanged: int
    changed: int
    new: int
    error: int
    flaky: int


class RunOut(Shape):
    """A run."""

    id: str
    project_id: str
    number: int = Field(description="Counts up within the project.")
    branch: str
    base_branch: str | None
    commit_sha: str | None
    name: str | None
    pull_request: int | None
    workflow_url: str | None
    actor: str | None
    status: RunStatus
    message: str | None = Field(description="The verdict in one sentence, once there is one.")
    notice: str | None = Field(
        description="What to know before looking at changes: another browser drew the baselines."
    )
    url: str = Field(description="The run's page in the dashboard.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    seconds_left: int | None = Field(
        description="How long it will take at the pace so far; null before the first snapshot is done, and after the last."
    )
    counts: Counts


class RunPage(Page[RunOut]):
    """One page of a list."""


class RunQuery(PageQuery):
    """Which runs to list."""

    project_id: str | None = Field(
        None, max_length=100, description="Only runs of this project, by ID or slug."
    )
    branch: str | None = Field(None, max_length=255, description="Only runs of this branch.")
    status: RunStatus | None = Field(None, description="Only runs of this status.")


class CancelledOut(Shape):
    """How many runs were cancelled."""

    cancelled: int
