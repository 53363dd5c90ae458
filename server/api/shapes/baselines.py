"""Baselines: how a variant shall look."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from server.api.shapes.base import Page, PageQuery, Shape
from server.api.shapes.snapshots import BaselineSource


class BaselineOut(Shape):
    """How a variant (test, viewport and browser) shall look on a branch."""

    id: str
    project_id: str
    branch: str
    test: str
    viewport: str
    browser: str
    sha256: str
    width: int
    height: int
    commit_sha: str | None
    run_id: str
    source: BaselineSource = Field(
        description="First picture on the default branch, approved by a person, an approval that arrived from "
        "another branch, approved by a branch pattern, or an older one restored."
    )
    approved_by: str | None
    approved_at: datetime
    created_at: datetime = Field(description="The same as `approvedAt`.")
    current: bool = Field(description="Whether snapshots of the branch are compared with it now.")
    ended_at: datetime | None = Field(description="Since when it counts no more, whatever else there is.")
    ended_why: Literal["TAKEN_BACK", "EXPIRED"] | None
    image_url: str


class BaselinePage(Page[BaselineOut]):
    """One page of a list."""


class BaselineQuery(PageQuery):
    """Which branch's baselines to list; the project's default branch unless named."""

    branch: str | None = Field(None, max_length=255, description="The project's default branch unless named.")
