"""Plays runs without a browser, and lets days go by: rows and files are made to look older."""

from __future__ import annotations

import io
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from PIL import Image as Picture
from sqlalchemy import select

from server.access.audit import CLI
from server.database import db, writing
from server.images import ImageMissing, name_of, open_store
from server.models import (
    Baseline,
    Idempotency,
    Image,
    Project,
    Run,
    Snapshot,
)
from server.runs import claims, judge, lifecycle, retention, review, trigger
from server.runs.retention import Report
from server.runs.trigger import Trigger
from server.vision import page as vision
from tests.conftest import World


def picture(shade: int) -> bytes:
    """A PNG that no other shade has."""
    file = io.BytesIO()
    Picture.new("RGB", (20, 10), (shade * 97 % 256, shade * 61 % 256, shade * 151 % 256)).save(file, "PNG")
    return file.getvalue()


class Past:
    """Plays runs of pages that are one plain colour each, and lets days go by."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.settings = world.app.extensions["retestr"]
        self.store = open_store(self.settings.storage)
        self.folder = Path(self.settings.storage)

    def run(
        self, *shades: int, branch: str = "main", project: Project | None = None, key: str | None = None
    ) -> str:
        """A run that ended just now, one test for each shade; returns its ID."""
        tests = "".join(f"  - {{name: t{n}, path: /{n}}}\n" for n in range(len(shades)))
        suite = f"baseUrl: http://127.0.0.1:9\ntests:\n{tests}"
        asked = Trigger(branch, suite=suite)
        run, _ = trigger.trigger(project or self.world.shop, asked, CLI, 1000, key)
        for claim in iter(lambda: claims.claim("w"), None):
            for job in judge.jobs(claim.snapshot_ids):
                png = picture(shades[int(job.shot.page.url.rsplit("/", 1)[1])])
                image = vision.Image(png, name_of(png), 20, 10, (), 1, (), None, 200, 0.1)
                outcome = judge.judge(job, image, {"name": "chromium"}, self.store, 100)
                assert lifecycle.record("w", job.snapshot_id, outcome)
            claims.finish("w", claim)
        return run.id

    def snapshots(self, run_id: str) -> list[Snapshot]:
        db.session.expire_all()
        query = select(Snapshot).where(Snapshot.run_id == run_id).order_by(Snapshot.position)
        return list(db.session.scalars(query))

    def approve(self, run_id: str) -> None:
        review.review_run(db.session.get_one(Run, run_id), "APPROVED", CLI)

    def pass_days(self, days: float) -> None:
        """Makes everything so much older."""
        gone = timedelta(days=days)
        with writing() as session:
            for table, names in (
                (Run, ("created_at", "finished_at")),
                (Image, ("created_at", "used_at")),
                (Baseline, ("created_at", "ended_at")),
                (Idempotency, ("created_at",)),
            ):
                for row in session.scalars(select(table)):
                    for name in names:
                        if (at := getattr(row, name)) is not None:
                            setattr(row, name, at - gone)
        for file in self.folder.rglob("*.png"):
            os.utime(file, (file.stat().st_mtime - days * 86_400,) * 2)
        db.session.expire_all()

    def collect(self, **how: Any) -> Report:
        report = retention.collect(self.store, self.settings, **how)
        db.session.expire_all()
        return report

    def has(self, name: str | None) -> bool:
        try:
            return name is not None and bool(self.store.get(name))
        except ImageMissing:
            return False

    def disk(self) -> tuple[int, int]:
        """How many images lie in the folder, and their bytes."""
        sizes = [file.stat().st_size for file in self.folder.rglob("*.png")]
        return len(sizes), sum(sizes)


def everything() -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables."""
    return {
        name: [tuple(row) for row in db.session.execute(select(table).order_by(*table.primary_key))]
        for name, table in db.metadata.tables.items()
    }


def picture_name(shade: int) -> str:
    return name_of(picture(shade))
