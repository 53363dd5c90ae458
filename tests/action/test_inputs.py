"""INPUT_* -> Inputs: what is taken, what is refused, and in which words."""

from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import pytest

from action_src.inputs import Inputs, WrongInputs, read_inputs

from .conftest import EVENTS, MERGE_SHA, Environ
from .fake_server import KEY


def problems_of(environ: Environ) -> list[str]:
    with pytest.raises(WrongInputs) as caught:
        read_inputs(environ)
    return caught.value.problems


def test_key_and_project_are_enough(environ: Environ) -> None:
    inputs = read_inputs(environ)
    assert (inputs.api_key, inputs.project_id, inputs.branch) == (KEY, "shop", "feature/cart")
    assert (inputs.server_url, inputs.wait) == ("https://retestr.ai", True)
    assert (inputs.timeout_s, inputs.stall_s) == (1800.0, 600.0)
    assert inputs.fail_on == {"changed", "error"}
    assert (inputs.on_missing_key, inputs.on_unreachable) == ("fail", "fail")
    assert (inputs.suite, inputs.tests, inputs.base_url, inputs.name) == (None, (), "", "")
    assert inputs.workflow_url == "https://github.com/acme/shop/actions/runs/1000"


def test_empty_inputs_mean_their_defaults(environ: Environ) -> None:
    empty = dict.fromkeys(
        ("INPUT_SERVER-URL", "INPUT_WAIT", "INPUT_FAIL-ON", "INPUT_BRANCH", "INPUT_SUITE"), ""
    )
    assert read_inputs(environ | empty) == read_inputs(environ)


def test_the_key_is_not_shown_by_the_inputs(environ: Environ) -> None:
    assert KEY not in repr(read_inputs(environ))


def test_each_cleaner_returns_what_its_field_promises(environ: Environ) -> None:
    inputs = read_inputs(environ | {"INPUT_TESTS": "Home"})
    allowed = {
        "str": str,
        "bool": bool,
        "float": float,
        "frozenset[str]": frozenset,
        "tuple[str, ...]": tuple,
    }
    for name, hint in get_type_hints(Inputs).items():
        label = hint.__name__ if hint in (str, bool, float) else str(hint)
        if label in allowed:
            assert type(getattr(inputs, name)) is allowed[label], name
    assert len(fields(Inputs)) == len(get_type_hints(Inputs))


def test_all_wrong_values_are_told_at_once(environ: Environ) -> None:
    environ |= {
        "INPUT_API-KEY": "",
        "INPUT_PROJECT-ID": "",
        "INPUT_SERVER-URL": "retestr.ai",
        "INPUT_SUITE": "missing.yml",
        "INPUT_WAIT": "yes",
        "INPUT_TIMEOUT-MINUTES": "soon",
        "INPUT_STALL-MINUTES": "0",
        "INPUT_FAIL-ON": "everything",
        "INPUT_ON-MISSING-KEY": "ignore",
        "INPUT_ON-UNREACHABLE": "ignore",
        "INPUT_SUMMARY": "1",
        "INPUT_ANNOTATIONS": "on",
    }
    told = [problem.split()[0] for problem in problems_of(environ)]
    assert told == [
        "api-key",
        "project-id",
        "server-url",
        "suite",
        "wait",
        "timeout-minutes",
        "stall-minutes",
        "fail-on",
        "on-missing-key",
        "on-unreachable",
        "summary",
        "annotations",
    ]


def test_a_missing_key_explains_forks_and_dependabot(environ: Environ) -> None:
    [problem] = problems_of(environ | {"INPUT_API-KEY": " "})
    assert "forks" in problem
    assert "Dependabot" in problem
    assert "on-missing-key: skip" in problem
    assert "secrets.RETESTR_API_KEY" in problem
    assert not problem.endswith((".", "?"))  # who tells it ends the sentence


def test_a_missing_key_may_be_skipped_with_the_project_missing_too(environ: Environ) -> None:
    environ |= {"INPUT_API-KEY": "", "INPUT_PROJECT-ID": "", "INPUT_ON-MISSING-KEY": "Skip"}
    assert read_inputs(environ).api_key == ""


