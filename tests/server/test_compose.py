"""compose.yaml: as far as it can be read without Docker, it says what the server and the image understand."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.config import load, table
from server.images import endpoint_of
from server.worker import never_captured

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ["retestr", "web", "worker"]
ONCE = {"bucket"}
AS_THEIR_IMAGES_DO = {"store", "bucket"}  # no read-only root, and their image's user
GIVEN = {
    "DATABASE_PASSWORD": "a",
    "SESSION_SECRET": "b",
    "STORE_SECRET": "c",
    "PUBLIC_HOST": "retestr.example.com",
}


def environment(service: str, **given: str) -> dict[str, str]:
    """What a service gets, with the variables of .env filled in as Compose does."""
    filled = re.compile(r"\$\{(\w+):-([^}]*)\}")
    return {
        name: filled.sub(lambda found: given.get(found[1]) or found[2], str(value))
        for name, value in SERVICES[service].get("environment", {}).items()
    }


def test_it_is_what_the_compose_specification_allows() -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", FILE],
        capture_output=True, text=True,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout


def test_one_service_starts_unless_a_profile_is_asked_for() -> None:
    assert [name for name, service in SERVICES.items() if "profiles" not in service] == ["retestr"]
    assert {tuple(service["profiles"]) for service in SERVICES.values() if "profiles" in service} == {
        ("scale",)
    }
    assert (SERVICES["web"]["deploy"]["replicas"], SERVICES["worker"]["deploy"]["replicas"]) == (2, 3)


@pytest.mark.parametrize("name", OURS)
def test_ours_are_the_image_with_a_read_only_root_and_no_privileges(name: str) -> None:
    service = SERVICES[name]
    assert service["build"] == {"context": ".", "target": "server"}
    assert re.search(rf"(?m)^FROM \S+ AS {service['build']['target']}$", (ROOT / "Dockerfile").read_text())
    assert "user" not in service, "the image's own, which is not root"
    assert service["cap_drop"] == ["ALL"]
    profile = next(o for o in service["security_opt"] if o.startswith("seccomp=")).partition("=")[2]
    assert (ROOT / profile).is_file()
    assert int(service["stop_grace_period"].removesuffix("s")) > 30, "what a worker takes to drain"


@pytest.mark.parametrize("name", OURS)
def test_every_setting_of_ours_is_one_that_the_server_has_and_can_use(name: str) -> None:
    given = environment(name, **GIVEN)
    known = {variable for variable, _, _ in table()} | {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert given.keys() <= known
    load(given)


@pytest.mark.parametrize("name", ["web", "worker"])
def test_what_they_share_is_found_under_the_names_of_its_services(name: str) -> None:
    settings = load(environment(name, **GIVEN))
    addresses = {host: port for host, port in never_captured(settings) if host != GIVEN["PUBLIC_HOST"]}
    assert addresses == {"database": 5432, "broker": 6379, "store": 8333}
    assert addresses.keys() <= SERVICES.keys()
    assert endpoint_of(settings.storage_url) == "http://store:8333"
    assert (settings.secret_key, settings.trusted_proxies) == ("b", 1)
    assert environment("database", **GIVEN)["POSTGRES_PASSWORD"] in settings.database_url


def test_the_database_does_not_start_without_the_secrets() -> None:
    assert environment("database")["POSTGRES_PASSWORD"] == ""


def test_all_have_health_checks_and_but_the_store_a_read_only_root() -> None:
    assert {name for name, service in SERVICES.items() if "healthcheck" not in service} == ONCE
    assert {name for name, service in SERVICES.items() if not service.get("read_only")} == AS_THEIR_IMAGES_DO


def health_checks() -> dict[str, list[str]]:
    """What the image and each service of ours that serves pages runs to see whether it is healthy."""
    in_image = re.search(r'(?m)^  CMD (\["python", .*\])$', (ROOT / "Dockerfile").read_text())
    assert in_image
    checks = {"image": json.loads(in_image[1])}
    return checks | {name: SERVICES[name]["healthcheck"]["test"][1:] for name in ("retestr", "web")}


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()


@pytest.mark.parametrize("name", ["image", "retestr", "web"])
def test_a_health_check_does_not_go_through_the_proxy_that_docker_sets(name: str) -> None:
    program, *arguments = health_checks()[name]
    assert program == "python"
    away = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy"), "http://127.0.0.1:9")
    with HTTPServer(("127.0.0.1", 0), Healthy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        here = [argument.replace(":8000", f":{server.server_port}") for argument in arguments]
        asked = subprocess.run([sys.executable, *here], env=away, capture_output=True, text=True)
        server.shutdown()
    assert asked.returncode == 0, asked.stderr
    assert subprocess.run([sys.executable, *here], env={}, capture_output=True).returncode != 0, "it is away"


def test_only_the_proxy_is_reached_from_elsewhere() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {"retestr": ["127.0.0.1:8000:8000"], "proxy": ["80:80", "443:443"]}
    assert "name web" in (ROOT / "examples" / "deploy" / "Caddyfile").read_text()


def test_each_waits_for_parts_and_keeps_what_it_has_in_volumes_that_there_are() -> None:
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= SERVICES.keys()
        named = {volume.partition(":")[0] for volume in service.get("volumes", [])}
        assert {name for name in named if not name.startswith(".")} <= COMPOSE["volumes"].keys()
        assert all((ROOT / name).exists() for name in named if name.startswith("."))


def test_the_documented_command_writes_all_that_compose_asks_for(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "self-hosting.md").read_text()
    command = re.search(r"(?s)    (printf .*?> \.env)\n", text)
    assert command
    subprocess.run(["bash", "-c", command[1]], cwd=tmp_path, check=True)
    given = dict(line.split("=", 1) for line in (tmp_path / ".env").read_text().split())
    assert given.keys() == GIVEN.keys()
    assert all(given.values())
    assert len(set(given.values())) == len(given)
