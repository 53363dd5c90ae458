"""The database: what a commit promises."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from server.access import usage
from server.database import give_back, writing
from tests.conftest import World


def test_what_is_written_waits_for_the_disk_also_behind_a_counter_that_does_not(world: World) -> None:
    with writing() as session:
        if session.get_bind().dialect.name != "sqlite":
            pytest.skip("SQLite's")
        assert session.scalar(text("PRAGMA synchronous")) == 2  # FULL
    usage.count("no key", True)
    give_back()  # the connection that the counter used goes back to the pool, and is the next one
    with writing() as session:
        assert session.scalar(text("PRAGMA synchronous")) == 2
