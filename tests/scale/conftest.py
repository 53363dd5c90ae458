"""What the tests past one machine share: an S3 server of a test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scale.machines import Bucket


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An S3 server with one empty bucket, and the credentials for it in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    bucket = Bucket()
    yield bucket
    bucket.close()
