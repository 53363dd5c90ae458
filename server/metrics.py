"""`/metrics` for Prometheus: requests of this machine's web processes, work that waits, and every worker's counts.

It exists where RETESTR_METRICS_TOKEN is set, and answers who sends it as `Authorization: Bearer …`. What workers have
done comes from their rows (`runs.workers`), so that one address tells of all machines.
"""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Iterator
from dataclasses import fields

from flask import Flask, Response, g, request
from flask.typing import ResponseReturnValue
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess, values
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from server.access import limits
from server.config import Settings
from server.runs import workers

SLOT = "RETESTR_WEB_SLOT"
"""Names a web process among those of its machine; its successor gets the same, and goes on counting where it was."""
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
HELP = {
    "pages_open": "Pages that are being captured.",
    "captures": "Pages captured, each attempt counted.",
    "known_at_once": "Captures whose first shot was a baseline's, to the bit.",
    "comparisons": "Captures that were compared with a baseline pixel by pixel.",
    "errors": "Attempts that failed.",
    "browser_starts": "Starts of the browser.",
}


def register(app: Flask) -> None:
    """Adds `/metrics`, and counts every request."""
    settings: Settings = app.extensions["retestr"]
    if FOLDER in os.environ:
        values.ValueClass = values.MultiProcessValue(lambda: os.environ.get(SLOT, os.getpid()))
    own = CollectorRegistry()
    count = Counter("retestr_requests", "Requests.", ("route", "method", "status"), registry=own)
    seconds = Histogram(
        "retestr_request_seconds", "Time to answer.", ("route",), buckets=SECONDS, registry=own
    )

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        route = request.endpoint or "none"
        method = request.method if request.endpoint else "none"  # who asks for nowhere makes no new counters
        count.labels(route, method, response.status_code).inc()
        if "began" in g:
            seconds.labels(route).observe(time.perf_counter() - g.began)
        return response

    @app.get("/metrics")
    def metrics() -> ResponseReturnValue:
        told = request.headers.get("Authorization", "").encode()
        if not hmac.compare_digest(told, f"Bearer {settings.metrics_token}".encode()):
            limits.visit(request.remote_addr or "")
            text = "Send RETESTR_METRICS_TOKEN as `Authorization: Bearer …`.\n"
            return Response(text, 401, {"WWW-Authenticate": "Bearer"}, content_type="text/plain")
        shared = CollectorRegistry()
        if FOLDER in os.environ:
            multiprocess.MultiProcessCollector(shared)
        else:
            shared.register(own)
        shared.register(_Work())
        return Response(generate_latest(shared), content_type=CONTENT_TYPE_LATEST)


class _Work:
    """What the database tells of work and workers."""

    def collect(self) -> Iterator[Metric]:
        waiting = workers.waiting()
        yield GaugeMetricFamily(
            "retestr_work_waiting", "Chunks of runs that no worker has taken up.", waiting.chunks
        )
        yield GaugeMetricFamily(
            "retestr_work_oldest_seconds", "How long the oldest of these has waited.", waiting.oldest_s
        )
        runs = GaugeMetricFamily("retestr_runs_unfinished", "Runs that are not over.", labels=["status"])
        for status, number in workers.unfinished_runs().items():
            runs.add_metric([status], number)
        yield runs
        present = workers.present()
        yield GaugeMetricFamily("retestr_workers", "Workers that were heard of just now.", len(present))
        for name in (field.name for field in fields(workers.Done)):
            kind = GaugeMetricFamily if name == "pages_open" else CounterMetricFamily
            metric = kind(f"retestr_worker_{name}", HELP[name], labels=["host", "worker"])
            for worker in present:
                metric.add_metric([worker.host, worker.owner], getattr(worker, name))
            yield metric
