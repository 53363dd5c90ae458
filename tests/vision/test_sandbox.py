"""Chromium's sandbox: insisted on, unless the settings say that a machine may forbid it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from server.vision import browser
from server.vision.capture import Browser
from server.vision.page import CaptureError

pytestmark = pytest.mark.browser


@pytest.fixture
def without_namespaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The machine's browser, as in a container that forbids user namespaces, and not as root."""
    monkeypatch.setattr(browser, "needs_no_sandbox", lambda: False)
    path = tmp_path / "chromium-headless-shell"
    path.write_text(
        '#!/bin/sh\ncase "$*" in *--no-sandbox*) exec '
        f"'{browser.find_browser()}' \"$@\";; esac\necho 'No usable sandbox!' >&2\nexit 1\n"
    )
    path.chmod(0o755)
    return path


async def started(path: Path, insist_on_sandbox: bool) -> bool:
    async with Browser(path, insist_on_sandbox=insist_on_sandbox) as running:
        return running.sandboxed


def test_a_browser_without_its_sandbox_is_not_used_and_the_error_says_what_to_do(
    without_namespaces: Path,
) -> None:
    with pytest.raises(CaptureError, match="RETESTR_CAPTURE_SANDBOX=preferred") as error:
        asyncio.run(started(without_namespaces, True))
    assert error.value.kind == "browser-missing"


def test_where_that_is_allowed_it_runs_without_and_says_so(
    without_namespaces: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert asyncio.run(started(without_namespaces, False)) is False
    assert "without its sandbox" in caplog.text
