"""The wheel: built from the clone, installed away from it, it serves and finishes a run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.browser
@pytest.mark.skipif(
    not os.environ.get("RETESTR_LONG"), reason="installs everything anew; RETESTR_LONG=1 (make check-all)"
)
def test_the_wheel_installs_serves_and_finishes_a_run(tmp_path: Path) -> None:
    done = subprocess.run(
        [ROOT / "scripts/wheel-run", tmp_path / "wheel"], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The wheel served and finished two runs" in done.stdout
