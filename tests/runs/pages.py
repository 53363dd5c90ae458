"""Plays runs of several pages without a browser."""

from __future__ import annotations

import io

from PIL import Image as Picture
from sqlalchemy import select

from server.access.audit import CLI
from server.database import db
from server.models import Run, Snapshot
from server.runs import claims, judge, lifecycle, trigger
from server.runs.trigger import Trigger
from server.vision import page as vision
from tests.conftest import World
from tests.runs.history import History


class Pages:
    """Plays runs of several pages, each told by where its change stands: None, or (x, y, colour)."""

    def __init__(self, world: World) -> None:
        self.history = History(world)

    def run(self, branch: str, **pages: tuple[int, int, str] | None) -> Run:
        tests = "".join(f"  - {{name: {name}, path: /{name}}}\n" for name in pages)
        suite = f"baseUrl: http://127.0.0.1:9\nretries: 0\ntests:\n{tests}"
        run, _ = trigger.trigger(self.history.world.shop, Trigger(branch, suite=suite), CLI, 100)
        claim = claims.claim("w")
        for job in judge.jobs(claim.snapshot_ids):
            png = _page(job.shot.test, pages[job.shot.test])
            store = self.history.store
            image = vision.Image(png, store.put(png), 200, 120, (), 1, (), None, 200, 0.1)
            assert lifecycle.record("w", job.snapshot_id, judge.judge(job, image, {"name": "x"}, store, 100))
        claims.finish("w", claim)
        return self.fresh(run)

    def fresh(self, run: Run) -> Run:
        db.session.expire_all()
        return db.session.get_one(Run, run.id)

    def reviews(self, run: Run) -> dict[str, str]:
        db.session.expire_all()
        rows = db.session.scalars(select(Snapshot).where(Snapshot.run_id == run.id))
        return {row.test: row.review for row in rows}

    def of(self, run: Run, test: str) -> Snapshot:
        return db.session.scalars(
            select(Snapshot).where(Snapshot.run_id == run.id, Snapshot.test == test)
        ).one()


def _page(test: str, change: tuple[int, int, str] | None) -> bytes:
    picture = Picture.new("RGB", (200, 120), "white")
    picture.paste("#334455", (0, 100, 10 + len(test), 120))  # every page is another
    if change is not None:
        x, y, colour = change
        picture.paste(colour, (x, y, x + 30, y + 12))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
