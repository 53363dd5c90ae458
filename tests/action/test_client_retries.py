"""The client: what is tried again, how long, and what is not."""

import pytest
import requests
import responses

from action_src.client import Client
from action_src.failure import Refused, Unreachable

from .clients import RUN, RUNS, SERVER, a_client, error_body
from .fake_server import KEY, run_json
from .fakes import Clock


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


def test_an_answer_that_trickles_is_not_waited_for_beyond_the_deadline(net: responses.RequestsMock) -> None:
    class Passing(Clock):
        def __call__(self) -> float:
            self.now += 20
            return self.now

    net.get(RUN, json=run_json())
    with pytest.raises(Unreachable, match="the answer took too long"):
        a_client(Passing()).run("r1", within_s=30)


def test_a_refusal_is_not_tried_again(net: responses.RequestsMock) -> None:
    net.post(RUNS, status=422, json=error_body("The suite is invalid.", details=[{"path": "tests.0"}]))
    with pytest.raises(Refused):
        a_client().trigger({})
    assert len(net.calls) == 1
