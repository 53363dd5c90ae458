"""What is told of addresses holds neither user names nor passwords nor queries, however they are written."""

import json

import pytest

from server.vision import reasons
from server.vision.addresses import AddressPolicy
from server.vision.guard import Guard
from server.vision.redaction import redacted, redacted_address, storable
from server.vision.secrets import Secret, Secrets


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("see http://u:p@x.example/a?token=1#b now", "see http://x.example/a?… now"),
        ("gone (https://x.example/?a=(1)secret)", "gone (https://x.example/?…)"),
        ("gone (https://x.example/a)", "gone (https://x.example/a)"),
        ("WSS://u:p@@x.example/#secret", "WSS://x.example/"),
    ],
)
def test_addresses_in_a_text_are_cut_down(text: str, told: str) -> None:
    assert redacted(text) == told


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("https://u:p@x.example:8443/a?b=)secret#c", "https://x.example:8443/a?…"),
        ("/a?token=secret", "/a?…"),
        ("http://u:p@[broken/a?token=secret", "http://[broken/a"),
        ("http://x.example/it's?b=secret", "http://x.example/it's?…"),
        ("http://x.example/a", "http://x.example/a"),
    ],
)
def test_an_address_is_cut_down(address: str, told: str) -> None:
    assert redacted_address(address) == told


def test_what_no_database_holds_is_replaced() -> None:
    assert storable("a\ud800b\0c 😀") == "a?b?c 😀"
    json.dumps(storable("\udfff"), ensure_ascii=False).encode()


def test_errors_tell_no_queries_of_what_was_on_its_way_or_redirected_to() -> None:
    pending = [f"http://u:p@x.example/{'a' * 70}?token=secret"]
    address = "http://u:p@y.example/a?token=secret"

    for told in (
        reasons.timeout_error("http://x.example/", 1, "loading", pending).message,
        _not_opened(address, Secrets()),
    ):
        assert "secret" not in told
        assert "u:p@" not in told


def test_a_secret_with_a_question_mark_is_masked_before_its_address_is_cut() -> None:
    value = "abcdefgh?ijkl"
    secrets = Secrets({"KEY": Secret("KEY", value, frozenset())})
    assert "redirected to http://y.example/***," in _not_opened(f"http://y.example/{value}", secrets)


def _not_opened(address: str, secrets: Secrets) -> str:
    guard = Guard(AddressPolicy())
    return reasons.navigation_error(
        "http://x.example/", address, "net::ERR_FAILED", guard, secrets.masked
    ).message