def test_skipping_a_missing_key_does_not_hide_a_wrong_input(environ: Environ) -> None:
    environ |= {"INPUT_API-KEY": "", "INPUT_ON-MISSING-KEY": "skip", "INPUT_FAIL-ON": "chnaged"}
    assert len(problems_of(environ)) == 1


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("Bearer vts_abc", "Bearer"),
        ("vts_abc def", "spaces"),
        ("vts_abc\ndef", "line ends"),
        ("vts_ä", "characters"),
    ],
)
def test_a_key_that_cannot_be_one_is_refused_without_being_shown(
    environ: Environ, key: str, words: str
) -> None:
    [problem] = problems_of(environ | {"INPUT_API-KEY": key})
    assert words in problem
    assert "abc" not in problem


def test_a_key_given_as_project_is_not_shown(environ: Environ) -> None:
    [problem] = problems_of(environ | {"INPUT_PROJECT-ID": "vts_secret"})
    assert problem.startswith("project-id holds an API key")
    assert "secret" not in problem


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("https://retestr.example.com/", "https://retestr.example.com"),
        ("https://retestr.example.com/api", "https://retestr.example.com"),
        ("https://retestr.example.com/api/", "https://retestr.example.com"),
        ("http://172.17.0.1:8000", "http://172.17.0.1:8000"),
        ("https://example.com/retestr", "https://example.com/retestr"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://api", "http://api"),
        ("http://api/api", "http://api"),
        ("https://retestr.example.com./", "https://retestr.example.com."),
    ],
)
def test_the_server_may_be_named_as_people_do(environ: Environ, given: str, taken: str) -> None:
    assert read_inputs(environ | {"INPUT_SERVER-URL": given}).server_url == taken


@pytest.mark.parametrize(
    "given",
    [
        "retestr.ai",
        "ftp://retestr.ai",
        "https://",
        "https://host:port",
        "https://retestr..example.com",
        f"https://{'a' * 64}.example.com",
        "https://[::1",
        "https://a b",
        "https://host?x=1",
        "https://host#x",
        "https://ada:hunter2@host",
        "javascript:alert(1)",
    ],
)
def test_what_is_no_address_of_a_server_is_refused(environ: Environ, given: str) -> None:
    [problem] = problems_of(environ | {"INPUT_SERVER-URL": given})
    assert problem.startswith("server-url ")
    assert "hunter2" not in problem


def test_a_base_url_may_carry_credentials_but_a_wrong_one_does_not_show_them(environ: Environ) -> None:
    assert read_inputs(environ | {"INPUT_BASE-URL": "https://u:p@preview.example.com"}).base_url
    [problem] = problems_of(environ | {"INPUT_BASE-URL": "htps://u:hunter2@preview.example.com"})
    assert "hunter2" not in problem


def test_an_explicit_branch_and_commit_win(environ: Environ) -> None:
    inputs = read_inputs(environ | {"INPUT_BRANCH": "refs/heads/release/1", "INPUT_COMMIT-SHA": "v1-build.7"})
    assert (inputs.branch, inputs.commit_sha) == ("release/1", "v1-build.7")


def test_the_merge_ref_and_commit_of_a_pull_request_are_never_taken(environ: Environ) -> None:
    environ |= {
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(EVENTS / "pull_request.json"),
        "INPUT_BRANCH": "5/merge",
        "INPUT_COMMIT-SHA": MERGE_SHA,
    }
    inputs = read_inputs(environ)
    assert (inputs.branch, inputs.commit_sha) == ("feature/cart", "1" * 40)
    assert (inputs.base_branch, inputs.pull_request) == ("main", 5)


def test_a_branch_that_looks_like_a_merge_ref_is_one_outside_pull_requests(environ: Environ) -> None:
    assert read_inputs(environ | {"INPUT_BRANCH": "5/merge"}).branch == "5/merge"


def test_an_event_without_branch_asks_for_one(environ: Environ) -> None:
    environ |= {"GITHUB_EVENT_NAME": "schedule", "GITHUB_REF_NAME": ""}
    [problem] = problems_of(environ)
    assert problem.startswith("branch cannot be told")
    recipe = problem.partition('recipe "')[2].partition('"')[0]
    assert f"\n### {recipe}\n" in (EVENTS.parents[2] / "docs/action.md").read_text()


