"""Plays runs of one page without a browser: the rules of branches and reviews on the real tables."""

from __future__ import annotations

import io

from PIL import Image as Picture

from server.access.audit import CLI
from server.database import db
from server.images import open_store
from server.models import Run, Snapshot
from server.runs import claims, judge, lifecycle, review, trigger
from server.runs.trigger import Trigger
from server.vision import page as vision
from tests.conftest import World

ONE_TEST = "baseUrl: http://127.0.0.1:9\ntests:\n  - {name: Home, path: /}\n"


def picture(colours: str) -> bytes:
    """A PNG of 20 x 10 px of one colour; of several (`red/blue`), so many of them one above the other."""
    bands, file = colours.split("/"), io.BytesIO()
    image = Picture.new("RGB", (20, 10 * len(bands)))
    for place, colour in enumerate(bands):
        image.paste(colour, (0, 10 * place, 20, 10 * place + 10))
    image.save(file, "PNG")
    return file.getvalue()


class History:
    """Plays runs of a one-test project whose page is a plain colour."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = open_store(world.app.extensions["retestr"].storage)

    def begin(
        self, branch: str, base: str | None = None, commit: str | None = None, suite: str = ONE_TEST
    ) -> Run:
        asked = Trigger(branch, suite=suite, base_branch=base, commit_sha=commit)
        return trigger.trigger(self.world.shop, asked, CLI, 100)[0]

    def finish(self, run: Run, colour: str, moved: tuple[vision.Box, ...] = ()) -> Snapshot:
        claim = next(c for c in iter(lambda: claims.claim("w"), None) if c.run_id == run.id)
        (job,) = judge.jobs(claim.snapshot_ids)
        png = picture(colour)
        height = 10 * (1 + colour.count("/"))
        image = vision.Image(png, self.store.put(png), 20, height, (), 1, moved, None, 200, 0.1)
        outcome = judge.judge(job, image, {"name": "chromium"}, self.store, 100)
        assert lifecycle.record("w", job.snapshot_id, outcome)
        claims.finish("w", claim)
        db.session.expire_all()
        return db.session.get_one(Snapshot, job.snapshot_id)

    def run(
        self,
        branch: str,
        colour: str,
        base: str | None = None,
        suite: str = ONE_TEST,
        moved: tuple[vision.Box, ...] = (),
    ) -> Snapshot:
        return self.finish(self.begin(branch, base, suite=suite), colour, moved)

    def approve(self, snapshot: Snapshot, seen: str = "UNREVIEWED") -> None:
        review.review_snapshot(snapshot, "APPROVED", CLI, seen=seen)

    def reject(self, snapshot: Snapshot, reason: str | None = None, seen: str = "UNREVIEWED") -> None:
        review.review_snapshot(snapshot, "REJECTED", CLI, reason, seen)

    def undo(self, snapshot: Snapshot) -> None:
        review.review_snapshot(snapshot, "UNREVIEWED", CLI, seen=None)


def verdict(snapshot: Snapshot) -> tuple[str, str]:
    return snapshot.run.status, snapshot.status
