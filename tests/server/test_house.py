"""What holds for the house as a whole: settings, migrations, what the web process imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from apiflask import APIFlask

from scripts import write_docs
from server import config
from server.config import SettingError, load
from server.database import Base, db

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("playwright", "numpy", "imagecodecs", "PIL", "pybind11_pixelmatch", "authlib", "celery")
OURS = ("server", "action_src", "benchmarks", "examples", "scripts", "tests")


def test_no_module_has_more_lines_than_one_can_keep_in_mind() -> None:
    ours = [file for folder in OURS for file in (ROOT / folder).rglob("*.py")]
    long = {str(file.relative_to(ROOT)) for file in ours if len(file.read_text().splitlines()) > 400}
    assert long == set(), "cut it by topic"


def test_the_web_process_imports_no_browser_and_no_image_decoder() -> None:
    code = "import sys, server.wsgi; print(*[name for name in sys.argv[1:] if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code, *HEAVY], capture_output=True, text=True, cwd="/tmp")
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_the_migrations_lead_to_the_tables_of_the_models(app: APIFlask) -> None:
    with db.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_the_tables_of_the_documentation_are_those_of_the_code() -> None:
    for file in (ROOT / "docs").glob("*.md"):
        assert write_docs.written(file.read_text()) == file.read_text(), "run: python scripts/write_docs.py"
    text = (ROOT / "docs/self-hosting.md").read_text()
    assert all(f"`{variable}`" in text for variable, _, _ in config.table())


def test_a_setting_is_read_from_the_environment_or_the_file_it_names(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://db/x\n")
    settings = load(
        {"RETESTR_DATABASE_URL_FILE": str(tmp_path / "url"), "RETESTR_CAPTURE_ALLOW": "a:1, 10.0.0.0/8"}
    )
    assert settings.database == "postgresql+psycopg://db/x"
    assert settings.capture_allow == ("a:1", "10.0.0.0/8")
    assert "postgresql://db" not in repr(settings)


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"RETESTR_WEB_THREADS": "many"}, "RETESTR_WEB_THREADS must be a whole number"),
        ({"RETESTR_PAGE_TIMEOUT_S": "-1"}, "RETESTR_PAGE_TIMEOUT_S must be a number"),
        ({"RETESTR_PAGE_TIMEOUT_S": "nan"}, "RETESTR_PAGE_TIMEOUT_S must be a number"),
        ({"RETESTR_SECRET_KEY_FILE": "/nowhere"}, "RETESTR_SECRET_KEY_FILE names a file"),
        ({"RETESTR_DATA": "a", "RETESTR_DATA_FILE": "b"}, "both set"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(environ: dict[str, str], says: str) -> None:
    with pytest.raises(SettingError, match=says):
        load(environ)


def test_the_secret_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    settings = config.Settings(data=tmp_path)
    assert settings.session_secret() == settings.session_secret()
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
