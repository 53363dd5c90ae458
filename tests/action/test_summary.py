"""The job summary: expected Markdown, bounds, and foreign text that stays text.

`RETESTR_WRITE_EXPECTED=1` writes the expected files anew; look at the difference before you commit it.
"""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from action_src.details import Details
from action_src.markdown import picture
from action_src.outcome import Ending, Outcome
from action_src.run import Run, Snapshot, read_snapshot
from action_src.summary import MAX_BYTES, Form, summary, verdict

from .fake_server import snapshot_json
from .fakes import a_run

EXPECTED = Path(__file__).parent / "expected"
BASELINE = {
    "id": "b1",
    "branch": "main",
    "commitSha": "b" * 40,
    "approvedBy": "Ada",
    "approvedAt": "2026-10-30T12:00:00Z",
}
HOSTILE = "|<script>`[x](javascript:y)`\n# @ada ::error::"


def changed(identity: str, **more: object) -> Snapshot:
    return read_snapshot(snapshot_json(identity, **more))


def the_run(status: str, **counts: int) -> Run:
    return replace(a_run(status, **counts), branch="feature/cart", commit_sha="a" * 40)


FOUND = Details(
    changed=(
        changed("s1", sentence="The button moved 4 px down.", baseline=BASELINE),
        changed(
            "s2",
            test="Checkout",
            viewport="375x812",
            ratio=0.0123,
            review="REJECTED",
            reviewedBy="Grace",
            reviewReason="The price must stay on one line.",
            baseline={"branch": "main"},
        ),
    ),
    error=(
        changed("s3", test="Cart", status="ERROR", error={"kind": "timeout", "message": "No load in 30 s."}),
    ),
    new=(changed("s4", test="About", status="NEW"),),
    flaky=(changed("s5", test="Search", status="UNCHANGED", flaky=True),),
)

GROUPED = (
    changed("small", test="Small", ratio=0.001, sentence="One small change.", group=None),
    *(
        changed(
            f"h{n}",
            test=f"Page {n}",
            group="header",
            ratio=0.01 * n,
            sentence="The header moved 4 px down.",
            review="APPROVED" if n == 3 else "UNREVIEWED",
            baseline=BASELINE,
            thumbnailUrl=f"https://retestr.example.com/t/h{n}.png?until=1&signature=a",
        )
        for n in range(1, 15)
    ),
    changed("big", test="Big", ratio=0.9, sentence="Everything.", thumbnailUrl="http://not.encrypted/t.png"),
    *(changed(f"a{n}", test=f"Approved {n}", ratio=1.0, group="logo", review="APPROVED") for n in (1, 2)),
)

