"""The suite file: what is sent, and why something is not."""

from pathlib import Path

import pytest

from action_src.suite import MAX_BYTES, UnusableSuite, read_suite

SUITE = "baseUrl: https://staging.example.com\ntests:\n  - name: Home\n    path: /\n"


def refusal(name: str, workspace: Path) -> str:
    with pytest.raises(UnusableSuite) as caught:
        read_suite(name, workspace)
    return str(caught.value)


def test_without_a_file_the_project_s_own_suite_is_used(tmp_path: Path) -> None:
    assert read_suite("", tmp_path) is None


def test_the_default_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "retestr.yml").write_text(SUITE)
    assert read_suite("", tmp_path) == SUITE


def test_a_byte_order_mark_is_taken_off(tmp_path: Path) -> None:
    (tmp_path / "s.yml").write_bytes(b"\xef\xbb\xbf" + SUITE.encode())
    assert read_suite("s.yml", tmp_path) == SUITE


def test_a_missing_file_reminds_of_the_checkout(tmp_path: Path) -> None:
    assert "actions/checkout" in refusal("suite.yml", tmp_path)


def test_a_file_outside_the_workspace_is_never_read(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (tmp_path / "secret.yml").write_text(SUITE)
    (workspace / "retestr.yml").symlink_to(tmp_path / "secret.yml")
    for name in ("../secret.yml", str(tmp_path / "secret.yml"), "retestr.yml", ""):
        assert "outside the workspace" in refusal(name, workspace)


def test_a_folder_is_no_suite(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(".", tmp_path)


def test_a_suite_above_one_mebibyte_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.yml").write_text("a: " + "x" * MAX_BYTES)
    assert "larger than 1 MiB" in refusal("s.yml", tmp_path)


def test_what_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.yml").write_bytes(b"a: \xff\xfe")
    assert "not UTF-8" in refusal("s.yml", tmp_path)


def test_broken_yaml_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "s.yml").write_text("tests:\n  - name: [Home\n")
    assert "line 3" in refusal("s.yml", tmp_path)


@pytest.mark.parametrize("text", ["", "# nothing\n", "- a\n- b\n", "just words\n"])
def test_yaml_that_is_no_mapping_is_no_suite(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.yml").write_text(text)
    assert "`baseUrl:`" in refusal("s.yml", tmp_path)


def test_a_bomb_of_aliases_is_not_unfolded(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    (tmp_path / "s.yml").write_text("\n".join(lines))
    assert read_suite("s.yml", tmp_path)
