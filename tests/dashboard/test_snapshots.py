"""/snapshots/<id>: its images and decisions."""

from __future__ import annotations

from server.database import writing
from server.images import name_of
from server.models import AuditEvent, Image, Run, Snapshot
from server.vision import embedded
from tests.dashboard.conftest import Site, picture


def test_images_are_those_of_the_snapshot_and_may_be_kept(site: Site) -> None:
    snapshot = site.snapshots(site.changed(1))[0]
    visitor = site.visit()
    for kind, png in (
        ("actual", picture("white", "red")),
        ("baseline", picture("white")),
        ("difference", picture("#cccccc", "magenta")),
    ):
        answer = visitor.get(f"/snapshots/{snapshot.id}/{kind}.png")
        assert answer.data == png
        assert answer.content_type == "image/png"
        assert "private" in answer.headers["Cache-Control"]
        assert "immutable" in answer.headers["Cache-Control"]
        assert "Set-Cookie" not in answer.headers
        again = visitor.get(
            f"/snapshots/{snapshot.id}/{kind}.png", headers={"If-None-Match": answer.headers["ETag"]}
        )
        assert again.status_code == 304


def test_an_image_that_is_not_there_or_not_ours_is_a_404(site: Site) -> None:
    snapshot = site.snapshots(site.run({"Home": "white"}))[0]
    assert site.visit().get(f"/snapshots/{snapshot.id}/baseline.png").status_code == 404
    assert site.visit().get(f"/snapshots/{snapshot.id}/thumb.png").status_code == 404
    assert site.visit(site.stranger).get(f"/snapshots/{snapshot.id}/actual.png").status_code == 404
    assert site.anonymous().get(f"/snapshots/{snapshot.id}/actual.png").status_code == 303


def test_the_list_gets_the_small_picture_of_a_change_and_the_image_of_what_has_none(site: Site) -> None:
    changed, same = site.snapshots(site.changed(1))
    visitor, path = site.visit(), f"/snapshots/{changed.id}/listed.png"
    assert visitor.get(path).data == picture("white", "red")  # a difference from before there were any
    small = picture("blue")
    with site.app.app_context(), writing() as session:
        drawn = embedded.put(picture("#cccccc"), small)
        session.add(Image(sha256=site.store.put(drawn), width=160, height=120, size_bytes=len(drawn)))
        session.flush()
        session.get_one(Snapshot, changed.id).difference = name_of(drawn)
    answer = visitor.get(path)
    assert (answer.data, answer.content_type) == (small, "image/png")
    assert "private" in answer.headers["Cache-Control"]
    assert visitor.get(path, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    assert visitor.get(f"/snapshots/{same.id}/listed.png").data == picture("white")
    assert site.visit(site.stranger).get(path).status_code == 404


def test_approving_goes_on_to_the_next_change_and_the_last_one_passes_the_run(site: Site) -> None:
    run = site.changed(2)
    first, second, _ = site.snapshots(run)
    visitor = site.visit(site.editor)
    answer = visitor.send(f"/snapshots/{first.id}/approve")
    assert answer.location == f"/runs/{run}?snapshot={second.id}"
    assert site.get(Run, run).status == "FAILED"
    answer = visitor.send(f"/snapshots/{second.id}/approve")
    assert answer.location == f"/runs/{run}?snapshot={second.id}"
    assert site.get(Run, run).status == "PASSED"
    assert site.get(Snapshot, first.id).reviewed_by == "ed@acme.example"


def test_the_last_change_is_followed_by_the_first_that_is_open(site: Site) -> None:
    run = site.changed(3)
    first, second, third, _ = site.snapshots(run)
    answer = site.visit().send(f"/snapshots/{second.id}/approve")
    assert answer.location == f"/runs/{run}?snapshot={third.id}"
    answer = site.visit().send(f"/snapshots/{third.id}/approve", {"show": "review"})
    assert answer.location == f"/runs/{run}?snapshot={first.id}&show=review"


def test_rejecting_keeps_the_reason_and_the_address(site: Site) -> None:
    run = site.changed(1)
    snapshot = site.snapshots(run)[0]
    site.visit().send(f"/snapshots/{snapshot.id}/reject", {"reason": " The button must stay red. "})
    decided = site.get(Snapshot, snapshot.id)
    assert (decided.review, decided.review_reason) == ("REJECTED", "The button must stay red.")
    with site.app.app_context():
        event = AuditEvent.query.filter_by(action="BASELINE_REJECT").one()
        assert (event.actor_name, event.address) == ("ada@acme.example", "127.0.0.1")
    assert "The button must stay red." in site.visit().page(f"/runs/{run}")
