"""Projects and their secrets."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from server.api.shapes.base import Asked, Page, Shape
from server.api.texts import NO_NUL, Branch, KeepDays, Name, Origin, SuiteText


class ProjectIn(Asked):
    """A project to create."""

    name: Name = Field(description="What people call it.")
    slug: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=80)] | None = (
        Field(None, description="Its name in addresses and workflows; made from `name` unless given.")
    )
    default_branch: Branch = Field("main", description="The branch whose pictures count by themselves.")
    suite: SuiteText = Field("", description="The suite, as YAML text.")


class ProjectPatch(Asked):
    """What to change of a project; what is left out stays."""

    name: Name | None = Field(None, description="What people call it.")
    default_branch: Branch | None = Field(None, description="The branch whose pictures count by themselves.")
    keep_passing_days: KeepDays | None = Field(
        None,
        description="Days that images of passing runs are kept; 0: for ever, null: as the server's settings say.",
    )
    keep_failing_days: KeepDays | None = Field(None, description="The same for images of failing runs.")
    keep_runs_days: KeepDays | None = Field(None, description="The same for runs as a whole.")
    auto_approve: list[Branch] | None = Field(
        None,
        max_length=50,
        description="Changes on branches that one of these patterns fits are approved without a person: `*` stands "
        "for any text, `?` for one character. Never those of forks.",
        examples=[["renovate/*"]],
    )


class ProjectOut(Shape):
    """A project."""

    id: str
    name: str
    slug: str
    default_branch: str
    has_suite: bool
    keep_passing_days: int | None = Field(
        description="Days that images of passing runs are kept; 0: for ever, null: as the server's settings say."
    )
    keep_failing_days: int | None = Field(description="The same for images of failing runs.")
    keep_runs_days: int | None = Field(description="The same for runs as a whole.")
    auto_approve: list[str] = Field(
        description="Branch patterns: changes there are approved without a person."
    )
    url: str
    created_at: datetime
    updated_at: datetime


class ProjectPage(Page[ProjectOut]):
    """One page of a list."""


class SecretIn(Asked):
    """A secret to store."""

    value: str = Field(
        min_length=4, max_length=10_000, pattern=NO_NUL, description="What nobody can read again."
    )
    origins: list[Origin] = Field(
        min_length=1,
        max_length=20,
        description="Where it may be sent: scheme, host and port.",
        examples=[["https://staging.example.com"]],
    )


class SecretOut(Shape):
    """A secret as it is listed: never its value."""

    name: str
    origins: list[str]
    created_by: str
    updated_at: datetime


class SecretPage(Page[SecretOut]):
    """One page of a list."""
