"""Which addresses are public, and what a signed token opens: one picture, until its time."""

from datetime import UTC, datetime, timedelta

import pytest

from server.access.thumbnails import is_public, opened, sign

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
UNTIL = NOW + timedelta(days=7)
SECRET = "the server's secret"


@pytest.mark.parametrize(
    "url", ["https://retestr.example.com", "https://a.example/base/", "https://1.1.1.1:8443"]
)
def test_a_name_of_the_internet_with_https_is_public(url: str) -> None:
    assert is_public(url)


@pytest.mark.parametrize(
    "url",
    [
        "", "http://retestr.example.com", "https://localhost", "https://localhost:8000", "https://a.localhost",
        "https://retestr", "https://retestr.local", "https://RETESTR.Internal.", "https://ci.lan", "https://x.home.arpa",
        "https://127.0.0.1", "https://10.1.2.3", "https://192.168.1.2", "https://172.17.0.1:8000", "https://169.254.169.254",
        "https://[::1]", "https://[fd00::1]", "https://100.64.0.1", "https://[", "retestr.example.com",
    ],
)  # fmt: skip
def test_what_others_cannot_reach_or_is_not_encrypted_is_not(url: str) -> None:
    assert not is_public(url)


def test_a_token_opens_its_picture_until_its_time() -> None:
    token = sign("snapshot", UNTIL, SECRET)
    assert opened(token, NOW, SECRET) == ("snapshot", UNTIL)
    assert opened(token, UNTIL - timedelta(seconds=1), SECRET) is not None
    assert opened(token, UNTIL, SECRET) is None


def test_a_token_opens_nothing_else_not_longer_and_not_elsewhere() -> None:
    token = sign("snapshot", UNTIL, SECRET)
    what, seconds, signature = token.split(".")
    later = str(int(seconds) + 1)
    for forged in (
        f"another.{seconds}.{signature}", f"{what}.{later}.{signature}", f"{what}.{seconds}.", f"{what}.{seconds}",
        f"{what}.{seconds}.{signature[:-1]}", "", ".", "..", "ü.ü.ü",
    ):  # fmt: skip
        assert opened(forged, NOW, SECRET) is None
    assert opened(token, NOW, "another secret") is None
