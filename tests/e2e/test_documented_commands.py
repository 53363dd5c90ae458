"""README.md and docs/quick-start.md: whoever types what stands there gets what is told.

What is run elsewhere: `make demo` and the curl lines in `test_main_job`; clone, `make setup` and `make test` by whoever
runs this, and from nothing by `scripts/bare-debian`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from tests.e2e.conftest import Server, Site

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
CLONE = "git clone https://github.com/retestr/action retestr && cd retestr"
ELSEWHERE = {CLONE, "make demo", "make test", "make setup"}
SERVE = ".venv/bin/retestr serve"


def commands(name: str) -> list[str]:
    """The commands of a document's indented blocks; lines that go on, and texts for files, are one with theirs."""
    blocks = re.findall(
        r"(?:^    .*\n|^\n(?=    ))+", re.sub(r"```.*?```", "", (ROOT / name).read_text(), flags=re.S), re.M
    )
    text = "\n".join(dedent(block).strip() for block in blocks)
    return re.findall(r"^(?:cat > .*<<'END'\n(?:.*\n)*?END|(?:.*\\\n)*.+)$", text, re.M)


def test_every_command_of_readme_is_run_by_a_test() -> None:
    asked = [command for command in commands("README.md") if not command.startswith("curl ")]
    assert set(asked) == {*ELSEWHERE, SERVE}
    told = (ROOT / "README.md").read_text()
    assert (
        'curl -X POST https://HOST/api/runs/cancel-all -H "Authorization: Bearer vts_YOUR_API_KEY_HERE"'
        in told
    )


def test_the_quick_start_leads_to_a_run(
    make_server: Callable[..., Server], site: Site, tmp_path: Path
) -> None:
    typed = [command for command in commands("docs/quick-start.md") if command not in ELSEWHERE]
    assert SERVE in typed
    site.page("index.html", "<h1>Tea</h1>")
    server = make_server(RETESTR_CAPTURE_ALLOW=site.url.removeprefix("http://"))
    server.start()
    script = "\n".join(command for command in typed if command != SERVE)
    script = script.replace(".venv/bin/", f"{Path(sys.executable).parent}/").replace(
        "https://staging.example.com", site.url
    )
    folder = tmp_path / "typed"
    folder.mkdir()
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, **server.environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "1 test, 1 snapshot" in done.stdout
    found = re.search(r"^vts_\w+", done.stdout, re.M)
    assert found, done.stdout
    server.key = found[0]
    run = server.finished(server.trigger("shop"))
    assert (run["status"], run["counts"]["new"]) == ("PASSED", 1)
