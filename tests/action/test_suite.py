"""The suite file: what is sent, and why something is not."""

from pathlib import Path

import pytest

from action_src.suite import MAX_BYTES, UnusableSuite, file_of, lines_of_tests, read_suite

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


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    assert "outside the workspace" in refusal("a\0b.yml", tmp_path)


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


# --- where its tests stand


def test_each_test_has_the_line_of_its_name() -> None:
    text = """\
baseUrl: https://staging.example.com
viewports: [{name: phone, width: 390, height: 844}]
tests:
  - name: Home
    steps: [{fill: {selector: a, value: b}}, {click: c}]
    mask: {name: no}
  - path: /cart
    ignore: &all [.clock]
    name: "Cart, empty"
  - {ignore: *all, name: 404, path: /x}
  - name: Home
login: {name: nobody}
"""
    assert lines_of_tests(text) == {"Home": 4, "Cart, empty": 9, "404": 10}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tests",
        "[1, 2]",
        "tests: {name: x}",
        "tests: [[name, x]]",
        "tests: [name: [x",
        "? [a]\n: b\n",
        "tests: [*x]",
    ],
)
def test_what_is_no_suite_has_no_lines(text: str) -> None:
    assert lines_of_tests(text) == {}


def test_lines_of_a_bomb_of_aliases_are_found_at_once() -> None:
    bomb = "a: &a [1]\n" + "".join(f"b{n}: &b{n} [{', '.join(['*a'] * 9)}]\n" for n in range(9))
    assert lines_of_tests(bomb + "tests: [{name: x}]\n") == {"x": 11}


def test_deeply_nested_text_is_walked_not_climbed() -> None:
    assert lines_of_tests("tests: " + "[" * 5000 + "]" * 5000) == {}


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("", "retestr.yml"),
        ("apps/shop/suite.yml", "apps/shop/suite.yml"),
        ("./apps//shop/../blog.yml", "apps/blog.yml"),
        ("/github/workspace/a.yml", "a.yml"),
    ],
)
def test_annotations_name_the_file_within_the_workspace(name: str, file: str) -> None:
    assert file_of(name, Path("/github/workspace")) == file
