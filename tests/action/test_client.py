"""The client: what it sends, when it tries again, when it gives up, and what it says then."""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import responses
from responses import matchers

from action_src.client import Client, retry_after_s, same_place
from action_src.failure import NotAuthorised, Refused, Unreachable, WrongAddress

from .fake_server import KEY, Plot, run_json, snapshot_json
from .fakes import Clock

SERVER = "https://retestr.example.com"
RUNS = f"{SERVER}/api/runs"
RUN = f"{RUNS}/r1"
SNAPSHOTS = f"{RUN}/snapshots"


@pytest.fixture
def net() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as net:
        yield net


def a_client(clock: Clock | None = None, server: str = SERVER, said: list[str] | None = None) -> Client:
    clock = clock or Clock()
    return Client(
        server,
        KEY,
        clock=clock,
        sleep=clock.sleep,
        jitter=lambda: 1.0,
        say=(said if said is not None else []).append,
    )


def error_body(message: str = "No.", code: str = "no", details: Any = None) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "details": details}}


# --- what is sent and understood


def test_a_trigger_sends_key_and_order(net: responses.RequestsMock) -> None:
    order = {"projectId": "shop", "branch": "main"}
    net.post(
        RUNS,
        status=201,
        json=run_json("PENDING"),
        headers={"Retry-After": "3"},
        match=[
            matchers.json_params_matcher(order),
            matchers.header_matcher({"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}),
        ],
    )
    run, wish_s = a_client().trigger(order)
    assert (run.id, run.status, wish_s) == ("r1", "PENDING", 3.0)


def test_a_netrc_cannot_replace_the_key(
    net: responses.RequestsMock, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine retestr.example.com login ada password hunter2\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    net.get(RUN, json=run_json())
    a_client().run("r1")
    assert net.calls[0].request.headers["Authorization"] == f"Bearer {KEY}"


def test_all_tries_of_a_process_share_one_idempotency_key(net: responses.RequestsMock) -> None:
    net.post(RUNS, status=503)
    net.post(RUNS, status=201, json=run_json())
    client = a_client()
    client.trigger({})
    client.trigger({})
    keys = {call.request.headers["Idempotency-Key"] for call in net.calls}
    assert len(net.calls) == 3
    assert len(keys) == 1
    assert len(keys.pop()) >= 32


def test_two_processes_have_two_idempotency_keys(net: responses.RequestsMock) -> None:
    net.post(RUNS, status=201, json=run_json())
    a_client().trigger({})
    a_client().trigger({})
    assert len({call.request.headers["Idempotency-Key"] for call in net.calls}) == 2


def test_an_unknown_shape_is_read_with_patience(net: responses.RequestsMock) -> None:
    net.get(RUN, json={"runId": 12, "status": "passed", "counts": {"total": None, "new": "3"}, "future": [1]})
    run, wish_s = a_client().run("r1")
    assert (run.id, run.status, wish_s) == ("12", "PASSED", None)
    assert run.counts is not None
    assert run.counts.total == 0


def test_ids_are_quoted_in_addresses(net: responses.RequestsMock) -> None:
    net.get(f"{RUNS}/..%2Fkeys", json=run_json())
    assert a_client().run("../keys")


def test_a_cancel_that_answers_nothing_is_fine(net: responses.RequestsMock) -> None:
    net.post(f"{RUN}/cancel", status=204)
    assert a_client().cancel("r1") is None


def test_snapshots_are_read_page_by_page(net: responses.RequestsMock) -> None:
    net.get(
        SNAPSHOTS,
        json={"items": [snapshot_json("s1"), {"id": "broken"}, 5], "nextCursor": "c/2"},
        match=[matchers.query_param_matcher({"limit": "100", "status": "CHANGED"})],
    )
    net.get(
        SNAPSHOTS,
        json={"items": [snapshot_json("s2"), snapshot_json("s3", "NEW")], "nextCursor": None},
        match=[matchers.query_param_matcher({"limit": "100", "status": "CHANGED", "cursor": "c/2"})],
    )
    assert [one.id for one in a_client().snapshots("r1", "CHANGED")] == ["s1", "s2"]


def test_a_cursor_that_repeats_itself_ends_the_list(net: responses.RequestsMock) -> None:
    net.get(SNAPSHOTS, json={"items": [snapshot_json()], "nextCursor": "again"})
    assert len(list(a_client().snapshots("r1", "CHANGED"))) == 2


def test_an_address_of_the_server_is_made_whole() -> None:
    client = a_client()
    assert client.absolute("/runs/r1") == f"{SERVER}/runs/r1"
    assert client.absolute("https://other.example.com/x") == "https://other.example.com/x"
    assert client.absolute("javascript:alert(1)") == ""
    assert client.absolute("https://[") == ""
    assert client.absolute("") == ""


# --- trying again


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_passes_is_tried_again(net: responses.RequestsMock, status: int) -> None:
    net.get(RUN, status=status)
    net.get(RUN, json=run_json())
    clock, said = Clock(), list[str]()
    assert a_client(clock, said=said).run("r1")[0].id == "r1"
    assert clock.slept == [0.5]
    assert len(said) == 1
    assert str(status) in said[0]


def test_pauses_grow_up_to_a_bound(net: responses.RequestsMock) -> None:
    net.get(RUN, status=503)
    clock = Clock()
    with pytest.raises(Unreachable):
        a_client(clock).run("r1")
    assert clock.slept[:6] == [0.5, 1, 2, 4, 8, 15]
    assert max(clock.slept) == 15


def test_pauses_are_jittered(net: responses.RequestsMock) -> None:
    net.get(RUN, status=503)
    net.get(RUN, json=run_json())
    clock = Clock()
    Client(SERVER, KEY, clock=clock, sleep=clock.sleep, jitter=lambda: 0.0).run("r1")
    assert clock.slept == [0.25]


def test_retry_after_is_honoured(net: responses.RequestsMock) -> None:
    net.get(RUN, status=429, headers={"Retry-After": "20"})
    net.get(RUN, json=run_json())
    clock = Clock()
    a_client(clock).run("r1")
    assert 20 <= clock.slept[0] <= 21


def test_a_wait_longer_than_the_deadline_is_not_begun(net: responses.RequestsMock) -> None:
    net.get(RUN, status=503, headers={"Retry-After": "3600"})
    clock = Clock()
    with pytest.raises(Unreachable, match="It asked to wait 3600 s"):
        a_client(clock).run("r1")
    assert clock.slept == []


def test_a_server_never_reached_is_given_up_after_thirty_seconds(net: responses.RequestsMock) -> None:
    net.post(RUNS, body=requests.ConnectionError(ConnectionRefusedError(111, "refused")))
    clock = Clock()
    with pytest.raises(Unreachable, match="connection refused"):
        a_client(clock).trigger({})
    assert 15 < clock.now - 1000 <= 30


def test_a_server_that_was_reached_gets_five_minutes(net: responses.RequestsMock) -> None:
    net.get(RUN, json=run_json())
    net.get(RUN, body=requests.ConnectionError(ConnectionResetError(104, "reset")))
    clock = Clock()
    client = a_client(clock)
    client.run("r1")
    with pytest.raises(Unreachable, match="connection reset"):
        client.run("r1")
    assert 280 < clock.now - 1000 <= 300


def test_a_shorter_deadline_holds(net: responses.RequestsMock) -> None:
    net.post(f"{RUN}/cancel", body=requests.ReadTimeout())
    clock = Clock()
    with pytest.raises(Unreachable, match="no answer in time"):
        a_client(clock).cancel("r1", within_s=4)
    assert clock.now - 1000 <= 4


def test_an_answer_that_breaks_off_is_asked_for_again(net: responses.RequestsMock) -> None:
    net.get(RUN, body=requests.exceptions.ChunkedEncodingError())
    net.get(RUN, json=run_json())
    assert a_client().run("r1")


def test_a_refusal_is_not_tried_again(net: responses.RequestsMock) -> None:
    net.post(RUNS, status=422, json=error_body("The suite is invalid.", details=[{"path": "tests.0"}]))
    with pytest.raises(Refused):
        a_client().trigger({})
    assert len(net.calls) == 1


# --- what is said


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (401, error_body("Unknown key."), NotAuthorised, ["401: Unknown key", "Settings > API Keys"]),
        (401, None, NotAuthorised, ["(401)"]),
        (403, error_body("No.", details={"scope": "admin:write"}), NotAuthorised, ["`admin:write`"]),
        (403, error_body("No.", details={"hint": "see: docs"}), NotAuthorised, ["`run:write`", "`run:read`"]),
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


def test_a_missing_ca_file_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    with pytest.raises(WrongAddress, match="REQUESTS_CA_BUNDLE"):
        a_client(server="https://127.0.0.1:1").trigger({})


# --- redirects


@pytest.mark.parametrize(
    ("here", "there", "same"),
    [
        ("http://a.example/x", "https://a.example/x", True),
        ("https://a.example/x", "https://a.example/y", True),
        ("https://a.example/x", "http://a.example/x", False),
        ("https://a.example/x", "https://b.example/x", False),
        ("https://a.example/x", "https://a.example:8443/x", False),
        ("https://a.example/x", "https://a.example.evil/x", False),
        ("https://a.example/x", "https://a.example@evil/x", False),
        ("https://a.example/x", "https://[", False),
    ],
)
def test_the_key_follows_only_to_the_same_place(here: str, there: str, same: bool) -> None:
    assert same_place(here, there) is same


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_on_the_same_host_keeps_method_and_body(net: responses.RequestsMock, status: int) -> None:
    net.post(f"{SERVER}/old/api/runs", status=status, headers={"Location": "/api/runs"})
    net.post(RUNS, status=201, json=run_json(), match=[matchers.json_params_matcher({"branch": "main"})])
    run, _ = a_client(server=f"{SERVER}/old").trigger({"branch": "main"})
    assert run.id == "r1"


def test_a_redirect_to_another_host_is_refused_and_named(net: responses.RequestsMock) -> None:
    net.post(RUNS, status=308, headers={"Location": "https://u:p@evil.example.com/api/runs"})
    with pytest.raises(WrongAddress) as caught:
        a_client().trigger({})
    assert "https://evil.example.com" in str(caught.value)
    assert "u:p" not in str(caught.value)
    assert len(net.calls) == 1


def test_a_circle_of_redirects_ends(net: responses.RequestsMock) -> None:
    net.get(RUN, status=302, headers={"Location": RUN})
    with pytest.raises(WrongAddress, match="circle"):
        a_client().run("r1")


# --- limits


def test_an_endless_answer_is_cut_off(net: responses.RequestsMock) -> None:
    net.get(RUN, body=b" " * (17 * 1024 * 1024))
    with pytest.raises(WrongAddress, match="16 MiB"):
        a_client().run("r1")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "5"}, 5.0),
        ({"Retry-After": "0.5"}, 0.5),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        (
            {"Retry-After": "Sun, 01 Nov 2026 10:00:30 GMT", "Date": "Sun, 01 Nov 2026 10:00:00 GMT"},
            30.0,
        ),
        ({"Retry-After": "Sun, 01 Nov 2015 10:00:30 GMT"}, 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers) == seconds


# --- the real thing


def test_a_real_server_is_understood(serve: Callable[[Plot], Plot]) -> None:
    plot = serve(Plot([run_json("PENDING"), run_json("PASSED")], [snapshot_json()]))
    client = Client(plot.url, KEY)
    run, wish_s = client.trigger({"projectId": "shop"})
    assert (run.status, wish_s) == ("PENDING", 0.2)
    assert [one.id for one in client.snapshots(run.id, "CHANGED")] == ["s1"]
    client.cancel(run.id)
    assert plot.cancelled.is_set()
    client.close()


def test_a_server_that_hangs_up_is_told_as_such() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        import threading

        def hang_up() -> None:
            for _ in range(20):
                try:
                    listening.accept()[0].close()
                except OSError:
                    return

        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        client = Client(f"http://127.0.0.1:{listening.getsockname()[1]}", KEY, jitter=lambda: 0.0)
        with pytest.raises(Unreachable, match="connection"):
            client.run("r1", within_s=0.6)
        client.close()


def test_nothing_listening_is_told_as_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    client = Client(f"http://127.0.0.1:{port}", KEY)
    with pytest.raises(Unreachable, match="connection refused"):
        client.run("r1", within_s=0.1)
    client.close()
