"""The client: what people are told when it cannot go on."""

import socket
from typing import Any

import pytest
import requests
import responses

from action_src.failure import NotAuthorised, Refused, Unreachable, WrongAddress

from .clients import RUN, RUNS, a_client, error_body
from .fake_server import KEY


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (401, error_body("Unknown key."), NotAuthorised, ["401: Unknown key", "Settings > API Keys"]),
        (401, None, NotAuthorised, ["(401)"]),
        (403, error_body("No.", details={"needed": "admin:write"}), NotAuthorised, ["`admin:write`"]),
        (403, error_body("No.", details={"hint": "see: docs"}), NotAuthorised, ["`run:write`", "`run:read`"]),
        (403, None, WrongAddress, ["refuses this runner: 403 with", "firewall"]),
        (404, error_body("No such project."), Refused, ["No such project", "`project-id`"]),
        (404, None, WrongAddress, ["not a retestr server", "without `/api`"]),
        (409, error_body("Busy."), Refused, ["Busy"]),
        (413, None, WrongAddress, ["413"]),
        (
            422,
            error_body("Bad.", details={"suite": ["line 3", "line 4"]}),
            Refused,
            ["suite: line 3; line 4"],
        ),
        (200, {"status": "PASSED"}, WrongAddress, ["200 with application/json"]),
        (200, None, WrongAddress, ["not a retestr server"]),
        (300, None, WrongAddress, ["300"]),
    ],
)
def test_each_answer_has_its_exception_and_words(
    net: responses.RequestsMock, status: int, body: Any, kind: type[Exception], words: list[str]
) -> None:
    net.post(RUNS, status=status, json=body) if body else net.post(RUNS, status=status, body="<html>")
    with pytest.raises(kind) as caught:
        a_client().trigger({})
    for word in words:
        assert word in str(caught.value)


def test_the_problems_of_a_suite_stand_on_lines_of_their_own_and_are_told_once(
    net: responses.RequestsMock,
) -> None:
    details = [{"line": 1, "message": "no tests"}, {"line": 2, "message": "foo is not known"}]
    message = "The suite cannot be used:\nline 1: no tests\r\nline 2: foo is not known"
    net.post(RUNS, status=422, json=error_body(message, details=details))
    with pytest.raises(Refused) as caught:
        a_client().trigger({})
    assert str(caught.value).splitlines() == [
        "The server refused (422):",
        "The suite cannot be used:",
        "line 1: no tests",
        "line 2: foo is not known.",
        "Correct the inputs or the suite, then run the workflow again.",
    ]


def test_the_missing_scope_is_that_of_the_call(net: responses.RequestsMock) -> None:
    net.get(RUN, status=403, json=error_body("Forbidden."))
    with pytest.raises(NotAuthorised, match="lacks the scope `run:read`"):
        a_client().run("r1")


def test_the_server_s_words_are_shown_without_the_key(net: responses.RequestsMock) -> None:
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in KEY)
    net.post(RUNS, status=422, body=f'{{"error": {{"message": "{KEY} {escaped}", "details": "{escaped}"}}}}')
    with pytest.raises(Refused) as caught:
        a_client().trigger({})
    assert KEY not in str(caught.value)
    assert "***" in str(caught.value)


def test_an_error_that_is_no_json_object_is_not_trusted(net: responses.RequestsMock) -> None:
    net.post(RUNS, status=400, json={"error": "text"})
    with pytest.raises(WrongAddress):
        a_client().trigger({})


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "0.0.0.0"])
def test_localhost_is_explained_as_the_container_itself(net: responses.RequestsMock, host: str) -> None:
    server = f"http://{host}:8000"
    net.post(f"{server}/api/runs", body=requests.ConnectionError(ConnectionRefusedError(111, "refused")))
    with pytest.raises(Unreachable, match=r"container itself.*http://172\.17\.0\.1:8000"):
        a_client(server=server).trigger({})


def test_another_host_gets_no_advice_on_localhost(net: responses.RequestsMock) -> None:
    net.post(RUNS, body=requests.ConnectionError(ConnectionRefusedError(111, "refused")))
    with pytest.raises(Unreachable) as caught:
        a_client().trigger({})
    assert "172.17.0.1" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (requests.ConnectionError(socket.gaierror(-2, "unknown")), "could not be resolved"),
        (requests.ConnectTimeout(), "no connection in time"),
        (requests.exceptions.ProxyError(), "the proxy"),
        (requests.ConnectionError(OSError(113, "x")), "no route"),
        (requests.ConnectionError(), "ConnectionError"),
    ],
)
def test_the_reason_is_told_in_words(net: responses.RequestsMock, error: Exception, words: str) -> None:
    net.post(RUNS, body=error)
    with pytest.raises(Unreachable, match=words):
        a_client().trigger({})


def test_an_untrusted_certificate_is_not_tried_again(net: responses.RequestsMock) -> None:
    net.post(RUNS, body=requests.exceptions.SSLError())
    with pytest.raises(Unreachable, match="REQUESTS_CA_BUNDLE"):
        a_client().trigger({})
    assert len(net.calls) == 1


def test_a_host_that_cannot_be_is_a_wrong_address() -> None:
    with pytest.raises(WrongAddress, match="no host can have that name"):
        a_client(server=f"http://{'ä' * 60}.example").trigger({})


def test_half_a_character_in_an_answer_is_shown_as_a_question_mark(net: responses.RequestsMock) -> None:
    net.post(RUNS, status=422, body='{"error": {"message": "broken \\ud83d here"}}')
    with pytest.raises(Refused, match=r"broken \? here"):
        a_client().trigger({})


def test_a_missing_ca_file_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    with pytest.raises(WrongAddress, match="REQUESTS_CA_BUNDLE"):
        a_client(server="https://127.0.0.1:1").trigger({})
