"""How quick and how heavy the dashboard's pages are: 1,000,000 runs, one of them with 3,000 snapshots.

Rows as in `list_runs.py`; one run of a project has 3,000 snapshots, a tenth of them changed, and its default branch
3,000 baselines. For each page, through `retestr serve --no-worker` on SQLite: time to first byte (the median of
repeated requests), the page's weight before images (HTML with the style sheets and scripts that it names, as they
are sent), and how long Chromium takes from the click to `load`, with how many images it fetched by then.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import requests
from PIL import Image as Picture
from playwright.sync_api import BrowserContext, sync_playwright
from sqlalchemy import text

from benchmarks import _server
from benchmarks._goals import told
from benchmarks._server import Server, ms, numbered
from benchmarks.list_runs import fill
from server.images import open_store
from server.models import Baseline, Image, Snapshot
from server.vision.browser import find_browser

SNAPSHOTS = 3000
WEIGHT_GOAL = 150_000
REVIEW_GOAL_S = 1.0
REVIEW = f"review, {SNAPSHOTS:,} snapshots"
STATUS = "CASE WHEN n.i % 10 = 3 THEN 'CHANGED' WHEN n.i % 100 = 7 THEN 'NEW' ELSE 'UNCHANGED' END"


class Opened(NamedTuple):
    """What a page took: seconds, bytes as they are sent, images fetched by the time it was loaded."""

    name: str
    first_byte_s: float
    html: int
    weight: int
    load_s: float
    images: int


def kb(size: int) -> str:
    return f"{size / 1000:.0f} kB"


def large_run(server: Server, project: str) -> tuple[str, str]:
    """A run with many snapshots and as many baselines; returns its ID and that of a baseline."""
    run = server.trigger(project)
    snapshot, chunk = (
        "SELECT id FROM snapshot WHERE run_id = :run",
        "SELECT chunk_id FROM snapshot WHERE run_id = :run",
    )
    first = str(server.value(snapshot, run=run))
    image = _stored_image(server)
    with server.engine.begin() as connection:
        judged = "status = 'CHANGED', image = :image, ratio = 0.01, changed_pixels = 1000, sentence = 'It differs.'"
        connection.execute(
            text(f"UPDATE snapshot SET {judged}, regions = '[[1, 2, 3, 4]]' WHERE id = :id"),
            {"image": image, "id": first},
        )
        connection.execute(
            text("UPDATE chunk SET done = :yes WHERE id = (" + chunk + ")"), {"yes": True, "run": run}
        )
        connection.execute(
            text(
                "UPDATE run SET status = 'FAILED', total = :n, done = :n, changed = :n / 10, "
                "started_at = created_at, finished_at = created_at WHERE id = :id"
            ),
            {"n": SNAPSHOTS, "id": run},
        )
        baseline = connection.execute(
            Baseline.__table__.insert().returning(Baseline.id).values(
                id="0" * 24, project_id=project, branch="main", test="Home", viewport="desktop", browser="chromium",
                image=image, width=1280, height=800, ignore=[], identity={}, run_id=run, run_number=1, source="NEW",
            )
        ).scalar_one()  # fmt: skip
    name = "'Page ' || n.i"
    _server.copies(server.engine, Snapshot.__table__, first, SNAPSHOTS - 1, id=numbered("b"), status=STATUS,
                  position="n.i", test=name, baseline_id=f"'{baseline}'")  # fmt: skip
    _server.copies(server.engine, Baseline.__table__, baseline, SNAPSHOTS - 1, id=numbered("c"), test=name)
    return run, baseline


def _stored_image(server: Server) -> str:
    file = io.BytesIO()
    Picture.new("RGB", (1280, 800), "#e8f0e4").save(file, "PNG")
    sha256 = open_store(str(server.folder / "images")).put(file.getvalue())
    with server.engine.begin() as connection:
        connection.execute(
            Image.__table__.insert().values(
                sha256=sha256, width=1280, height=800, size_bytes=len(file.getvalue())
            )
        )
    return sha256


def measure(server: Server, count: int, times: int) -> list[Opened]:
    """What each page took."""
    projects, _ = fill(server, count, _server.suite_of(1000))
    run, baseline = large_run(server, projects[3])
    _server.settle(server.engine)
    middle = str(server.value(f"SELECT {numbered('a', str(count // 2))}"))
    runs = f"/projects/{projects[3]}"
    pages = {
        "projects": "/",
        "a project's runs": runs,
        "the same, deep": f"{runs}?cursor={middle}",
        "the same, by key": f"{runs}?key=bench",
        "the same, by key of no run": f"{runs}?key=nobody",
        REVIEW: f"/runs/{run}",
        f"baselines, {SNAPSHOTS:,}": f"{runs}/baselines",
        "a baseline's history": f"/baselines/{baseline}",
        "health": f"{runs}/health",
        "suite": f"{runs}/suite",
        "a run's suite": f"/runs/{run}/suite",
        "search for a branch": "/search?q=main",
        "search for nothing": "/search?q=nothing+of+the+kind",
        "audit logs": "/settings/audit-logs",
    }
    session, base = server.logged_in(), f"http://127.0.0.1:{server.port}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        context = browser.new_context(base_url=base, viewport={"width": 1280, "height": 800})
        cookie = session.cookies["retestr"]
        context.add_cookies([{"name": "retestr", "value": cookie, "url": base}])
        opened = [
            Opened(name, *_page(session, base + path, times), *_load(context, path))
            for name, path in pages.items()
        ]
        browser.close()
    return opened


def _page(session: requests.Session, url: str, times: int) -> tuple[float, int, int]:
    def visit() -> float:
        with session.get(url, stream=True, timeout=120) as answer:
            assert answer.status_code == 200, answer.text
            return answer.elapsed.total_seconds()

    took = _server.median(visit, times)
    answer = session.get(url, timeout=120)
    files = re.findall(r'<(?:link rel="stylesheet" href|script src)="([^"]+)"', answer.text)
    rest = sum(_sent(session.get(requests.compat.urljoin(url, file), timeout=30)) for file in files)
    return took, _sent(answer), _sent(answer) + rest


def _sent(answer: requests.Response) -> int:
    """The bytes of an answer's body as they went over the wire."""
    return int(answer.headers["Content-Length"])


