"""The browser and its sessions: who may visit pages, in which room, how many at once.

A room is a context with its guard and tab (`rooms.py`); what happens during one visit is `visit.py`'s;
which browser and flags, `browser.py`'s.
"""

import asyncio
import contextlib
import logging
import os
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from playwright.async_api import Browser as Chromium
from playwright.async_api import Error as BrowserError
from playwright.async_api import Playwright, async_playwright

from server.vision import browser, processes, reasons
from server.vision.documents import is_crash
from server.vision.guard import AddressPolicy
from server.vision.logins import Logins
from server.vision.origins import origin_of
from server.vision.page import STABILIZERS, CaptureError, Image, Page, Visitor
from server.vision.redaction import storable
from server.vision.rooms import CLOSE_S, Room
from server.vision.secrets import Secrets
from server.vision.upstream import Upstream
from server.vision.visit import Visit
from server.vision.visitor import State, only_ports

log = logging.getLogger("retestr.browser")
LAUNCH_S = 30.0
LOGIN_WINDOW = (1280, 800)
_Ports = frozenset[tuple[str, frozenset[int]]]
_Kind = tuple[float, Visitor, _Ports]  # scale, who the page takes us for, and `visitor.only_ports`


@dataclass(frozen=True, slots=True)
class Identity:
    """What a picture depends on besides the page; pictures of different identities do not compare."""

    name: str
    version: str
    platform: str
    flags: str
    fonts: str


@dataclass(slots=True)
class _Stay:
    """Where a page is visited, and its visit, as far as they have come about."""

    deadline: asyncio.Timeout
    room: Room | None = None
    visit: Visit | None = None

    def end_now(self) -> None:
        """Let its time run out, unless it is over."""
        with contextlib.suppress(RuntimeError):
            self.deadline.reschedule(0)