CASES = {
    "passed": (Outcome(Ending.PASSED, the_run("PASSED", total=3, done=3, unchanged=3), "", 41), Details()),
    "first_run": (
        Outcome(Ending.PASSED, the_run("PASSED", total=1, done=1, new=1), "", 4),
        Details(new=FOUND.new),
    ),
    "changed": (
        Outcome(
            Ending.CHANGED,
            the_run("FAILED", total=12, done=12, unchanged=8, changed=2, new=1, error=1, flaky=1),
            "2 snapshots look different.",
            75,
        ),
        FOUND,
    ),
    "grouped": (
        Outcome(
            Ending.CHANGED,
            replace(
                the_run("FAILED", total=20, done=20, unchanged=2, changed=18),
                notice="The baselines were drawn by Chromium 140, this run by Chromium 141.",
            ),
            "18 snapshots look different.",
            75,
        ),
        Details(changed=GROUPED),
    ),
    "tolerated": (
        Outcome(Ending.TOLERATED, the_run("FAILED", total=2, done=2, unchanged=1, changed=1), "", 9),
        Details(changed=FOUND.changed[:1]),
    ),
    "error": (
        Outcome(Ending.ERROR, the_run("ERROR", total=1, done=1, error=1), "The site is unreachable.", 9),
        Details(error=FOUND.error),
    ),
    "timed_out": (
        Outcome(Ending.TIMED_OUT, the_run("CANCELLED", total=9, done=4, changed=1), "Too long.", 1800),
        Details(lost="The server did not answer."),
    ),
    "unreachable": (
        Outcome(Ending.UNREACHABLE, None, "The server could not be used: connection refused."),
        Details(),
    ),
    "skipped": (Outcome(Ending.SKIPPED, None, "There is no API key."), Details()),
    "hostile": (
        Outcome(
            Ending.CHANGED,
            Run("r<1>", "FAILED", url="javascript:x", branch=HOSTILE, commit_sha=HOSTILE, message=HOSTILE),
            HOSTILE,
            1,
        ),
        Details(
            changed=(
                changed(
                    "s1",
                    test=HOSTILE,
                    sentence=HOSTILE,
                    url=HOSTILE,
                    baseline={"branch": HOSTILE, "approvedBy": HOSTILE},
                ),
            )
        ),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_summary_reads_as_expected(name: str) -> None:
    text = summary(*CASES[name], name="firefox" if name == "changed" else "")
    path = EXPECTED / f"{name}.md"
    if os.environ.get("RETESTR_WRITE_EXPECTED"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_every_expected_file_belongs_to_a_case() -> None:
    assert {path.stem for path in EXPECTED.iterdir()} == set(CASES)


def test_the_verdict_is_the_first_line() -> None:
    for outcome, details in CASES.values():
        assert "retestr: " in summary(outcome, details).splitlines()[0]


def test_hostile_text_stays_text() -> None:
    text = summary(*CASES["hostile"])
    assert "<script>" not in text
    assert "](javascript:" not in text.replace(r"\](", "")
    assert all(line.count("|") - line.count(r"\|") in (0, 5) for line in text.splitlines())


@pytest.mark.parametrize("number", [10, 1000, 5000])
def test_a_summary_never_comes_near_the_runner_s_limit_and_tells_what_is_left_out(number: int) -> None:
    long = changed("s", test="é" * 300, sentence="<" * 300, url="https://retestr.example.com/x" + "é" * 300)
    outcome = Outcome(Ending.CHANGED, the_run("FAILED", total=number, changed=number), "<x\n" * 100_000)
    text = summary(outcome, Details(changed=(long,) * number))
    assert len(text.encode()) <= MAX_BYTES
    rows = text.count("https://retestr.example.com/x")
    assert rows == number or f"… and {number - rows} more, not shown here" in text
    assert "Re-run failed jobs" in text


def test_more_rows_than_a_page_can_show_are_counted_as_what_they_stand_for() -> None:
    found = [changed(f"s{n}", group=f"g{n // 2}") for n in range(6)]
    outcome = Outcome(Ending.CHANGED, the_run("FAILED", total=6, changed=6))
    assert "… and 4 more" in summary(outcome, Details(changed=tuple(found)), form=Form(max_rows=1))


def test_pictures_are_left_out_where_they_would_outlive_their_address() -> None:
    outcome, details = CASES["grouped"]
    assert "<img" in summary(outcome, details)
    assert "<img" not in summary(outcome, details, form=Form(pictures=False))


def test_a_summary_has_no_more_pictures_than_a_browser_likes() -> None:
    found = tuple(
        changed(f"s{n}", group=f"g{n}", thumbnailUrl=f"https://retestr.example.com/{n}.png")
        for n in range(60)
    )
    outcome = Outcome(Ending.CHANGED, the_run("FAILED", total=60, changed=60))
    text = summary(outcome, Details(changed=found))
    assert (text.count("<img"), text.count("| [")) == (50, 60)


def test_a_picture_never_comes_unencrypted_or_breaks_its_tag() -> None:
    assert picture("http://a.example/x.png", 9) == picture("javascript:x", 9) == picture("", 9) == ""
    assert picture('https://a.example/"><b>', 9) == (
        '<img src="https://a.example/%22%3E%3Cb%3E" width="9" alt="">'
    )


def test_elsewhere_than_on_the_workflow_s_page_the_way_back_is_linked() -> None:
    form = Form(workflow_url="https://github.com/acme/shop/actions/runs/1")
    text = summary(*CASES["changed"], form=form)
    assert "in [the workflow run](https://github.com/acme/shop/actions/runs/1)" in text


def test_a_section_without_room_is_still_counted() -> None:
    outcome = Outcome(Ending.CHANGED, the_run("FAILED", total=2, changed=2))
    text = summary(outcome, Details(changed=FOUND.changed), form=Form(max_bytes=800))
    assert "… and 2 more" in text


def test_more_in_the_run_than_was_fetched_is_told() -> None:
    outcome = Outcome(Ending.CHANGED, the_run("FAILED", total=5000, changed=4000))
    assert "… and 3998 more" in summary(outcome, Details(changed=FOUND.changed))


def test_each_ending_has_words() -> None:
    for ending in Ending:
        assert verdict(Outcome(ending, a_run("FAILED", total=1, changed=1)))
        assert verdict(Outcome(ending))