def _load(context: BrowserContext, path: str) -> tuple[float, int]:
    took, images = [], 0
    for _ in range(3):
        page = context.new_page()
        seen: list[str] = []
        page.on(
            "request",
            lambda request, seen=seen: seen.append(request.url) if request.resource_type == "image" else None,
        )
        start = time.monotonic()
        page.goto(path, wait_until="load")
        took.append(time.monotonic() - start)
        images = len([url for url in seen if url.endswith(".png")])
        page.close()
    return statistics.median(took), images


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="few runs: whether it works, not how long it takes"
    )
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=7, help="requests for each figure")
    options = parser.parse_args()
    count, times = (10_000, 2) if options.quick else (options.runs, options.times)
    with (
        tempfile.TemporaryDirectory(prefix="retestr-bench.") as folder,
        _server.served("SQLite", Path(folder) / "data", "") as server,
    ):
        opened = measure(server, count, times)
        seen = _server.versions(server.engine)
    head = [
        f"{count:,} runs",
        "first byte",
        "HTML",
        "with CSS and scripts",
        "`load` in Chromium",
        "images by then",
    ]
    rows = [
        [one.name, ms(one.first_byte_s), kb(one.html), kb(one.weight), ms(one.load_s), str(one.images)]
        for one in opened
    ]
    print(_server.table(head, rows) + "\n")
    review_s = next(one.load_s for one in opened if one.name == REVIEW)
    print(told(review_s < REVIEW_GOAL_S, f"{REVIEW}: loaded in {ms(review_s)}, below {ms(REVIEW_GOAL_S)}"))
    heaviest = max(opened, key=lambda one: one.weight)
    found = f"heaviest page before images ({heaviest.name}): {kb(heaviest.weight)}, below {kb(WEIGHT_GOAL)}"
    print(told(heaviest.weight < WEIGHT_GOAL, found))
    print(f"\n{seen}")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
