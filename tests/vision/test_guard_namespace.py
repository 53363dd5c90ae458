"""The long proof of the guard, with real DNS and real private addresses: `make check-all`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.vision import ways

ADDRESSES = ("93.184.216.34/32", "10.0.0.5/32", "169.254.169.254/32", "fd00::5/128")
ROOT = Path(__file__).parents[2]
ENTER = ["unshare", "--net", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",))]
PREPARE = " && ".join(
    ["mount --bind {resolv} /etc/resolv.conf", "ip link set lo up"]
    + [f"ip address add {address} dev lo" for address in ADDRESSES]
    + ["exec {python} -m tests.vision.namespace"]
)


def why_not() -> str | None:
    """What keeps this machine from making a network namespace."""
    try:
        tried = subprocess.run([*ENTER, "ip", "link", "set", "lo", "up"], capture_output=True, text=True)
    except FileNotFoundError:
        return "no `unshare` here (util-linux)"
    return tried.stderr.strip() or None


@pytest.mark.browser
@pytest.mark.skipif(not os.environ.get("RETESTR_LONG"), reason="long: RETESTR_LONG=1, or make check-all")
def test_no_way_to_no_form_of_address_reaches_a_secret(tmp_path: Path) -> None:
    if reason := why_not():
        pytest.skip(f"no network namespace can be made: {reason}")
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.1\n")
    command = PREPARE.format(resolv=resolv, python=sys.executable)
    done = subprocess.run(
        [*ENTER, "sh", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=1200
    )
    assert done.returncode == 0, done.stderr

    found = json.loads(done.stdout)
    assert {form: seen["guarded"] for form, seen in found.items() if seen["guarded"]} == {}
    for form, seen in found.items():
        assert all("RETESTR_CAPTURE_ALLOW" in told for told in seen["guarded, told"]), form

    # The proof that this can fail: with all addresses allowed, each form is reached, and each way arrives.
    asked = {form: "\n".join(seen["open"]) for form, seen in found.items()}
    assert [form for form, paths in asked.items() if ways.path("picture") not in paths] == []
    assert ways.missing(asked.values(), ways.WAYS) == []