def test_the_commit_is_optional(environ: Environ) -> None:
    environ |= {"GITHUB_EVENT_NAME": "schedule", "GITHUB_SHA": ""}
    assert read_inputs(environ).commit_sha == ""


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("Home", ("Home",)),
        ("Home, Check*", ("Home", "Check*")),
        ("Hello, world\n\n Home \n", ("Hello, world", "Home")),
        (" , ", ()),
    ],
)
def test_tests_stand_on_lines_or_between_commas(environ: Environ, given: str, taken: tuple[str, ...]) -> None:
    assert read_inputs(environ | {"INPUT_TESTS": given}).tests == taken


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("changed", {"changed"}),
        ("new changed", {"new", "changed"}),
        ("Changed,\nERROR", {"changed", "error"}),
        ("never", set()),
    ],
)
def test_fail_on_is_a_list(environ: Environ, given: str, taken: set[str]) -> None:
    assert read_inputs(environ | {"INPUT_FAIL-ON": given}).fail_on == taken


@pytest.mark.parametrize("given", ["never,changed", ",", "all", "true"])
def test_a_wrong_fail_on_tells_what_is_allowed(environ: Environ, given: str) -> None:
    [problem] = problems_of(environ | {"INPUT_FAIL-ON": given})
    assert "`changed`, `new` and `error`, or `never` alone" in problem


@pytest.mark.parametrize("given", ["0", "-1", "1441", "nan", "inf", "ten", "1h"])
def test_minutes_are_numbers_within_a_day(environ: Environ, given: str) -> None:
    [problem] = problems_of(environ | {"INPUT_TIMEOUT-MINUTES": given})
    assert "at most 1440" in problem


def test_minutes_may_be_fractions(environ: Environ) -> None:
    assert read_inputs(environ | {"INPUT_STALL-MINUTES": "0.5"}).stall_s == 30


@pytest.mark.parametrize(("given", "taken"), [("true", True), ("False", False), ("TRUE", True)])
def test_switches_are_true_or_false_in_any_case(environ: Environ, given: str, taken: bool) -> None:
    assert read_inputs(environ | {"INPUT_WAIT": given}).wait is taken


def test_text_inputs_are_one_line_and_not_endless(environ: Environ) -> None:
    environ |= {"INPUT_NAME": "a\nb", "INPUT_PROJECT-ID": "x" * 501, "INPUT_COMMIT-SHA": "a b"}
    assert [problem.split()[0] for problem in problems_of(environ)] == ["project-id", "commit-sha", "name"]


def test_the_suite_of_the_workspace_is_sent_as_text(environ: Environ) -> None:
    text = "baseUrl: https://staging.example.com\ntests: []\n"
    (Path(environ["GITHUB_WORKSPACE"]) / "retestr.yml").write_text(text)
    assert read_inputs(environ).suite == text


def test_a_wrong_value_is_shown_short_and_without_a_key(environ: Environ) -> None:
    [problem] = problems_of(environ | {"INPUT_WAIT": "vts_oops" + "x" * 500})
    assert "oops" not in problem
    assert len(problem) < 200


@pytest.mark.parametrize("token", ["ghs a", "ghs\nb"])
def test_a_token_that_cannot_be_one_is_refused_without_being_shown(environ: Environ, token: str) -> None:
    [problem] = problems_of(environ | {"INPUT_GITHUB-TOKEN": token})
    assert problem.startswith("github-token holds spaces")
    assert token not in problem


def test_the_token_is_not_shown_by_the_inputs_and_may_be_missing(environ: Environ) -> None:
    assert "ghs_secret" not in repr(read_inputs(environ | {"INPUT_GITHUB-TOKEN": "ghs_secret"}))
    assert read_inputs(environ).github_token == ""


def test_a_comment_is_written_only_where_it_is_asked_for(environ: Environ) -> None:
    assert read_inputs(environ).comment is False
    assert read_inputs(environ | {"INPUT_COMMENT": "true"}).comment is True


def test_the_api_of_a_github_of_one_s_own_is_taken(environ: Environ) -> None:
    assert read_inputs(environ).github_api_url == "https://api.github.com"
    own = environ | {"GITHUB_API_URL": "https://github.acme.example/api/v3/"}
    assert read_inputs(own).github_api_url == "https://github.acme.example/api/v3"
