"""What drew a picture: a run whose browser is another than the baselines' says so before anybody looks."""

from __future__ import annotations

import pytest

from server.database import db
from server.models import Run, Snapshot
from server.runs import claims, judge, lifecycle
from server.runs.identity import difference
from server.vision import page as vision
from tests.conftest import World
from tests.runs.history import History, picture

OLD = {
    "name": "chromium-headless-shell", "version": "156.0.8078.79", "platform": "linux-x86_64", "flags": "f", "fonts": "a"
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, None),
        ({"version": "157.0.1.2"}, "Captured with Chromium (headless shell) 157, the baselines with 156: expect"),
        ({"version": "156.0.8078.80"}, "Chromium (headless shell) 156.0.8078.80, the baselines with 156.0.8078.79"),
        ({"name": "chromium"}, "with Chromium 156.0.8078.79, the baselines with Chromium (headless shell) 156.0"),
        ({"platform": "linux-aarch64"}, "Captured on linux-aarch64, the baselines on linux-x86_64: expect"),
        ({"fonts": "b"}, "Other fonts are installed than when the baselines were captured: expect"),
        ({"flags": "g"}, "Captured with other settings of the browser than the baselines: expect"),
    ],
)  # fmt: skip
def test_the_difference_is_said_in_one_sentence(changes: dict[str, str], says: str | None) -> None:
    said = difference({**OLD, **changes}, OLD)
    assert said == says if says is None else says in said
    assert said is None or said.endswith("expect small differences everywhere.")


def test_what_an_old_baseline_does_not_know_is_no_difference() -> None:
    assert difference(OLD, {name: OLD[name] for name in OLD if name != "fonts"}) is None


def run_with(history: History, identity: dict[str, str], evidence: dict[str, object] | None = None) -> Run:
    run = history.begin("main")
    claim = claims.claim("w")
    (job,) = judge.jobs(claim.snapshot_ids)
    png = picture("white")
    history.store.put(png)
    image = vision.Image(png, "-", 20, 10, (), 1, (), None, 200, 0.1, evidence)
    lifecycle.record("w", job.snapshot_id, judge.judge(job, image, identity, history.store, 100))
    claims.finish("w", claim)
    db.session.expire_all()
    return db.session.get_one(Run, run.id)


def test_a_run_tells_when_something_else_drew_its_baselines(world: World) -> None:
    history = History(world)
    assert run_with(history, OLD).notice is None
    assert run_with(history, OLD).notice is None
    run = run_with(history, {**OLD, "version": "157.0.1.2"})
    told = world.api("run:read").get(f"/runs/{run.id}").json["notice"]
    assert told.startswith("Captured with Chromium (headless shell) 157, the baselines with 156")


def test_what_the_browser_reported_is_in_the_snapshot_and_not_in_lists(world: World) -> None:
    evidence = {
        "httpStatus": 200,
        "redirects": [{"status": 301, "from": "http://a/", "to": "http://b/"}],
        "failedRequests": [{"url": "http://a/x", "reason": "HTTP 404"}],
        "consoleErrors": ["oh"],
        "pageErrors": [],
        "timingMs": {"navigation": 12},
    }
    run = run_with(History(world), OLD, evidence)
    api = world.api("run:read")
    (listed,) = api.get(f"/runs/{run.id}/snapshots").json["items"]
    assert "evidence" not in listed
    assert api.get(f"/snapshots/{listed['id']}").json["evidence"] == evidence
    db.session.query(Snapshot).update({"evidence": None})
    db.session.commit()
    assert api.get(f"/snapshots/{listed['id']}").json["evidence"] is None
