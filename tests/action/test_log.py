"""The log: nothing becomes a command by accident, nothing secret is written."""

import io

import pytest

from action_src.log import Log, one_line


def written(log_calls: list[tuple[str, str]], *, debug: bool = False) -> str:
    stream = io.StringIO()
    log = Log(stream, debug=debug)
    for method, text in log_calls:
        getattr(log, method)(text)
    return stream.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "::set-env name=X::y",
        "  ::error::boo",
        "a\n::error::boo",
        "a\r::error::boo",
        "a\u2028::error::boo",
        "x ##[error]boo",
        ":::error::boo",
        "\x1b[2J::error::boo",
    ],
)
def test_a_line_can_never_be_a_command(text: str) -> None:
    line = written([("line", text)])
    assert line.count("\n") == 1
    assert not line.lstrip().startswith("::")
    assert "##[" not in line
    assert "\x1b" not in line


def test_an_annotation_stays_one_command_whatever_it_says() -> None:
    stream = io.StringIO()
    Log(stream).error("50%\r\n::warning::x", "a:b,c\nd")
    assert stream.getvalue() == "::error title=a%3Ab%2Cc d::50%25%0D%0A::warning::x\n"


def test_an_overlong_annotation_is_cut() -> None:
    assert len(written([("warning", "x" * 9000)])) < 4096


def test_a_secret_is_masked_first_and_hidden_ever_after() -> None:
    out = written(
        [
            ("mask", "vts_secret"),
            ("line", "a vts_secret"),
            ("error", "b vts_secret"),
            ("notice", "c vts_secret"),
            ("debug", "d vts_secret"),
        ],
        debug=True,
    )
    assert out.splitlines()[0] == "::add-mask::vts_secret"
    assert out.count("vts_secret") == 1
    assert out.count("***") == 4


def test_nothing_is_masked_where_there_is_no_secret() -> None:
    assert written([("mask", " ")]) == ""


def test_a_tiny_secret_does_not_blot_out_words() -> None:
    assert "a word" in written([("mask", "a"), ("line", "a word")])


def test_debug_lines_show_only_on_demand() -> None:
    assert written([("debug", "x")]) == ""
    assert written([("debug", "x\ny")], debug=True) == "::debug::x\n::debug::y\n"


def test_a_group_ends_even_when_its_work_fails() -> None:
    stream = io.StringIO()
    with pytest.raises(ZeroDivisionError), Log(stream).group("Work\n::x"):
        raise ZeroDivisionError
    assert stream.getvalue() == "::group::Work ::x\n::endgroup::\n"


def test_a_closed_pipe_does_not_stop_the_work() -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    Log(Closed()).line("x")


def test_marks_that_turn_text_around_are_taken_out() -> None:
    assert one_line("a\u202eb\x07c\n") == "a b c"
