"""The documentation says what the code does: commands that can be typed, routes, audit actions, paths, messages."""

from __future__ import annotations

import ast
import json
import re
import shlex
from itertools import pairwise
from pathlib import Path
from textwrap import dedent

import click
import pytest
import yaml

from scripts.write_docs import EXAMPLES, every_command
from server.access.audit import ACTIONS
from server.access.scopes import ROUTES, SCOPES
from server.api.shapes.runs import Counts, RunOut
from server.cli import main
from server.config import table
from server.models import Baseline
from server.runs.suite import json_schema, parse
from tests.conftest import SUITE, World
from tests.runs.history import History

ROOT = Path(__file__).resolve().parents[2]
DOCS = {file.name: file.read_text() for file in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]}


def test_every_command_has_an_example_with_options_that_it_knows() -> None:
    commands = dict(every_command(main))
    assert set(EXAMPLES) == set(commands)
    for name, example in EXAMPLES.items():
        known = {option for p in commands[name].params if isinstance(p, click.Option) for option in p.opts}
        needed = {p.opts[0] for p in commands[name].params if isinstance(p, click.Option) and p.required}
        used = set(re.findall(r"--[a-z-]+", example))
        assert f"retestr {name}" in example
        assert needed - {"--password"} <= used <= known, name  # that one comes from the environment


# ------------------------------------------------------------------------------------------- the API


def curl_lines(text: str) -> list[list[str]]:
    """The curl commands of indented blocks, each as the shell would split it."""
    blocks = re.findall(r"^    curl (?:.*\\\n)*.*", text, re.MULTILINE)
    return [shlex.split(block.replace("\\\n", " ")) for block in blocks]


def test_every_route_is_documented_with_its_scope() -> None:
    told = set(re.findall(r"^### `([A-Z]+) (\S+)`$", DOCS["api.md"], re.MULTILINE))
    paths = {
        (method, re.sub(r"<(?:[^:>]*:)?(\w+)>", r"{\1}", rule))
        for method, rule in ROUTES
        if "openapi" not in rule
    }
    assert told == paths
    assert all(f"`{scope}`" in DOCS["api.md"] for scope in set(ROUTES.values()) - {None})
    assert all(f"| `{scope}` |" in DOCS["security.md"] for scope in SCOPES)


def test_every_curl_line_of_the_api_s_reference_is_understood(world: World) -> None:
    history = History(world)
    history.run("main", "white")
    changed = history.run("main", "black")
    key = world.api("admin:write")
    world.api("run:read")  # the newest of the list: it is revoked and rotated
    places = {
        "RUN_ID": changed.run_id,
        "SNAPSHOT_ID": changed.id,
        "BASELINE_ID": Baseline.query.first().id,
        "KEY_ID": key.get("/keys").json["items"][0]["id"],
        "shop": world.shop.id,
    }
    lines = curl_lines(DOCS["api.md"])
    assert len(lines) == len(ROUTES) - 1
    for line in sorted(lines, key=lambda line: ("DELETE" in line, line[3].endswith("/shop"))):
        options = dict(pairwise(line))
        url = next(part for part in line if part.startswith("https://HOST"))
        path = re.sub(
            "|".join(places), lambda found: str(places[found[0]]), url.removeprefix("https://HOST/api")
        )
        data = options.get("-d", "").replace("SNAPSHOT_ID", places["SNAPSHOT_ID"]) or None
        kind = "application/json" if data else "application/yaml"
        if options.get("--data-binary"):
            data = SUITE
        answer = key.call(options.get("-X", "GET"), path, data=data, content_type=kind if data else None)
        understood = answer.status_code in (200, 201, 204, 409) or "thumbnails/TOKEN" in path
        assert understood, (line, answer.status_code, answer.text)


def test_the_members_of_a_run_are_told() -> None:
    section = DOCS["api.md"].partition("\nA run has\n")[2].partition("\nAll shapes")[0]
    rows = re.findall(r"^\| (`.+?) \|", section, re.MULTILINE)
    told = [member for row in rows for member in re.findall(r"`(\w+)`", row)]
    assert sorted(told) == sorted(field.alias or name for name, field in RunOut.model_fields.items())
    counts = next(line for line in section.splitlines() if line.startswith("| `counts`"))
    assert re.findall(r"`(\w+)`", counts)[1:] == list(Counts.model_fields)


# ------------------------------------------------------------------------------------------- the audit log


def test_every_action_of_the_audit_log_is_listed_and_none_besides() -> None:
    words = r"(ACCOUNT|API_KEY|BASELINES?|LOGIN|LOGOUT|MEMBER|ORGANIZATION|PASSWORD|PROJECT|RUNS?|SECRET|SESSIONS?|SUITE|USER)(_[A-Z_]+)?"
    written = set()
    for file in (ROOT / "server").rglob("*.py"):
        if file.name == "audit.py" or "migrations" in file.parts:
            continue
        constants = (
            node.value for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Constant)
        )
        written |= {text for text in constants if isinstance(text, str) and re.fullmatch(words, text)}
    assert written == set(ACTIONS)


