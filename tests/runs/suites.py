"""Suites to test with, and what is told about bad ones."""

from pathlib import Path

import pytest

from server.runs.suite import Shot, SuiteError, parse
from server.vision.compare import Options

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/shop/retestr.yml"

SMALLEST = """\
baseUrl: https://staging.example.com
tests:
  - name: Home
    path: /
"""

FULL = """\
baseUrl: https://x.example/app/
threshold: 0.2
maxDiffRatio: 1e-3
maxDiffPixels: 20
antialiasing: yes
fullPage: no
waitFor: ["#ready", 500]
ignore: .advert
viewports:
  - {name: desktop, width: 1280, height: 800}
  - {name: phone, width: 390, height: 844, deviceScaleFactor: 2}
tests:
  - name: Login
    path: /login
    viewports: [phone, {name: tv, width: 1920, height: 1080}]
    fullPage: true
    element: "#form"
    waitFor: .form
    threshold: 0
    maxDiffRatio: 0.5
    antialiasing: no
    align: no
    status: 401
    ignore:
      - .clock
      - selector: .advert
      - {x: 1, y: 2, width: 3, height: 4}
    steps:
      - click: "#buy"
      - fill: {selector: "#q", value: 12.50}
      - hover: .menu
      - press: Enter
      - press: {selector: "#q", key: Control+A}
      - scroll: 800
      - scroll: "#footer"
      - wait: 500
      - wait: "#ready"
  - name: Elsewhere
    path: https://other.example/page?x=1#top
"""


def one_test(lines: str) -> str:
    """A suite whose only test has these lines besides its name; they start on line 3."""
    return "tests:\n  - name: Home\n" + "".join(f"    {line}\n" for line in lines.splitlines())


def tolerance(what: Shot | Options) -> tuple[float, float, int, bool, bool]:
    return what.threshold, what.max_diff_ratio, what.max_diff_pixels, what.antialiasing, what.align


def problems_of(text: str) -> list[tuple[int, int, str, str]]:
    with pytest.raises(SuiteError) as caught:
        parse(text)
    return [(p.line, p.column, p.path, p.message) for p in caught.value.problems]
