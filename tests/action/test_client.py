"""The client: what is sent and understood, redirects, bounds, and the real thing."""

import socket
from collections.abc import Callable
from typing import Any

import pytest
import responses
from responses import matchers

from action_src.client import Client, retry_after_s, same_place
from action_src.failure import Unreachable, WrongAddress

from .clients import RUN, RUNS, SERVER, SNAPSHOTS, a_client
from .fake_server import KEY, Plot, run_json, snapshot_json

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
    net.get(RUN, json={"id": 12, "status": "passed", "counts": {"total": None, "new": "3"}, "future": [1]})
    run, wish_s = a_client().run("r1")
    assert (run.id, run.status, wish_s) == ("12", "PASSED", None)
    assert run.counts is not None
    assert run.counts.total == 0


@pytest.mark.parametrize("name", ["id", "runId"])
def test_a_hosted_service_may_answer_with_no_more_than_an_id(net: responses.RequestsMock, name: str) -> None:
    net.post(RUNS, status=202, json={name: "r1"})
    run, _ = a_client().trigger({})
    assert (run.id, run.status, run.counts, run.url) == ("r1", "PENDING", None, "")


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


def test_a_redirect_to_what_is_no_address_is_told(net: responses.RequestsMock) -> None:
    net.get(RUN, status=302, headers={"Location": "http://[oops/"})
    with pytest.raises(WrongAddress, match="redirects to none"):
        a_client().run("r1")


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
