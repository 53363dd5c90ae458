"""Images in an S3 bucket: a real S3 protocol server (moto), a real server, worker and browser."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from server.images import ImageMissing, StoreFailed, endpoint_of, name_of, open_store
from tests.e2e.conftest import BIN, Server, Site, make_server, site, suite_of, wait_until
from tests.scale.machines import Bucket

__all__ = ["make_server", "site"]


def test_images_are_kept_listed_and_removed_by_their_content(bucket: Bucket) -> None:
    store = open_store(bucket.url)
    store.check()
    one, two = store.put(b"one"), store.put(b"two")
    assert store.put(b"one") == one == name_of(b"one")
    assert bucket.names() == {f"shop/{name[:2]}/{name}.png" for name in (one, two)}
    assert store.get(one) == b"one"
    assert {file.name for page in store.files() for file in page} == {one, two}

    store.delete([one, name_of(b"never stored")])
    with pytest.raises(ImageMissing):
        store.get(one)
    assert store.get(two) == b"two"


def test_a_thousand_images_are_removed_at_once(bucket: Bucket) -> None:
    store = open_store(bucket.url)
    names = [store.put(str(number).encode()) for number in range(1050)]
    assert sum(len(page) for page in store.files()) == 1050
    store.delete(names)
    assert bucket.names() == set()


def test_a_store_that_is_away_fails_soon_and_by_name(bucket: Bucket) -> None:
    store = open_store(bucket.url)
    name = store.put(b"one")
    bucket.go()
    for use in (lambda: store.get(name), lambda: store.put(b"two"), lambda: store.delete([name])):
        with pytest.raises(StoreFailed):
            use()
    bucket.come()
    assert store.get(name) == b"one"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("s3://bucket?enpoint=https://x", "'enpoint' is not known"),
        ("s3://", "s3://bucket/prefix"),
        ("ftp://bucket", "s3://bucket/prefix"),
    ],
)
def test_an_address_that_cannot_be_is_told(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        open_store(url)


def test_the_endpoint_is_read_from_the_address() -> None:
    assert endpoint_of("s3://b/p?endpoint=http://127.0.0.1:9000&region=eu") == "http://127.0.0.1:9000"
    assert endpoint_of("s3://b/p") == endpoint_of("/var/lib/images") == ""


@pytest.mark.e2e
@pytest.mark.browser
def test_runs_live_from_a_bucket_and_wait_while_it_is_away(
    bucket: Bucket, make_server: Callable[..., Server], site: Site
) -> None:
    for page in ("a.html", "b.html"):
        site.page(page, f"<h1>{page}</h1>")
    server = make_server(
        RETESTR_STORAGE_URL=bucket.url, RETESTR_CAPTURE_ALLOW=site.url.removeprefix("http://")
    )
    project = server.set_up(suite_of(site.url, "a.html", "b.html"))
    server.start()
    assert server.finished(server.trigger(project))["status"] == "PASSED"
    assert len(bucket.names()) == 2
    assert not (server.folder / "data" / "images").exists()

    site.page("a.html", "<h1>another</h1>")
    failed = server.trigger(project)
    assert server.finished(failed)["status"] == "FAILED"
    changed = next(one for one in server.snapshots(failed) if one["status"] == "CHANGED")
    for kind in ("actual", "baseline", "difference"):
        answer = server.api("GET", f"/snapshots/{changed['id']}/{kind}.png")
        assert answer.content.startswith(b"\x89PNG")
        assert "private" in answer.headers["Cache-Control"]
        assert "immutable" in answer.headers["Cache-Control"]

    bucket.go()
    away = server.api("GET", f"/snapshots/{changed['id']}/actual.png")
    assert (away.status_code, away.json()["error"]["code"]) == (503, "store-away")
    assert "Retry-After" in away.headers
    site.page("b.html", "<h1>yet another</h1>")
    waiting = server.trigger(project)
    wait_until(lambda: "store" in server.log().lower(), "the worker has noticed", 30)
    assert server.run(waiting)["status"] in ("PENDING", "RUNNING")
    bucket.come()
    run = server.finished(waiting)
    assert (run["status"], run["counts"]["changed"], run["counts"]["error"]) == ("FAILED", 2, 0)

    done = subprocess.run([BIN / "retestr", "doctor"], env=server.environment, capture_output=True, text=True)
    assert "✔ store: images in s3://" in done.stdout
