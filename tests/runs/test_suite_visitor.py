"""Suites: who visits, and what is covered."""

import json

import jsonschema
import yaml

from server.runs.suite import Shot, json_schema, parse
from server.vision.page import STABILIZERS, Box, Cookie, Login, Mask, Step
from tests.runs.suites import SMALLEST

COMPLETE = """\
baseUrl: https://x.example/app
mask: .price
hide: .chat
css: "b { color: red }"
headers: {X-Preview: yes, X-Number: 12}
basicAuth: {username: ada, password: "${{ secrets.PASSWORD }}"}
cookies: [{name: consent, value: all}]
localStorage: {theme: dark}
login:
  path: /login
  steps: [{fill: {selector: "#p", value: "${{secrets.PASSWORD}}"}}]
  waitFor: "#welcome"
colorScheme: dark
locale: de-CH
timezone: Europe/Zurich
blockHosts: "*.ADS.example"
stabilize: {time: false, hover: false}
viewports: [{name: phone, device: iphone 15}, {name: tv, device: iPhone 15, width: 1920, deviceScaleFactor: 1}]
tests:
  - name: All of it
    path: /
  - name: Its own
    path: /
    mask: [{selector: .price, color: "#ABC"}, {x: 1, y: 2, width: 3, height: 4}]
    hide: .banner
    css: "i { color: red }"
    headers: {}
    cookies: [{name: a, value: "1", domain: .x.example, path: /a}]
    login: no
    blockHosts: [cdn.example]
    stabilize: {video: no, time: yes}
    colorScheme: no-preference
"""


def test_who_visits_and_what_is_covered_arrive_in_the_page():
    page = parse(COMPLETE).shots()[0].page
    assert (page.mask, page.hide, page.css) == ((Mask("#ff69b4", ".price"),), (".chat",), "b { color: red }")
    assert page.stabilize == STABILIZERS - {"time", "hover"}
    assert (page.width, page.height, page.scale) == (393, 659, 3)
    visitor = page.visitor
    assert visitor.headers == (("X-Preview", "yes"), ("X-Number", "12"))
    assert visitor.credentials == ("ada", "${{ secrets.PASSWORD }}")
    assert visitor.cookies == (Cookie("consent", "all"),)
    assert visitor.local_storage == (("theme", "dark"),)
    assert visitor.login == Login(
        "https://x.example/app/login", (Step("fill", "#p", "${{secrets.PASSWORD}}"),), ("#welcome",)
    )
    assert (visitor.colour_scheme, visitor.locale, visitor.timezone) == ("dark", "de-CH", "Europe/Zurich")
    assert visitor.block_hosts == ("*.ads.example",)
    assert "iPhone" in visitor.user_agent
    assert visitor.is_mobile
    assert visitor.has_touch


def test_a_tests_own_keys_replace_the_suites_and_what_is_covered_or_blocked_adds_up():
    phone, tv = [shot.page for shot in parse(COMPLETE).shots() if shot.test == "Its own"]
    box = Mask("#ff69b4", box=Box(1, 2, 3, 4))
    assert phone.mask == (Mask("#ff69b4", ".price"), Mask("#aabbcc", ".price"), box)
    assert (phone.hide, phone.css) == ((".chat", ".banner"), "i { color: red }")
    assert phone.stabilize == STABILIZERS - {"hover", "video"}
    visitor = phone.visitor
    assert (visitor.headers, visitor.login) == ((), None)
    assert visitor.cookies == (Cookie("a", "1", ".x.example", "/a"),)
    assert visitor.local_storage == (("theme", "dark"),)
    assert visitor.block_hosts == ("*.ads.example", "cdn.example")
    assert visitor.colour_scheme == "no-preference"
    assert (tv.width, tv.height, tv.scale) == (1920, 659, 1)


def test_a_secret_may_stand_in_a_value_whatever_its_name():
    text = """\
cookies: [{name: a, value: "x ${{ secrets.KEY }}"}]
localStorage: {cookies: "${{ secrets.KEY }}", value: "${{ secrets.KEY }}"}
headers: {fill: "${{ secrets.KEY }}"}
basicAuth: {username: "${{ secrets.KEY }}", password: a}
"""
    visitor = parse(text + SMALLEST).shots()[0].page.visitor
    assert visitor.cookies == (Cookie("a", "x ${{ secrets.KEY }}"),)
    assert dict(visitor.local_storage)["cookies"] == dict(visitor.headers)["fill"] == "${{ secrets.KEY }}"


def test_lines_of_css_end_as_css_reads_them():
    text = 'css: "a {}\\r\\nb {}\\rc {}"\n' + SMALLEST
    assert parse(text).shots()[0].page.css == "a {}\nb {}\nc {}"


def test_the_complete_suite_is_one_for_editors_too_and_survives_a_database_row():
    told = yaml.safe_load(COMPLETE)
    told["headers"] = {"X-Preview": "yes"}
    jsonschema.Draft202012Validator(json_schema()).validate(told)
    for shot in parse(COMPLETE).shots():
        assert Shot.from_json(shot.to_json()) == shot


def test_a_shot_that_was_stored_before_these_keys_can_be_read():
    told = json.loads(parse(SMALLEST).shots()[0].to_json())
    del told["viewport"]["device"]
    for name in ("mask", "hide", "css", "visitor", "stabilize"):
        del told["page"][name]
    assert Shot.from_json(json.dumps(told)) == parse(SMALLEST).shots()[0]
