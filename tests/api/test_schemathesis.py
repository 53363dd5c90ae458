"""Schemathesis searches for requests where the served OpenAPI document and a real server disagree.

All checks. `make test` runs a bounded part with an admin key and a fixed seed; RETESTR_LONG=1 (`make check-all`) takes
long and a new seed, and a key that may read runs only, too. A failure prints seed and curl line.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import BIN, ROOT, Server, make_server, suite_of  # noqa: F401 - a fixture

LONG = bool(os.environ.get("RETESTR_LONG"))
SEED = random.SystemRandom().randrange(2**32) if LONG else 20260
EXAMPLES, TIMEOUT_S = (100, 1200) if LONG else (5, 400)

SETTINGS = """\
[checks.negative_data_rejection]
# 413 and 414: too long for any rule of ours to be asked.
expected-statuses = ["400", "401", "403", "404", "406", "413", "414", "422", "428", "429", "5xx"]

[[operations]]
# Suites, scopes and dates follow rules that no schema can say: 422 is right there, and
# `document_agrees_with_validation` sees to it that it is never for the form of the request.
include-operation-id = [
  "post_api_trigger_run", "post_api_create_project", "put_api_replace_suite", "post_api_create_key",
]
checks.positive_data_acceptance.expected-statuses = ["2xx", "3xx", "401", "403", "404", "409", "422", "429", "5xx"]

[[operations]]
# Revoking a key is no forgetting: it stays in the list, and can be read.
include-operation-id = ["delete_api_revoke_key"]
checks.use_after_free.enabled = false
"""


@pytest.mark.e2e
@pytest.mark.parametrize("scope", ["admin:write", "run:read"] if LONG else ["admin:write"])
def test_no_request_makes_server_and_document_disagree(
    make_server: Callable[..., Server],  # noqa: F811
    tmp_path: Path,
    scope: str,
) -> None:
    server = make_server(RETESTR_KEY_REQUESTS_PER_MINUTE="1000000000", RETESTR_WEB_THREADS="4")
    project = server.set_up(suite_of("http://127.0.0.1:9", "a.html", "b.html"))
    key = server.command("key", "create", "--organization", "Acme", "--name", "fuzz", "--scope", scope)
    server.start("--no-worker")
    run = server.trigger(project)
    known = {"project_id": project, "run_id": run, "snapshot_id": server.snapshots(run)[0]["id"]}
    done = search(server, key, known, tmp_path)
    assert done.returncode == 0, (
        f"seed {SEED}\n{done.stdout[-20_000:]}\n{done.stderr[-2000:]}\n{server.log()[-4000:]}"
    )


def search(
    server: Server, key: dict[str, str], known: dict[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Runs Schemathesis against a server with one key."""
    settings = folder / "schemathesis.toml"
    settings.write_text(SETTINGS)
    command = [
        BIN / "schemathesis", "--config-file", settings, "run", f"{server.url}/api/openapi.json",
        "--header", f"Authorization: Bearer {key['key']}", "--checks", "all", "--seed", str(SEED),
        "--max-examples", str(EXAMPLES), "--no-color", "--continue-on-failure",
    ]  # fmt: skip
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SCHEMATHESIS_HOOKS": "tests.api.schemathesis_hooks",
        "OWN_KEY_ID": key["keyId"],
        "KNOWN_IDS": json.dumps(known),
    }
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S
    )
