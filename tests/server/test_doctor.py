"""`retestr doctor`: a part that does not work is told, whatever it raises."""

from __future__ import annotations

from pathlib import Path

import pytest

from server import doctor
from server.config import Settings


def test_a_part_that_fails_without_a_word_is_told_and_the_others_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(doctor, "open_store", silent)
    monkeypatch.setattr(doctor.browser, "find_browser", lambda _: Path("/nowhere"))
    monkeypatch.setattr(doctor, "_start", silent)
    checks = {check.name: check for check in doctor.checks(Settings(data=tmp_path))}
    assert list(checks) == ["browser", "database", "store", "queue", "workers", "clock"]
    assert (checks["store"].works, checks["store"].finding) == (False, "TimeoutError: it says no more")
    assert "does not start: it says no more" in checks["browser"].finding
