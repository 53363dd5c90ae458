"""Log lines: JSON that programs can read, with the IDs that lead from one to the other."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator

import pytest
from flask import Flask, g

from server import logs
from server.config import SettingError, Settings, load
from tests.e2e.conftest import Server, Site, make_server, site, suite_of

__all__ = ["make_server", "site"]


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    before = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = before


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_is_one_object_with_the_request_it_belongs_to(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(log_format="json"))
    log = logging.getLogger("retestr.test")
    with Flask("x").app_context():
        g.request_id = "abc"
        log.warning("two\nlines of %s", "text")
    try:
        raise ValueError("boom")
    except ValueError:
        log.exception("it failed")
    first, second = said(capsys)
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "WARNING", "logger": "retestr.test", "message": "two\nlines of text", "requestId": "abc"
    }  # fmt: skip
    assert "ValueError: boom" in second["error"]
    assert "requestId" not in second


def test_a_worker_s_lines_tell_which_run(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(log_format="json"))

    async def work(run: str) -> None:
        logs.run_id.set(run)
        await asyncio.to_thread(logging.getLogger("retestr.worker").info, "page of %s", run)

    async def both() -> None:
        await asyncio.gather(work("one"), work("two"))

    asyncio.run(both())
    assert {(line["message"], line["runId"]) for line in said(capsys)} == {
        ("page of one", "one"),
        ("page of two", "two"),
    }


def test_another_format_is_refused() -> None:
    with pytest.raises(SettingError, match="must be text or json, got 'xml'"):
        load({"RETESTR_LOG_FORMAT": "xml"})


@pytest.mark.e2e
@pytest.mark.browser
def test_every_line_of_a_server_and_its_worker_is_json(
    make_server: Callable[..., Server], site: Site
) -> None:
    server = make_server(RETESTR_LOG_FORMAT="json", RETESTR_CAPTURE_ALLOW=site.url.removeprefix("http://"))
    site.page("a.html", "<script>throw new Error('x')</script>")
    project = server.set_up(suite_of(site.url, "a.html", "missing.html"))
    server.start()
    server.finished(server.trigger(project))
    server.stop()
    lines = [line for line in server.log().splitlines() if line.strip()]
    told = [json.loads(line) for line in lines if line.startswith("{")]
    greeting = [line for line in lines if not line.startswith("{")]
    assert all(line.startswith(("retestr ", "Data in ")) for line in greeting), greeting
    assert all({"time", "level", "logger", "message"} <= set(line) for line in told)
