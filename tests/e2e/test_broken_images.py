"""A baseline that cannot be compared with is one error, in words; the other snapshots and the worker are unharmed."""

from __future__ import annotations

import contextlib
import sqlite3
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Server, Site, process_ids, suite_of

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

HEADER = b"IHDR" + struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
HUGE = (
    b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + HEADER + struct.pack(">I", zlib.crc32(HEADER)) + bytes(40)
)
SPOILED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut.html": (lambda png: png[: len(png) // 2], "damaged"),
    "text.html": (lambda png: b"hello, I am a text" * 10, "not a PNG"),
    "huge.html": (lambda png: HUGE, "too large: 60000x60000"),
    "gone.html": (lambda png: b"", "empty"),
}


def test_a_broken_baseline_is_told_and_harms_nothing_else(
    make_server: Callable[..., Server], site: Site
) -> None:
    server = make_server(RETESTR_CAPTURE_ALLOW=site.url.removeprefix("http://"))
    pages = ("sound.html", *SPOILED)
    for page in pages:
        site.page(page, f"<h1>{page}</h1>")
    project = server.set_up(suite_of(site.url, *pages))
    server.start()
    assert server.finished(server.trigger(project))["counts"]["new"] == len(pages)
    workers = process_ids(server, "server.worker")

    data = Path(server.environment["RETESTR_DATA"])
    with contextlib.closing(sqlite3.connect(data / "retestr.db")) as database:
        images = dict(database.execute("SELECT test, image FROM baseline"))
    for page, (spoil, _) in SPOILED.items():
        file = data / "images" / images[page][:2] / f"{images[page]}.png"
        file.write_bytes(spoil(file.read_bytes()))
        site.page(page, f"<h1>{page}, changed</h1>")  # or its hash alone would tell that nothing changed
    run = server.finished(server.trigger(project))

    assert (run["status"], run["counts"]["unchanged"], run["counts"]["error"]) == ("ERROR", 1, len(SPOILED))
    found = {snapshot["test"]: snapshot for snapshot in server.snapshots(run["id"])}
    for page, (_, words) in SPOILED.items():
        assert words in found[page]["error"]["message"], found[page]
    assert server.finished(server.trigger(project, tests=["sound.html"]))["status"] == "PASSED"
    assert process_ids(server, "server.worker") == workers
