"""Outputs, annotations and the JSON report."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from action_src.details import Details, fetch_details
from action_src.failure import Unreachable
from action_src.log import Log
from action_src.outcome import Ending, Outcome
from action_src.report import (
    Places,
    annotate,
    append,
    output_lines,
    outputs_of,
    report_json,
    report_name,
    write_report,
)
from action_src.run import Run, Snapshot

from .fakes import Clock, FakeApi, a_run, some_inputs

CHANGED = Outcome(Ending.CHANGED, a_run("FAILED", total=3, unchanged=1, changed=2), "Two differ.", 12.4)


def snapshots(number: int, status: str = "CHANGED", **more: object) -> tuple[Snapshot, ...]:
    return tuple(Snapshot(f"s{n}", status, test=f"T{n}", **more) for n in range(number))  # type: ignore[arg-type]


# --- outputs


def test_outputs_tell_the_run() -> None:
    assert outputs_of(CHANGED, "retestr-report.json") == {
        "run-id": "r1",
        "run-url": "https://retestr.example.com/runs/r1",
        "status": "FAILED",
        "total": "3",
        "unchanged": "1",
        "changed": "2",
        "new": "0",
        "errors": "0",
        "flaky": "0",
        "duration-seconds": "12",
        "report": "retestr-report.json",
    }


def test_outputs_are_empty_where_nothing_is_known() -> None:
    outputs = outputs_of(Outcome(Ending.UNREACHABLE))
    assert outputs.pop("status") == "UNREACHABLE"
    assert outputs.pop("duration-seconds") == "0"
    assert set(outputs.values()) == {""}
    assert outputs_of(Outcome(Ending.PASSED, Run("r1", "PASSED")))["total"] == ""


@pytest.mark.parametrize("value", ["a\nb=c", "a\rb", "x\nEND\ny"])
def test_a_value_with_line_ends_cannot_leave_its_output(value: str) -> None:
    lines = output_lines({"a": value, "b": "1"}, delimiter=lambda: "random")
    assert lines == f"a<<retestr_random\n{value}\nretestr_random\nb=1\n"


def test_each_delimiter_is_another() -> None:
    assert output_lines({"a": "x\ny"}) != output_lines({"a": "x\ny"})


# --- files


def test_a_file_that_cannot_be_written_is_only_a_warning(
    tmp_path: Path, log: Log, stream: io.StringIO
) -> None:
    append(tmp_path / "missing" / "file", "x", log)
    assert write_report(Places(None, None, tmp_path / "missing"), "", "{}", log) == ""
    assert stream.getvalue().count("::warning") == 2


def test_without_places_nothing_is_written(log: Log) -> None:
    append(Places.of({}).output, "x", log)


def test_a_report_is_never_written_through_a_link(tmp_path: Path, log: Log) -> None:
    target = tmp_path / "victim"
    target.write_text("untouched")
    (tmp_path / "retestr-report.json").symlink_to(target)
    assert write_report(Places(None, None, tmp_path), "", "{}", log) == "retestr-report.json"
    assert target.read_text() == "untouched"
    assert (tmp_path / "retestr-report.json").read_text() == "{}\n"


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("", "retestr-report.json"),
        ("Firefox / 1280", "retestr-report-firefox-1280.json"),
        ("../../x", "retestr-report-x.json"),
        ("x" * 200, f"retestr-report-{'x' * 60}.json"),
    ],
)
def test_the_report_is_named_after_the_run(name: str, file: str) -> None:
    assert report_name(name) == file


def test_the_report_can_be_read_by_other_steps() -> None:
    details = Details(
        changed=snapshots(1, sentence="Moved.", group="g"), error=snapshots(1, "ERROR", error_kind="timeout")
    )
    report = json.loads(report_json(CHANGED, details))
    assert (report["status"], report["ending"], report["exitCode"]) == ("FAILED", "CHANGED", 1)
    assert report["run"]["counts"]["changed"] == 2
    assert report["run"]["notice"] is None
    assert (report["changed"][0]["sentence"], report["changed"][0]["group"]) == ("Moved.", "g")
    assert report["errors"][0]["error"] == {"kind": "timeout", "message": None}
    assert json.loads(report_json(Outcome(Ending.SKIPPED), Details()))["run"] is None


# --- annotations


def annotations(outcome: Outcome, details: Details, **inputs: object) -> list[str]:
    stream = io.StringIO()
    annotate(outcome, details, some_inputs(**inputs), Log(stream))
    return stream.getvalue().splitlines()


def test_the_verdict_is_a_notice_where_each_change_and_each_reason_is_an_error() -> None:
    lines = annotations(
        CHANGED, Details(changed=snapshots(1), error=snapshots(1, "ERROR", error_message="Down."))
    )
    assert [line.split("::")[1] for line in lines] == [
        "notice title=retestr",
        "error title=retestr%3A changed",
        "error title=retestr%3A error",
    ]
    assert lines[2].endswith("::T0: Down.")


def test_there_are_never_more_than_ten_errors_and_one_is_kept_for_what_could_not_be_judged() -> None:
    down = snapshots(5, "ERROR", error_kind="unreachable")
    lines = annotations(CHANGED, Details(changed=snapshots(50), error=down))
    assert [line.count("error title=retestr%3A changed") for line in lines] == [0] + [1] * 9 + [0]
    assert "::error title=retestr%3A error::T0: unreachable And 4 more like it." in lines[-1]


def test_many_reasons_are_ten_annotations_at_most_too() -> None:
    many = tuple(Snapshot(f"s{n}", "ERROR", error_kind=f"kind {n}") for n in range(12))
    lines = annotations(Outcome(Ending.ERROR, a_run("ERROR", error=12)), Details(error=many))
    assert [line.split(" ")[0] for line in lines] == ["::notice"] + ["::error"] * 10


def test_one_change_on_many_pages_is_one_error() -> None:
    lines = annotations(CHANGED, Details(changed=snapshots(40, group="header") + snapshots(1)))
    assert len(lines) == 3
    assert "And 39 more like it." in lines[1]


def test_an_annotation_stands_at_its_test_in_the_suite_file() -> None:
    suite = "tests:\n  - {name: T1, path: /}\n  - path: /0\n    name: T0\n"
    lines = annotations(CHANGED, Details(changed=snapshots(3)), suite=suite, suite_file="e2e/retestr.yml")
    assert [line.split(",title")[0] for line in lines[1:]] == [
        "::error file=e2e/retestr.yml,line=4",
        "::error file=e2e/retestr.yml,line=2",
        "::error title=retestr%3A changed::T2: it looks different",
    ]


def test_a_failure_whose_findings_are_only_warnings_is_still_an_error() -> None:
    lines = annotations(CHANGED, Details(changed=snapshots(1)), fail_on=frozenset({"new"}))
    assert [line.split(" ")[0] for line in lines] == ["::error", "::warning"]


def test_a_time_out_stays_the_error_whatever_had_changed_by_then() -> None:
    late = Outcome(Ending.TIMED_OUT, a_run("CANCELLED", total=50, changed=40), "Too long.")
    lines = annotations(late, Details(changed=snapshots(40)))
    assert [line.split(" ")[0] for line in lines] == ["::error"] + ["::warning"] * 9


def test_a_run_that_ended_in_error_without_such_a_snapshot_tells_its_reason_as_the_error() -> None:
    ended = Outcome(Ending.ERROR, a_run("ERROR", changed=40), "There is no browser.")
    lines = annotations(ended, Details(changed=snapshots(40)))
    assert lines[0].startswith("::error title=retestr::There is no browser.")
    assert len(lines) == 10


def test_another_browser_than_the_baselines_is_a_notice() -> None:
    run = replace(a_run("FAILED", changed=1), notice="Drawn by another browser.")
    lines = annotations(replace(CHANGED, run=run), Details(changed=snapshots(1)))
    assert lines[0] == "::notice title=retestr::Drawn by another browser."


def test_what_does_not_fail_the_step_is_a_warning() -> None:
    tolerated = Outcome(Ending.TOLERATED, a_run("FAILED", total=1, changed=1))
    lines = annotations(tolerated, Details(changed=snapshots(1)), fail_on=frozenset())
    assert all(line.startswith("::warning") for line in lines)


def test_a_pass_needs_no_annotation() -> None:
    [line] = annotations(Outcome(Ending.PASSED, a_run("PASSED", total=1)), Details())
    assert not line.startswith("::")


def test_the_server_s_own_verdict_is_said_once() -> None:
    assert annotations(CHANGED, Details())[0].split("::")[2].startswith("Two differ. https")


def test_a_verdict_of_several_lines_stays_one_annotation() -> None:
    [line] = annotations(Outcome(Ending.INVALID, reason="a\n::error::b"), Details())
    assert line == "::error title=retestr::inputs or suite are wrong, nothing was tested: a%0A::error::b"


def test_hostile_names_stay_inside_their_annotation() -> None:
    [_, line] = annotations(CHANGED, Details(changed=(Snapshot("s1", "CHANGED", test="a\n::error::b"),)))
    assert line.startswith("::error title=retestr%3A changed::a%0A::error::b: ")


# --- what is fetched


def test_only_what_needs_a_person_is_fetched() -> None:
    flaky = Snapshot("f", "UNCHANGED", flaky=True)
    api = FakeApi(
        [a_run()],
        listed={
            "CHANGED": list(snapshots(2)),
            "NEW": list(snapshots(1, "NEW")),
            "UNCHANGED": [Snapshot("u", "UNCHANGED"), flaky],
        },
    )
    details = fetch_details(api, a_run("FAILED", total=9, changed=2, flaky=1), Clock())
    assert (len(details.changed), details.new, details.flaky) == (2, (), (flaky,))


def test_without_counts_everything_that_matters_is_asked_for() -> None:
    api = FakeApi([a_run()], listed={"NEW": list(snapshots(1, "NEW"))})
    assert len(fetch_details(api, Run("r1", "PASSED"), Clock()).new) == 1


def test_snapshots_that_cannot_be_fetched_are_told_not_fatal() -> None:
    class Broken(FakeApi):
        def snapshots(self, run_id, status, *, within_s=None):  # type: ignore[no-untyped-def]
            yield from snapshots(2)
            raise Unreachable("gone")

    details = fetch_details(Broken([a_run()]), a_run("FAILED", changed=9), Clock())
    assert (details.lost, len(details.changed)) == ("gone", 2)


def test_no_run_is_so_large_that_the_report_takes_for_ever() -> None:
    api = FakeApi([a_run()], listed={"CHANGED": list(snapshots(9000))})
    assert len(fetch_details(api, a_run("FAILED", changed=9000), Clock()).changed) == 5000