class Browser:
    """One running browser; use it with `async with`.

    At most `pages_at_once` pages are visited at the same time, over all sessions; twice the number of
    cores is the best of what was measured. Raises CaptureError `browser-missing` when it does not start.
    Where the machine forbids Chromium's sandbox, it starts without one only if `insist_on_sandbox` is False;
    `sandboxed` tells whether it has one.
    """

    def __init__(
        self,
        executable: Path | str,
        *,
        policy: AddressPolicy | None = None,
        upstream: Upstream | None = None,
        pages_at_once: int = 4,
        insist_on_sandbox: bool = True,
    ) -> None:
        self.executable = Path(executable)
        self.sandboxed = not browser.needs_no_sandbox()
        self._insists = insist_on_sandbox
        self.policy = policy or AddressPolicy()
        self.upstream = upstream
        self._logins = Logins()
        self._places = asyncio.Semaphore(pages_at_once)
        self._playwright: Playwright | None = None
        self._chromium: Chromium | None = None
        self._broken = False
        self._watch: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        """Whether the browser still runs; once it does not, start another."""
        return self._chromium is not None and self._chromium.is_connected() and not self._broken

    @property
    def identity(self) -> Identity:
        """Name, version, platform and flags of the running browser."""
        return Identity(
            name=browser.family(self.executable),
            version=self._running.version,
            platform=browser.platform_name(),
            flags=browser.flags_hash(),
            fonts=browser.fonts_hash(),
        )

    @contextlib.asynccontextmanager
    async def session(
        self, run: str | None = None, secrets: Secrets | None = None
    ) -> "AsyncIterator[Session]":
        """Part of one run's work: what the browser remembers is shared within it and ends with it.

        Sessions of the same `run` share what logging in left behind.
        """
        session = Session(self, run, secrets or Secrets())
        try:
            yield session
        finally:
            await session.close()

    async def __aenter__(self) -> Self:
        if not self.executable.is_file():
            raise CaptureError(
                "browser-missing", f"there is no browser at {self.executable}; {browser.install_hint()}"
            )
        for name, value in browser.driver_environment().items():
            os.environ.setdefault(name, value)  # the driver inherits it
        self._playwright = await _started_driver()
        others = processes.groups()
        try:
            self._chromium = await self._launch(self._playwright)
        except BaseException as error:
            await self._playwright.stop()
            if not isinstance(error, BrowserError):
                raise
            reason = reasons.first_line(error.message)
            if self.sandboxed:
                reason += f" ({browser.SANDBOX_HINT})"
            raise CaptureError(
                "browser-missing", f"the browser {self.executable} does not start: {reason}"
            ) from error
        self._watch = asyncio.create_task(processes.look_after(processes.groups() - others))
        return self

    async def _launch(self, playwright: Playwright) -> Chromium:
        if self.sandboxed and not self._insists:
            with contextlib.suppress(BrowserError):
                return await self._launch_as(playwright)
            log.warning("the browser runs without its sandbox, which this machine forbids")
            self.sandboxed = False
        return await self._launch_as(playwright)

    async def _launch_as(self, playwright: Playwright) -> Chromium:
        return await playwright.chromium.launch(
            executable_path=self.executable,
            args=list(browser.FLAGS),
            chromium_sandbox=self.sandboxed,
            timeout=LAUNCH_S * 1000,
            # Signals are for the process that uses us to judge.
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
        )

    async def __aexit__(self, *_: object) -> None:
        if self._watch is not None:
            self._watch.cancel()
        await self._logins.close()
        with contextlib.suppress(BrowserError, TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._running.close()
        assert self._playwright is not None
        with contextlib.suppress(Exception):  # its process may be gone, which is what we want
            await self._playwright.stop()

    async def _check_alive(self) -> None:
        """After an error: a browser whose driver is gone, or that can make no tab, still says that it is connected."""
        try:
            async with asyncio.timeout(CLOSE_S):
                context = await self._running.new_context()
                await context.new_page()
                await context.close()
        except (BrowserError, TimeoutError):
            self._broken = True

    @property
    def _running(self) -> Chromium:
        assert self._chromium is not None, "use `async with Browser(...)`"
        return self._chromium


class Session:
    """Visits pages for one run; made by `Browser.session()`.

    Rooms are used again for pages of the same kind, cleaned between two pages, and never leave
    the session: what one run's site has stored in a cache, no other run sees.
    """

    def __init__(self, owner: Browser, run: str | None, secrets: Secrets) -> None:
        self._owner = owner
        self._run = run or object()
        self.secrets = secrets
        self._idle: defaultdict[_Kind, list[Room]] = defaultdict(list)
        self._leaving: list[asyncio.Task[None]] = []

    async def capture(self, page: Page, known: frozenset[str] = frozenset()) -> Image:
        """Visit a page and take its picture; raises CaptureError.

        A first picture whose SHA-256 is in `known` is accepted at once; otherwise two in a row must
        agree. Cancelling the task closes the page. Several captures may run side by side.
        """
        try:
            state = await self._logged_in(page)
            return await self._capture(page, known, state)
        except CaptureError as error:
            raise self._masked(error) from None

    async def _capture(self, page: Page, known: frozenset[str], state: State) -> Image:
        key = (page.scale, page.visitor, frozenset(only_ports(page, self.secrets).items()))
        async with self._stay(page, "the browser made a tab") as stay:
            room = stay.room = self._idle[key].pop() if self._idle[key] else await self._open_room(page)
            stay.visit = await room.visit(page, self.secrets, state, stay.end_now)
            image = await stay.visit.picture(known)
            is_tidy = await room.tidy(stay.visit)
            stay.room = None
            if is_tidy:
                self._idle[key].append(room)
            else:  # nobody waits for what may take long
                self._leaving.append(asyncio.create_task(room.close()))
        return image

    @contextlib.asynccontextmanager
    async def _stay(self, page: Page, at_first: str) -> "AsyncIterator[_Stay]":
        """A place among the pages that are visited at once, for as long as this one may take.

        What goes wrong is a CaptureError with evidence; `at_first` says what took long before there was a visit.
        The room is closed at the end, unless it has been taken out.
        """
        _check_address(page.url)
        async with self._owner._places:
            deadline = asyncio.timeout(page.timeout_s)  # waiting for a place counts for nothing
            stay = _Stay(deadline)
            try:
                async with deadline:
                    yield stay
            except TimeoutError:
                visit = stay.visit
                stage, pending = (visit.stage, visit.traffic.pending()) if visit else (at_first, [])
                pending = list(map(self.secrets.masked, pending))  # before they are cut
                error = reasons.timeout_error(page.url, page.timeout_s, stage, pending)
                if stay.room and stay.room.has_loaded_too_much:
                    error = reasons.size_error(page.url, pending)
                raise _with_evidence(error, visit, self.secrets) from None
            except BrowserError as error:
                raise await self._crash(page, error) from error
            except CaptureError as error:
                raise _with_evidence(error, stay.visit, self.secrets) from None
            finally:
                if stay.room is not None:
                    await stay.room.close()

    async def _logged_in(self, page: Page) -> State:
        """What the log-in that a page asks for left in the browser, by the first page of the run that asked."""
        if page.visitor.login is None:
            return State()
        # One log-in for all windows, whatever they look like.
        plain = Visitor()
        alike = ("colour_scheme", "timezone", "user_agent", "is_mobile", "has_touch")
        who = replace(page.visitor, **{name: getattr(plain, name) for name in alike})
        asked = Page(
            page.visitor.login.url,
            *LOGIN_WINDOW,
            wait_for=page.visitor.login.wait_for,
            steps=page.visitor.login.steps,
            timeout_s=page.timeout_s,
            # Cookies end by the real time.
            stabilize=STABILIZERS - {"time", "scroll"},
            visitor=replace(who, login=None),
        )
        return await self._owner._logins.state((self._run, who), lambda: self._log_in(asked))

    async def _log_in(self, page: Page) -> State:
        try:
            async with self._stay(page, "opening it") as stay:
                room = stay.room = await self._open_room(page)
                stay.visit = await room.visit(page, self.secrets, State(), stay.end_now)
                await stay.visit.log_in()
                return await room.state()
        except CaptureError as error:
            if error.kind == "timeout":
                error.retry = False  # each page would wait as long again
            raise

    def _masked(self, error: CaptureError) -> CaptureError:
        message = self.secrets.masked(storable(error.message))
        masked = CaptureError(error.kind, message, retry=error.retry)
        masked.evidence = error.evidence
        return masked

    async def close(self) -> None:
        """Close every context of this session."""
        rooms = [room for idle in self._idle.values() for room in idle]
        self._idle.clear()
        await asyncio.gather(*(room.close() for room in rooms), *self._leaving)

    async def _open_room(self, page: Page) -> Room:
        owner = self._owner
        return await Room.open(owner._running, page, self.secrets, owner.policy, owner.upstream)

    async def _crash(self, page: Page, error: BrowserError) -> CaptureError:
        await self._owner._check_alive()
        who = "the page crashed" if self._owner.alive else "the browser ended"
        if not is_crash(error):
            who = f"the browser reported: {reasons.first_line(error.message)}"
        message = f"{page.url} could not be captured: {who}; it is worth another try"
        return CaptureError("crash", message, retry=True)


async def _started_driver() -> Playwright:
    """Playwright's driver. Whoever is cancelled while it starts ends it: nobody else knows of it."""
    starting = asyncio.ensure_future(async_playwright().start())
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await (await starting).stop()
        raise


def _with_evidence(error: CaptureError, visit: Visit | None, secrets: Secrets) -> CaptureError:
    if visit is not None:
        error.evidence = visit.evidence.as_json(secrets)
    return error


def _check_address(url: str) -> None:
    if origin_of(url) is None or urlsplit(url).port == 0:
        raise CaptureError("suite", f"{url} is not an address of the web; only http and https are captured")
