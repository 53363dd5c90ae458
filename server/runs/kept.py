"""What retention keeps and for how long: each project's days, and the rules as conditions on rows.

Removing the rest is in `retention`. A dry run and a real one ask the same conditions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, false, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, aliased

from server.config import Settings
from server.database import db
from server.models import Baseline, Image, Project, Run, Snapshot
from server.runs.baselines import STALE_AFTER
from server.runs.lifecycle import UNFINISHED

FAILING = ("FAILED", "ERROR")
JUDGED = ("UNCHANGED", "CHANGED", "NEW")
GRACE = timedelta(days=1)
"""Whatever a comparison under way may refer to is younger than this."""
UNREVIEWED_CHANGE = and_(Snapshot.status == "CHANGED", Snapshot.review == "UNREVIEWED")
MOST_DAYS = 36_500


@dataclass(frozen=True)
class Days:
    """For how many days a project keeps what; 0: for ever."""

    passing: int
    failing: int
    runs: int


def days_of(project: Project, settings: Settings) -> Days:
    """A project's own days, else the settings'."""

    def own(value: int | None, default: int) -> int:
        return default if value is None else value

    return Days(
        own(project.keep_passing_days, settings.keep_passing_days),
        own(project.keep_failing_days, settings.keep_failing_days),
        own(project.keep_runs_days, settings.keep_runs_days),
    )


def image_removed(snapshot: Snapshot) -> bool:
    """Whether a snapshot had an image that retention has taken."""
    return snapshot.status in JUDGED and snapshot.image is None


def why_removed(run: Run, settings: Settings) -> str:
    """Why a run's image is gone, for people."""
    days, failing = days_of(run.project, settings), run.status in FAILING
    kept = days.failing if failing else days.passing
    words = "1 day" if kept == 1 else f"{kept} days" if kept else "ever"
    return (
        f"Retention removed this image: {run.project.name} keeps images of {'failing' if failing else 'passing'} "
        f"runs for {words}."
    )


class Kept:
    """The rules at one moment, as conditions on rows."""

    def __init__(self, settings: Settings, at: datetime) -> None:
        self._at = at
        self.grace_ends = at - GRACE
        self._passing = self._limits(Project.keep_passing_days, settings.keep_passing_days)
        self._failing = self._limits(Project.keep_failing_days, settings.keep_failing_days)
        self._runs = self._limits(Project.keep_runs_days, settings.keep_runs_days)

    def _limits(
        self, own: InstrumentedAttribute[int | None], default: int
    ) -> list[tuple[ColumnElement[int], int, datetime]]:
        """Each number of days that some project has, as (its column, the days, the moment that is so long ago)."""
        days = func.coalesce(own, default)
        return [
            (days, number, self._at - timedelta(days=min(number, MOST_DAYS)))
            for number in db.session.scalars(select(days).distinct())
            if number
        ]

    def run_over(self, run: type[Run] = Run) -> ColumnElement[bool]:
        """A run that is past the days of runs."""
        return and_(*_is_finished(run), _past(run, self._runs))

    def shows_use(self) -> ColumnElement[bool]:
        """A run that keeps baselines from expiring: of their branch, or based on it (`baselines.stale`)."""
        kept_by_it = (
            Baseline.project_id == Run.project_id,
            Baseline.branch.in_((Run.branch, Run.base_branch)),
            Baseline.branch != Project.default_branch,
            Baseline.ended_at.is_(None),
        )
        of_branch = select(Baseline.id).join(Project, Project.id == Baseline.project_id).where(*kept_by_it)
        return and_(Run.created_at >= self._at - STALE_AFTER, of_branch.exists())

    def images_over(self, run: type[Run] = Run) -> ColumnElement[bool]:
        """A run that is past the days of its images."""
        failing = run.status.in_(FAILING)
        return and_(
            *_is_finished(run),
            or_(
                and_(failing, _past(run, self._failing)),
                and_(~failing, _past(run, self._passing)),
                _past(run, self._runs),
            ),
        )

    def _shown(self, which: ColumnElement[bool]) -> ColumnElement[bool]:
        """There is such a snapshot that shows its images: of a young run, or a change that nobody has reviewed."""
        shows = or_(~self.images_over(), and_(UNREVIEWED_CHANGE, ~self.run_over()))
        return select(Snapshot.id).join(Run, Run.id == Snapshot.run_id).where(which, shows).exists()

    def superseded(self) -> ColumnElement[bool]:
        """A `Baseline` that ended, or that another has replaced, so long ago that nothing is compared with it."""
        newer = aliased(Baseline)
        same = (
            getattr(newer, name) == getattr(Baseline, name)
            for name in ("project_id", "branch", "test", "viewport", "browser")
        )
        later = or_(
            newer.run_number > Baseline.run_number,
            and_(newer.run_number == Baseline.run_number, newer.id > Baseline.id),
        )
        stands = newer.ended_at.is_(None)
        return or_(
            and_(Baseline.ended_at.is_not(None), Baseline.ended_at < self.grace_ends),
            select(newer.id).where(*same, later, stands, newer.created_at < self.grace_ends).exists(),
        )

    def baseline_stays(self) -> ColumnElement[bool]:
        """A `Baseline` whose row is needed when its run is over: it is current, or a younger run names it."""
        snapshot, run = aliased(Snapshot), aliased(Run)
        named = (
            select(snapshot.id)
            .join(run, run.id == snapshot.run_id)
            .where(snapshot.baseline_id == Baseline.id, ~self.run_over(run))
        )
        return or_(~self.superseded(), named.exists())

    def image_unused(self) -> ColumnElement[bool]:
        """An `Image` that has a file which nothing shows or is compared with, and was not stored just now."""
        baseline_run = aliased(Run)
        by_baseline = (
            select(Baseline.id)
            .join(baseline_run, baseline_run.id == Baseline.run_id)
            .where(
                Baseline.image == Image.sha256,
                or_(
                    ~self.superseded(),
                    ~self.images_over(baseline_run),
                    self._shown(Snapshot.baseline_id == Baseline.id),
                ),
            )
        )
        return and_(
            Image.removed_at.is_(None),
            Image.used_at < self.grace_ends,
            ~self._shown(Snapshot.image == Image.sha256),
            ~self._shown(Snapshot.difference == Image.sha256),
            ~by_baseline.exists(),
        )


def _is_finished(run: type[Run]) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return run.status.not_in(UNFINISHED), run.finished_at.is_not(None)


def _past(run: type[Run], limits: list[tuple[ColumnElement[int], int, datetime]]) -> ColumnElement[bool]:
    """A run that ended before its project's moment."""
    return or_(
        false(),
        *(
            and_(run.project_id.in_(select(Project.id).where(days == number)), run.finished_at < moment)
            for days, number, moment in limits
        ),
    )