# ------------------------------------------------------------------------------------------- what is said elsewhere


def test_every_path_of_the_architecture_exists() -> None:
    named = re.findall(r"`([\w./-]+)`", DOCS["architecture.md"])
    paths = [
        path
        for path in named
        if path.startswith(("server", "action_src", "tests", "docs", "scripts", "benchmarks"))
    ]
    paths += [path for path in named if path.endswith((".py", ".md", ".yml", ".toml"))]
    folders = (
        "",
        "server",
        "server/access",
        "server/runs",
        "server/vision",
        "server/api",
        "server/dashboard",
    )
    missing = {path for path in paths if not any((ROOT / folder / path).exists() for folder in folders)}
    assert len(paths) > 60
    assert missing == set()


@pytest.mark.parametrize("room", ["server", "server/access", "server/runs", "server/vision"])
def test_the_architecture_names_every_module_of_a_room(room: str) -> None:
    rooms = DOCS["architecture.md"].partition("\n## The rooms\n")[2].partition("\n## ")[0]
    part = rooms.partition(f"\n`{room}/`, ")[2].partition("\n`server/")[0]
    named = set(re.findall(r"`(\w+\.py)`", part)) | {"__init__.py"}
    assert named == {file.name for file in (ROOT / room).glob("*.py")}


def test_every_part_of_the_server_and_of_the_action_has_its_place_in_the_architecture() -> None:
    tops = {path.name for path in (ROOT / "server").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert {top for top in tops if f"server/{top}" not in DOCS["architecture.md"]} == set()


def literals() -> str:
    """All texts of the code, a line for each; what an f-string fills in is left out."""
    lines = []
    for folder in ("server", "action_src"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.JoinedStr):
                    lines.append(
                        "".join(p.value if isinstance(p, ast.Constant) else "…" for p in node.values)
                    )
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    lines.append(re.sub(r"\{\w+\}", "…", node.value))
    return "\n".join(line.replace("\n", " ") for line in lines)


def test_every_message_of_the_troubleshooting_is_one_of_the_code() -> None:
    texts = literals()
    quoted = re.findall(r'^### "(.+)"$', DOCS["troubleshooting.md"], re.MULTILINE)
    assert len(quoted) > 20
    for message in quoted:
        pattern = "[^\\n]*".join(re.escape(part) for part in message.split("…"))
        assert re.search(pattern, texts), message


@pytest.mark.parametrize("name", ["coming-from-backstopjs.md", "coming-from-playwright.md", "quick-start.md"])
def test_the_suites_that_others_become_can_be_read(name: str) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", DOCS[name], re.DOTALL)
    suites = [block for block in blocks if "jobs:" not in block]
    suites += [dedent(block) for block in re.findall(r"<<'END'\n(.*?)\n    END", DOCS[name], re.DOTALL)]
    assert suites
    for suite in suites:
        assert parse(suite).shots()


@pytest.mark.parametrize("name", ["coming-from-backstopjs.md", "coming-from-playwright.md"])
def test_what_others_options_become_is_known_here(name: str) -> None:
    schema = json.dumps(json_schema())
    known = set(re.findall(r'"(\w[\w-]*)": ', schema)) | {variable for variable, _, _ in table()}
    manifest = yaml.safe_load((ROOT / "action.yml").read_text())
    known |= set(manifest["inputs"]) | set(manifest["outputs"]) | {"baseBranch", "--test"}
    cells = [row.split("|")[2] for row in DOCS[name].splitlines() if row.startswith("| `")]
    told = {
        word for cell in cells for code in re.findall(r"`([^`]+)`", cell) for word in [code.partition(":")[0]]
    }
    unknown = {word for word in told if re.fullmatch(r"[a-z][\w-]*|RETESTR_\w+", word)} - known
    assert unknown - {"jobs"} == set()


def test_every_command_of_make_is_told() -> None:
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {target for target in targets if f"`make {target}`" not in DOCS["contributing.md"]} - {
        "help"
    } == set()


def test_every_document_is_in_the_index_and_every_link_leads_somewhere() -> None:
    assert {
        name for name in DOCS if name != "README.md" and f"(docs/{name})" not in DOCS["README.md"]
    } == set()
    for name, text in DOCS.items():
        folder = ROOT if name == "README.md" else ROOT / "docs"
        for target, anchor in re.findall(r"\]\((?!http)([^)#]*)(#[^)]*)?\)", text):
            file = folder / target if target else folder / name
            assert file.exists(), f"{name}: {target}"
            if anchor:
                titles = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
                slugs = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
                assert anchor[1:] in slugs, f"{name}: {target}{anchor}"
