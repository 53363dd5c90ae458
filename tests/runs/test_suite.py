"""Suites: what is read from good ones."""

import json
import subprocess
import sys
import time

import pytest

from server.runs import devices
from server.runs.suite import Shot, SuiteError, Viewport, parse
from server.vision.compare import Options
from server.vision.page import Box, Step
from tests.runs.suites import FULL, ROOT, SMALLEST, one_test, tolerance


def test_the_smallest_suite_has_the_documented_defaults():
    (shot,) = parse(SMALLEST).shots()
    assert (shot.test, tolerance(shot)) == ("Home", (0.1, 0, 0, False, True))
    assert tolerance(shot) == tolerance(Options())
    assert (shot.viewport.name, shot.viewport.width, shot.viewport.height) == ("desktop", 1280, 800)
    page = shot.page
    assert (page.url, page.width, page.height, page.scale) == ("https://staging.example.com/", 1280, 800, 1)
    assert page.full_page is True
    assert (page.element, page.wait_for, page.steps, page.status) == (None, (), (), None)


def test_everything_a_test_can_say_arrives_in_its_page():
    shot = parse(FULL).shots()[0]
    page = shot.page
    assert (shot.test, shot.viewport.name) == ("Login", "phone")
    assert tolerance(shot) == (0, 0.5, 20, False, False)
    assert (page.url, page.scale, page.full_page, page.status) == (
        "https://x.example/app/login",
        2,
        True,
        401,
    )
    assert (page.element, page.wait_for) == ("#form", (".form",))
    assert page.ignore_selectors == (".advert", ".clock")
    assert page.ignore_boxes == (Box(1, 2, 3, 4),)
    assert page.steps == (
        Step("click", "#buy"),
        Step("fill", "#q", "12.50"),
        Step("hover", ".menu"),
        Step("press", None, "Enter"),
        Step("press", "#q", "Control+A"),
        Step("scroll", None, 800),
        Step("scroll", "#footer"),
        Step("wait", None, 500),
        Step("wait", "#ready"),
    )


def test_a_test_that_says_nothing_has_what_the_suite_says():
    elsewhere = [shot for shot in parse(FULL).shots() if shot.test == "Elsewhere"]
    assert [shot.viewport.name for shot in elsewhere] == ["desktop", "phone"]
    shot = elsewhere[0]
    assert tolerance(shot) == (0.2, 0.001, 20, True, True)
    assert (shot.page.full_page, shot.page.wait_for) == (False, ("#ready", 500))
    assert shot.page.ignore_selectors == (".advert",)
    assert shot.page.url == "https://other.example/page?x=1#top"


def test_shots_come_in_the_order_of_tests_then_viewports():
    order = [(shot.test, shot.viewport.name) for shot in parse(FULL).shots()]
    assert order == [("Login", "phone"), ("Login", "tv"), ("Elsewhere", "desktop"), ("Elsewhere", "phone")]


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        ("https://x.example", "/", "https://x.example/"),
        ("https://x.example/", "/login", "https://x.example/login"),
        ("https://x.example/app", "/login", "https://x.example/app/login"),
        ("https://x.example/app/", "/?q=1", "https://x.example/app/?q=1"),
        ("http://[::1]:8080", "//other.example", "http://[::1]:8080//other.example"),
        ("http://u:p@x.example", "http://y.example", "http://y.example"),
    ],
)
def test_a_path_is_put_behind_the_whole_base_url(base: str, path: str, url: str):
    suite = parse(one_test(f"path: {path}")).with_base_url(base)
    assert suite.shots()[0].page.url == url


def test_an_address_that_is_too_long_as_a_whole_is_told_with_its_test():
    suite = parse(one_test(f"path: /{'p' * 1500}"))
    with pytest.raises(SuiteError, match=r'address of the test "Home".*more than 2000 characters'):
        suite.with_base_url(f"https://x.example/{'b' * 1500}").shots()


def test_the_base_url_of_a_run_replaces_the_suites():
    suite = parse(SMALLEST)
    assert suite.with_base_url("https://preview.example").shots()[0].page.url == "https://preview.example/"
    assert suite.base_url == "https://staging.example.com"


