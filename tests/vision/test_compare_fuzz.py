"""Whatever bytes stand where an image should: pixels or an error in words, in bounded memory, and no crash.

`make fuzz` tries 100,000 inputs; RETESTR_FUZZ_SEED plays its own again.
"""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

INPUTS = int(os.environ.get("RETESTR_FUZZ_INPUTS") or 1000)
SEED = int(os.environ.get("RETESTR_FUZZ_SEED") or random.SystemRandom().randrange(2**32))
ROOT = Path(__file__).parent.parent.parent


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as Linux does it")
def test_broken_images_are_read_or_refused() -> None:
    print(f"RETESTR_FUZZ_SEED={SEED}, {INPUTS} inputs")  # noqa: T201 - whoever watches shall know it
    command = [sys.executable, str(Path(__file__).with_name("mutants.py")), str(SEED), "0", str(INPUTS)]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=3600
    )
    said = done.stdout.split("\n")
    print(said[-2])  # noqa: T201
    assert done.returncode == 0, (
        f"status {done.returncode} in the 50 inputs from {said[-2]}, RETESTR_FUZZ_SEED={SEED}\n{done.stderr[-3000:]}"
    )
