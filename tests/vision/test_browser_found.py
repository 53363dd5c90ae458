"""The browser that is found and started, and what the web process may import."""

import subprocess
import sys
from pathlib import Path

import pytest

from server.vision import browser
from server.vision.addresses import AddressPolicy
from server.vision.processes import processes
from tests.vision.runner import Runner, browsing


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\necho Chromium 156.0.0.0\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any browser."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "downloads"))
    monkeypatch.setattr(browser, "APPLICATIONS", ())
    return tmp_path


def test_none_is_none(bare: Path) -> None:
    assert browser.find_browser() is None
    assert browser.install_hint() == "playwright install --only-shell chromium"


def test_the_headless_shell_comes_first(bare: Path) -> None:
    executable(bare / "bin/chromium")
    shell = executable(bare / "bin/chromium-headless-shell")

    assert browser.find_browser() == shell
    assert browser.version(shell) == "Chromium 156.0.0.0"
    assert browser.family(shell) == "chromium-headless-shell"


def test_playwrights_newest_download_is_found(bare: Path) -> None:
    folder = "chrome-headless-shell-linux64/chrome-headless-shell"
    executable(bare / f"downloads/chromium_headless_shell-1100/{folder}")
    newest = executable(bare / f"downloads/chromium_headless_shell-1200/{folder}")

    assert browser.find_browser() == newest


def test_the_one_named_is_the_only_one_tried(bare: Path) -> None:
    executable(bare / "bin/chromium")
    mine = executable(bare / "mine/chrome")

    assert browser.find_browser(str(mine)) == mine
    assert browser.find_browser("/nowhere/chrome") is None


def test_what_a_page_is_can_be_said_without_a_browser() -> None:
    heavy = "numpy playwright imagecodecs xxhash pybind11_pixelmatch"
    code = f"import sys, server.vision.page; print(*set('{heavy}'.split()) & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout.split() == []


@pytest.mark.browser
@pytest.mark.skipif(sys.platform != "linux", reason="command lines are read from /proc")
@pytest.mark.parametrize("switch", ["--blink-settings", "--enable-features"])
def test_what_playwright_sets_by_a_switch_that_is_there_once_is_set_still(switch: str, run: Runner) -> None:
    with browsing(run, AddressPolicy()):
        lines = [Path(f"/proc/{one.pid}/cmdline").read_text().split("\0") for one in processes()]

    given = [[word for word in line if word.startswith(switch)] for line in lines]
    playwrights, ours = next(words for words in given if len(words) == 2)  # the browser's, not its children's
    assert set(playwrights.split("=", 1)[1].split(",")) < set(ours.split("=", 1)[1].split(","))


@pytest.mark.browser
def test_the_driver_compiles_its_code_once(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("NODE_COMPILE_CACHE", "")  # so that it is put back
    monkeypatch.delenv("NODE_COMPILE_CACHE")

    with browsing(run, AddressPolicy()):
        pass

    assert any(file.is_file() for file in (tmp_path / "retestr/driver").rglob("*"))


def test_a_user_without_a_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)

    assert "NODE_COMPILE_CACHE" not in browser.driver_environment()
