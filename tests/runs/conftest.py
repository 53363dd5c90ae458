"""What tests of runs share: small objects that play runs without a browser."""

from __future__ import annotations

import pytest

from tests.conftest import World
from tests.runs.history import History
from tests.runs.pages import Pages
from tests.runs.past import Past


@pytest.fixture
def history(world: World) -> History:
    return History(world)


@pytest.fixture
def pages(world: World) -> Pages:
    return Pages(world)


@pytest.fixture
def past(world: World) -> Past:
    return Past(world)
