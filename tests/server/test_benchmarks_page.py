"""docs/benchmarks.md: each benchmark's part is written anew by itself, goals stand beside figures."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from scripts.write_benchmarks import GOALS, PAGE, QUESTIONS, written

ROOT = Path(__file__).resolve().parents[2]
EMPTY = "# Benchmarks\n\n<!-- benchmarks -->\n<!-- /benchmarks -->\n\nAfter.\n"
TODAY = (date(2026, 11, 24), "2 cores")


def test_a_goal_stands_beside_its_figure_reached_or_not() -> None:
    page = written(EMPTY, "auth", "| a |\n| --- |\n\n- met: 2.9 × bare\n- MISSED: 3.5 × bare\n", [], *TODAY)
    row = next(line for line in page.splitlines() if line.startswith("| auth |"))
    assert row.endswith("| reached: 2.9 × bare<br>**missed**: 3.5 × bare |")
    assert "| capture | 5 |" in page
    assert "not measured yet" in page
    assert "`scripts/bench auth`, 24 November 2026, 2 cores." in page


def test_a_part_is_replaced_and_the_others_stay() -> None:
    page = written(EMPTY, "scale", "| first |", ["--quicker"], *TODAY)
    page = written(page, "auth", "plain text", [], *TODAY)
    again = written(page, "scale", "| second |", [], *TODAY)
    assert "| first |" not in again
    assert "```text\nplain text\n```" in again
    assert again.index("## auth") < again.index("## scale")
    assert again.endswith("\nAfter.\n")
    assert written(again, "scale", "| second |", [], *TODAY) == again


def test_an_option_that_is_in_the_parts_name_is_told_once() -> None:
    page = written(EMPTY, "determinism --seeded", "| a |", ["--seeded", "--rounds", "2"], *TODAY)
    assert "`scripts/bench determinism --seeded --rounds 2`" in page


def test_every_benchmark_has_a_question_and_a_goal() -> None:
    files = {file.stem for file in (ROOT / "benchmarks").glob("[!_]*.py")} - {"pages"}
    assert {name.split()[0] for name in QUESTIONS} == files
    assert set(GOALS) == set(QUESTIONS)
    assert "<!-- benchmarks -->" in PAGE.read_text()
