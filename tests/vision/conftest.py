"""One site and one browser for all tests of captures in this process."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from server.vision.capture import Browser, Session
from server.vision.guard import AddressPolicy
from server.vision.page import Image, Page
from tests.vision.runner import Runner, browsing
from tests.vision.site import Secret, Site


@pytest.fixture(scope="session")
def run() -> Iterator[Runner]:
    runner = Runner()
    yield runner
    runner.stop()


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.fixture
def secret() -> Iterator[Secret]:
    with Secret() as secret:
        yield secret


@pytest.fixture(scope="session")
def browser(run: Runner, site: Site) -> Iterator[Browser]:
    """May reach the site, and nothing else that is private."""
    with browsing(run, AddressPolicy(allow=(site.host,))) as browser:
        yield browser


@pytest.fixture
def session(run: Runner, browser: Browser) -> Iterator[Session]:
    manager = browser.session()
    yield run(manager.__aenter__())
    run(manager.__aexit__(None, None, None))


@pytest.fixture
def capture(run: Runner, session: Session, site: Site) -> Callable[..., Image]:
    """Capture a path of the site in a small window; keywords are those of `Page`."""

    def capture(path: str, known: frozenset[str] = frozenset(), **asked: Any) -> Image:
        address = path if re.match(r"\w+://", path) else f"{site.url}/{path}"
        return run(session.capture(Page(address, **{"width": 800, "height": 600, **asked}), known))

    return capture
