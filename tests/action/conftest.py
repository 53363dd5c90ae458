"""What the Action's tests share: an environment as the runner makes it, and places for its files."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import responses

from action_src.log import Log

from .fake_server import KEY, Plot, fake_server

EVENTS = Path(__file__).parent / "events"
MERGE_SHA = "3" * 40

Environ = dict[str, str]


@pytest.fixture
def environ(tmp_path: Path) -> Environ:
    """The smallest environment in which the Action works: a push to `feature/cart`."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    return {
        "INPUT_API-KEY": KEY,
        "INPUT_PROJECT-ID": "shop",
        "GITHUB_ACTIONS": "true",
        "GITHUB_ACTOR": "ada",
        "GITHUB_EVENT_NAME": "push",
        "GITHUB_EVENT_PATH": str(EVENTS / "push.json"),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_REF": "refs/heads/feature/cart",
        "GITHUB_REF_NAME": "feature/cart",
        "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_RUN_ID": "1000",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_SHA": MERGE_SHA,
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "GITHUB_WORKSPACE": str(workspace),
    }


@pytest.fixture
def stream() -> io.StringIO:
    """What stands for standard output."""
    return io.StringIO()


@pytest.fixture
def log(stream: io.StringIO) -> Log:
    """A log that writes to `stream`."""
    return Log(stream)


@pytest.fixture
def serve() -> Iterator[Callable[[Plot], Plot]]:
    """Starts a fake server that plays a plot; it ends with the test."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda plot: stack.enter_context(fake_server(plot))


@pytest.fixture
def net() -> Iterator[responses.RequestsMock]:
    """The network, with no more in it than a test says."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as net:
        yield net
