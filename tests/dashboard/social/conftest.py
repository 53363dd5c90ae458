"""A site with two providers that answer on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from server.config import Settings
from server.database import db
from tests.dashboard.conftest import Site
from tests.fake_providers import CLIENT_ID, CLIENT_SECRET, FakeProvider


@pytest.fixture
def fake() -> Iterator[FakeProvider]:
    with FakeProvider().serving() as fake:
        yield fake


@pytest.fixture
def site(settings: Settings, fake: FakeProvider) -> Iterator[Site]:
    site = Site(
        replace(
            settings,
            oidc_issuer=fake.address,
            oidc_client_id=CLIENT_ID,
            oidc_client_secret=CLIENT_SECRET,
            oidc_name="Acme SSO",
            github_url=fake.address,
            github_client_id=CLIENT_ID,
            github_client_secret=CLIENT_SECRET,
        )
    )
    yield site
    with site.app.app_context():
        db.engine.dispose()