@pytest.mark.parametrize(
    "url",
    ["", "x.example", "ftp://x", "http://", "https://x/?q", "https://x#y", "http://[::1", "http://x:99999",
     "http://a b", "http://a\nb", "//x", "javascript:alert(1)", "http:\\\\x", "file:///etc/passwd"],
)  # fmt: skip
def test_a_base_url_that_is_no_http_address_is_refused(url: str):
    with pytest.raises(SuiteError, match="baseUrl must be an http or https address"):
        parse(SMALLEST).with_base_url(url)


def test_a_path_without_a_base_url_is_told_when_the_shots_are_wanted():
    with pytest.raises(SuiteError, match='baseUrl is missing: the test "Home" has only a path'):
        parse(one_test("path: /")).shots()
    assert parse(one_test("path: http://x.example/a")).shots()[0].page.url == "http://x.example/a"


NAMES = ["Shop", "Shop: cart", "shop", "A [1]", "A 1", "x*"]


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        ([], NAMES),
        (["Shop"], ["Shop"]),
        (["Shop*"], ["Shop", "Shop: cart"]),
        (["[Ss]hop"], ["Shop", "shop"]),
        (["A [1]"], ["A [1]"]),
        (["x*"], ["x*"]),
        (["shop", "Shop"], ["Shop", "shop"]),
        (["?hop*", "A 1"], ["Shop", "Shop: cart", "shop", "A 1"]),
        (["none"], []),
    ],
)
def test_patterns_choose_tests_by_exact_name_first(patterns: list[str], chosen: list[str]):
    tests = [{"name": name, "path": "/"} for name in NAMES]
    suite = parse(json.dumps({"baseUrl": "http://x.example", "tests": tests}))
    assert [shot.test for shot in suite.shots(patterns)] == chosen


def test_a_pattern_made_to_be_slow_is_not():
    suite = parse(json.dumps({"baseUrl": "http://x.example", "tests": [{"name": "a" * 200, "path": "/"}]}))
    began = time.process_time()
    assert suite.shots(["a*" * 50 + "b"]) == []
    assert time.process_time() - began < 2


def test_a_shot_survives_the_way_through_a_database_row():
    for shot in parse(FULL).shots():
        text = shot.to_json()
        assert Shot.from_json(text) == shot
        assert json.loads(text)["page"]["url"] == shot.page.url


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("404", "404"),
        ("1.50", "1.50"),
        ("no", "no"),
        ("null", "null"),
        ("2024-01-31", "2024-01-31"),
        ('" x "', "x"),
    ],
)
def test_a_name_is_text_whatever_yaml_takes_it_for(written: str, name: str):
    assert parse(f"tests: [{{name: {written}, path: /}}]").tests[0].name == name


@pytest.mark.parametrize(
    ("written", "meant"),
    [("yes", True), ("On", True), ("TRUE", True), ("no", False), ("off", False), ("false", False)],
)
def test_truth_is_understood_in_yamls_old_words_too(written: str, meant: bool):
    assert parse(one_test(f"path: /\nfullPage: {written}")).tests[0].full_page is meant


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm():
    assert parse("\ufeff" + SMALLEST.replace("\n", "\r\n")) == parse(SMALLEST)


def test_an_anchor_can_be_used_again():
    suite = parse("tests:\n  - {name: a, path: /, ignore: &i [.x, .y]}\n  - {name: b, path: /, ignore: *i}\n")
    assert suite.tests[0].ignore == suite.tests[1].ignore == (".x", ".y")


@pytest.mark.parametrize(
    ("was", "names"), [("Home page", ("Home page",)), ("[Home page, 404]", ("Home page", "404")), ("[]", ())]
)
def test_earlier_names_of_a_test_go_with_its_shots(was, names):
    (shot,) = parse(SMALLEST + f"    was: {was}\n").shots()
    assert shot.was == names
    assert Shot.from_json(shot.to_json()).was == names


def test_every_device_of_playwright_makes_a_viewport():
    for name, device in devices.known().items():
        viewport = Viewport.model_validate({"name": "x", "device": name})
        assert (viewport.width, viewport.height) == (device["width"], device["height"])


def test_reading_suites_loads_nothing_heavy():
    code = "import sys, server.runs.suite; print([m for m in ('playwright', 'numpy', 'imagecodecs') if m in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "[]"
