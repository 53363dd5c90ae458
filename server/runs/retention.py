"""Retention: images and runs that are past their days are removed, and with them files that nothing names.

Before that, baselines of branches that are no longer used end (`baselines.stale`), so that their images can go.
What is kept is in `kept`. Everything goes in small transactions, so that nobody waits: workers, people and
heartbeats come in between.

A worker that is about to store an image and a collection that is about to remove it meet at the image's row. The
worker first writes when the image is used (`reserve`) and then the file; `_remove` locks the row, looks once more,
and removes the file before it lets go. So whoever comes second sees what the first one did.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import TypeVar

from sqlalchemy import ColumnElement, delete, func, inspect, or_, select, tuple_, update

from server.access import audit
from server.access.audit import SYSTEM, Actor
from server.config import Settings
from server.database import Base, add_if_new, clock_s, db, end_reading, execute, now, writing
from server.images import ImageStore, StoredFile
from server.models import (
    Baseline,
    Chunk,
    Idempotency,
    Image,
    Invitation,
    LimitWindow,
    LoginSession,
    Organization,
    PasswordReset,
    Project,
    Run,
    Snapshot,
    SuiteVersion,
)
from server.runs import baselines, claims
from server.runs.kept import UNREVIEWED_CHANGE, Kept
from server.runs.trigger import IDEMPOTENCY_LASTS

log = logging.getLogger("retestr.retention")
T = TypeVar("T")

EVERY_S = 86_400.0
MANY_FILES, MOST = 100, 0.5
"""Where more than MOST of so many files or more are orphans, the database is more likely wrong than the store."""
ROWS_AT_ONCE = 500
FILES_AT_ONCE = 100
BRANCHES_TOLD = 50
IMAGES_READ_AT_ONCE = 1000
INVITATIONS_LAST_ON = timedelta(days=30)
"""People who open an old link are told that it is over for so long."""


@dataclass
class Report:
    """What a collection removed, or in a dry run would remove."""

    images: int = 0
    runs: int = 0
    orphans: int = 0  # files that no row named
    spared: int = 0  # such files that stay, because the database may be the wrong one
    freed_bytes: int = 0
    expired: int = 0  # rows: old sessions, links, idempotency keys, rate limits
    strangers: int = 0  # files in the store that are none of ours; they stay
    baselines: int = 0  # ended, because their branch is no longer used

    def as_json(self) -> dict[str, int]:
        """The counts as JSON members."""
        return {
            "images": self.images, "orphans": self.orphans, "spared": self.spared, "runs": self.runs,
            "expired": self.expired, "freedBytes": self.freed_bytes, "strangers": self.strangers,
            "baselines": self.baselines,
        }  # fmt: skip


def daily(store: ImageStore, settings: Settings) -> Report | None:
    """Collects if the last time is a day ago; one process of all does. None where it is not due.

    A new database waits a day for its first time: it may be a wrong one, beside a store that is full.
    """
    with writing() as session:
        if not claims.due(session, "retention", EVERY_S, first_in_s=EVERY_S):
            return None
    report = collect(store, settings, unasked=True)
    log.info(
        "retention removed %s images, %s runs and %s orphaned files: %s bytes; %s baselines expired",
        report.images, report.runs, report.orphans, report.freed_bytes, report.baselines,
    )  # fmt: skip
    if report.spared:
        log.warning(
            "retention left %s files in the image store that this database names nowhere: it names few of the store's "
            "files, or none. Check that RETESTR_DATABASE_URL, RETESTR_DATA and RETESTR_STORAGE_URL belong together; "
            "if they do, `retestr gc` removes those files",
            report.spared,
        )
    return report


def collect(
    store: ImageStore,
    settings: Settings,
    actor: Actor = SYSTEM,
    *,
    dry_run: bool = False,
    unasked: bool = False,
) -> Report:
    """Removes what is past its days and tells what that was; a dry run only tells.

    Files that no row names stay where the database knows no organisation, and, `unasked`, where they are most files.
    """
    kept, report = Kept(settings, now()), Report()
    report.expired = _expired(kept, dry_run)
    report.baselines = _end_stale_baselines(actor, dry_run)
    if dry_run:
        report.runs = _count(
            Run, kept.run_over(), ~_baselines_of(Run, kept.baseline_stays()), ~kept.shows_use()
        )
    else:
        _forget_images(kept)
        report.runs = _remove_runs(kept, actor)
        _delete(SuiteVersion, SuiteVersion.used_at < kept.grace_ends, ~_runs_from(SuiteVersion))
    _collect_orphans(store, kept, report, dry_run, unasked)
    _collect_images(store, kept, report, dry_run)
    return report


def reserve(image: Image) -> None:
    """Notes that an image is about to be stored, so that no collection takes it within a day; then store it."""
    values = {
        "width": image.width, "height": image.height, "size_bytes": image.size_bytes, "used_at": now(),
        "removed_at": None,
    }  # fmt: skip
    with writing() as session:
        if not execute(session, update(Image).where(Image.sha256 == image.sha256).values(values)):
            add_if_new(session, Image, sha256=image.sha256, created_at=now(), **values)


# ------------------------------------------------------------------------------------------- rows


def _end_stale_baselines(actor: Actor, dry_run: bool) -> int:
    """Ends the baselines of branches that are no longer used; returns how many. Rows and images go in their time."""
    count = 0
    for project in db.session.scalars(select(Project)).all():
        stale = baselines.stale(project)
        count += len(stale)
        for batch in [] if dry_run else _batches(stale, ROWS_AT_ONCE):
            with writing() as session:
                these = Baseline.id.in_([baseline_id for baseline_id, _ in batch])
                execute(session, update(Baseline).where(these).values(ended_at=now(), ended_why="EXPIRED"))
        if stale and not dry_run:
            branches = sorted({branch for _, branch in stale})
            with writing():
                audit.record(
                    project.organization_id,
                    actor,
                    "BASELINES_EXPIRE",
                    ("project", project.id, project.slug),
                    ended=len(stale),
                    branches=branches[:BRANCHES_TOLD],
                )
    return count


def _forget_images(kept: Kept) -> None:
    """Has snapshots past their days name no image any more, but for changes that nobody has reviewed."""
    has_image = or_(Snapshot.image.is_not(None), Snapshot.difference.is_not(None))
    over = select(Run.id).where(kept.images_over(), Run.images_removed_at.is_(None))
    for run_id in db.session.scalars(over).all():
        named = select(Snapshot.id).where(Snapshot.run_id == run_id, has_image)
        for batch in _batches(db.session.scalars(named.where(~UNREVIEWED_CHANGE)).all(), ROWS_AT_ONCE):
            with writing() as session:
                gone = update(Snapshot).where(Snapshot.id.in_(batch), ~UNREVIEWED_CHANGE)
                execute(session, gone.values(image=None, difference=None))
        with writing() as session:
            emptied = update(Run).where(Run.id == run_id, ~named.exists())
            execute(session, emptied.values(images_removed_at=now()))


def _remove_runs(kept: Kept, actor: Actor) -> int:
    """Removes what runs past their days consist of, and their own rows where no baseline needs them to be there.

    First all snapshots, then baselines, then runs: so no row names one that is gone. Returns how many runs.
    """
    for run_id in db.session.scalars(select(Run.id).where(kept.run_over())).all():
        for part in (Snapshot, Chunk, Idempotency):
            _delete(part, part.run_id == run_id)
    of_old_run = select(Run.id).where(Run.id == Baseline.run_id, kept.run_over()).exists()
    _delete(Baseline, of_old_run, ~kept.baseline_stays())
    empty = select(Run.id).where(kept.run_over(), ~_baselines_of(Run), ~kept.shows_use())
    removed = 0
    for batch in _batches(db.session.scalars(empty).all(), ROWS_AT_ONCE):
        with writing() as session:
            gone = session.scalars(delete(Run).where(Run.id.in_(batch)).returning(Run.project_id)).all()
            for project_id, count in Counter(gone).items():
                project = session.get_one(Project, project_id)
                target = ("project", project.id, project.slug)
                audit.record(project.organization_id, actor, "RUNS_EXPIRE", target, removed=count)
        removed += len(gone)
    return removed


def _baselines_of(run: type[Run], *which: ColumnElement[bool]) -> ColumnElement[bool]:
    return select(Baseline.id).where(Baseline.run_id == run.id, *which).exists()


def _runs_from(suite: type[SuiteVersion]) -> ColumnElement[bool]:
    same = Run.project_id == suite.project_id, Run.suite_sha256 == suite.sha256
    return select(Run.id).where(*same).exists()


def _expired(kept: Kept, dry_run: bool) -> int:
    """Removes rows that nobody asks for any more and that would only grow; returns how many."""
    at = now()
    over: list[tuple[type[Base], ColumnElement[bool]]] = [
        (Idempotency, Idempotency.created_at < at - IDEMPOTENCY_LASTS),
        (LoginSession, LoginSession.expires_at < at),
        (PasswordReset, PasswordReset.expires_at < at),
        (Invitation, Invitation.expires_at < at - INVITATIONS_LAST_ON),
        (LimitWindow, LimitWindow.ends_s < clock_s()),
    ]
    return sum(_count(table, which) if dry_run else _delete(table, which) for table, which in over)


def _count(table: type[Base], *which: ColumnElement[bool]) -> int:
    return db.session.scalar(select(func.count()).select_from(table).where(*which)) or 0


def _delete(table: type[Base], *which: ColumnElement[bool]) -> int:
    """Deletes such rows, a batch in each transaction; returns how many."""
    key = inspect(table).primary_key
    names, removed = db.session.execute(select(*key).where(*which)).all(), 0
    for batch in _batches(names, ROWS_AT_ONCE):
        with writing() as session:
            these = tuple_(*key).in_([tuple(name) for name in batch])
            removed += execute(session, delete(table).where(these, *which))
    return removed


# ------------------------------------------------------------------------------------------- files


def _collect_images(store: ImageStore, kept: Kept, report: Report, dry_run: bool) -> None:
    """Removes the images that nothing shows any more."""
    last = ""
    stored = select(Image.sha256).where(Image.used_at < kept.grace_ends, Image.removed_at.is_(None))
    while page := db.session.scalars(
        stored.where(Image.sha256 > last).order_by(Image.sha256).limit(IMAGES_READ_AT_ONCE)
    ).all():
        last = page[-1]
        for batch in _batches(page, FILES_AT_ONCE):
            sizes = _unused(kept, batch) if dry_run else _remove(store, kept, batch)
            report.images += len(sizes)
            report.freed_bytes += sum(sizes.values())
        end_reading()
    if not dry_run:
        _delete(Image, Image.removed_at.is_not(None), ~_named())


def _unused(kept: Kept, names: Sequence[str], *, lock: bool = False) -> dict[str, int]:
    """Those of the images that nothing shows, with their bytes."""
    unused = select(Image.sha256, Image.size_bytes).where(Image.sha256.in_(names), kept.image_unused())
    if lock:
        unused = unused.with_for_update(skip_locked=True)
    return {row.sha256: row.size_bytes for row in db.session.execute(unused)}


def _remove(store: ImageStore, kept: Kept, names: Sequence[str]) -> dict[str, int]:
    """Removes those of the images that nothing shows, the rows first; returns their bytes.

    Where an old baseline still names one its row stays and tells when it went. If this stops between file and commit,
    a row without a file is left, which the next collection removes and the next `reserve` makes good.
    """
    if not _unused(kept, names):
        return {}
    with writing() as session:
        unused = _unused(kept, names, lock=True)
        these = Image.sha256.in_(list(unused))
        execute(session, update(Image).where(these, _named()).values(removed_at=now()))
        execute(session, delete(Image).where(these, ~_named()))
        store.delete(list(unused))
    return unused


def _named() -> ColumnElement[bool]:
    """An `Image` that some row refers to."""
    return or_(
        select(Baseline.id).where(Baseline.image == Image.sha256).exists(),
        select(Snapshot.id).where(Snapshot.image == Image.sha256).exists(),
        select(Snapshot.id).where(Snapshot.difference == Image.sha256).exists(),
    )


def _collect_orphans(
    store: ImageStore, kept: Kept, report: Report, dry_run: bool, mind_the_many: bool
) -> None:
    """Removes files of ours that no row names: what a process left that was killed, or a database restored.

    They all stay where this database may be another one than that which the store belongs to.
    """
    spare = db.session.scalar(select(Organization.id).limit(1)) is None
    if mind_the_many and not spare:
        pages = [(old, len(orphans)) for _, old, orphans in _listed(store, kept)]
        files, lost = sum(old for old, _ in pages), sum(orphans for _, orphans in pages)
        spare = files >= MANY_FILES and lost > MOST * files
    for strangers, _, orphans in _listed(store, kept):
        report.strangers += strangers
        if spare:
            report.spared += len(orphans)
            continue
        for batch in _batches(orphans, FILES_AT_ONCE):
            sizes = (
                {f.name: f.size_bytes for f in batch} if dry_run else _adopt_and_remove(store, kept, batch)
            )
            report.orphans += len(sizes)
            report.freed_bytes += sum(sizes.values())


def _listed(store: ImageStore, kept: Kept) -> Iterator[tuple[int, int, list[StoredFile]]]:
    """What lies in the store, page by page: how many strangers, how many old files of ours, those that no row names."""
    for page in store.files():
        old = {file.name: file for file in page if file.name and file.modified_at < kept.grace_ends}
        known = set(db.session.scalars(select(Image.sha256).where(Image.sha256.in_(list(old)))))
        yield (
            sum(file.name is None for file in page),
            len(old),
            [file for name, file in old.items() if name not in known],
        )
        end_reading()  # listing a bucket takes its time


def _adopt_and_remove(store: ImageStore, kept: Kept, orphans: Sequence[StoredFile]) -> dict[str, int]:
    """Gives orphaned files rows, for a worker that is storing the same image to wait at, and removes both."""
    with writing() as session:
        for file in orphans:
            add_if_new(
                session, Image, sha256=file.name, width=0, height=0, size_bytes=file.size_bytes,
                created_at=file.modified_at, used_at=file.modified_at,
            )  # fmt: skip
        return _remove(store, kept, [file.name for file in orphans if file.name])


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
