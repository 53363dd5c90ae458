"""The worker: claims chunks, captures their pages in a browser, has them judged, and writes the outcome down.

Only the worker process imports this module: it brings Playwright and NumPy with it. Who may work on what is in
`claims`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, replace
from typing import ParamSpec, TypeVar

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from server import logs
from server.config import Settings
from server.database import writing
from server.images import ImageMissing, open_store
from server.runs import claims, judge, lifecycle, retention, secrets, workers
from server.runs.claims import Claim
from server.runs.judge import Job
from server.runs.lifecycle import Outcome
from server.runs.workers import Done
from server.vision import processes
from server.vision.capture import Browser, Session
from server.vision.compare import ImageError
from server.vision.page import CaptureError
from server.vision.secrets import Secrets

log = logging.getLogger("retestr.worker")
P = ParamSpec("P")
R = TypeVar("R")

LANES = 2
"""Chunks worked at the same time, so that the last pages of one do not leave the browser idle."""
IDLE_S = 0.25
AWAY_PAUSE_S = 2.0
"""After a chunk that failed: the database or the disk may need a while."""
WATCH_S = 0.5
HOUSEKEEPING_S = 60.0
RETRY_PAUSE_S = 1.0
"""Before the second attempt at a page; before each further one it is twice as long."""
DRAIN_S = 20.0
GIVE_BACK_S = 5.0
MOST_PAGES = 500
MOST_KEPT_BYTES = 1024**3
"""After so many pages, or when it has kept so much memory beside its pages, the browser is started anew."""
INTERNAL = "retestr itself failed on this page; the worker's log tells why. Please report it."


class Worker:
    """Works chunks until it is told to stop.

    `open_browser` starts the browser; it is started again whenever it has died.
    """

    def __init__(self, app: Flask, owner: str, open_browser: Callable[[], Browser]) -> None:
        self._app = app
        self._owner = owner
        self._open_browser = open_browser
        self._settings: Settings = app.extensions["retestr"]
        self._store = open_store(self._settings.storage)
        self._browser: Browser | None = None
        self._starting = asyncio.Lock()
        self._chunks_open = 0
        self._none_open = asyncio.Event()
        self._none_open.set()
        self._pages = 0  # that this browser has captured
        self._done = Done()
        self._working: dict[str, tuple[Claim, asyncio.Task[None]]] = {}

    async def run(self, stopping: asyncio.Event) -> None:
        """Works for ever; when `stopping` is set, claims nothing more and gives back what 20 s do not finish."""
        async with self.on_duty():
            lanes = [asyncio.create_task(self._lane(stopping)) for _ in range(LANES)]
            await stopping.wait()
            await asyncio.wait(lanes, timeout=DRAIN_S)

    @contextlib.asynccontextmanager
    async def on_duty(self) -> AsyncIterator[None]:
        """Meanwhile looks after what `work_once` claims; at the end gives it back and closes the browser."""
        beating = threading.Event()
        heartbeat = threading.Thread(target=self._heartbeat, args=(beating,), daemon=True)
        heartbeat.start()
        watch = asyncio.create_task(self._watch())
        housekeeping = asyncio.create_task(self._keep_house())
        try:
            yield
        finally:
            await self._give_back()
            watch.cancel()
            housekeeping.cancel()
            beating.set()
            await self._close_browser()
            with contextlib.suppress(SQLAlchemyError):
                await self._db(workers.leave, self._owner)

    async def work_once(self) -> bool:
        """Claims one chunk and works it; returns False where there was nothing to do."""
        claim = await self._db(claims.claim, self._owner)
        if claim is None:
            return False
        task = asyncio.create_task(self._work(claim))
        self._working[claim.chunk_id] = claim, task
        try:
            await task
        except asyncio.CancelledError:
            if not task.cancelled():
                task.cancel()
                raise
        finally:
            await self._finish(claim)
            del self._working[claim.chunk_id]
        return True

    async def _finish(self, claim: Claim) -> None:
        """Closes a chunk or gives it back: once the database takes it, for until then nobody else can have it."""
        while True:
            try:
                return await self._db(claims.finish, self._owner, claim)
            except SQLAlchemyError as error:
                log.error("a chunk cannot be given back, trying again: %s", error)
                await asyncio.sleep(AWAY_PAUSE_S)

    async def _give_back(self) -> None:
        for _, task in self._working.values():
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GIVE_BACK_S):
                while self._working:
                    await asyncio.sleep(0.05)

    # ------------------------------------------------------------------------------------ side by side

    async def _lane(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                worked = await self.work_once()
                pause_s = 0.0 if worked else IDLE_S
            except Exception:
                log.exception("a chunk was given back")
                pause_s = AWAY_PAUSE_S
            if pause_s:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), pause_s)

    async def _watch(self) -> None:
        """Stops at the browser what was cancelled or taken away; sweeps now and then."""
        sweep_at = 0.0
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                if time.monotonic() >= sweep_at:
                    sweep_at = time.monotonic() + claims.SWEEP_EVERY_S
                    await self._db(claims.sweep)
                held = [claim for claim, _ in self._working.values()]
                wanted = await self._db(claims.still_wanted, self._owner, held) if held else set()
                for claim in held:
                    if claim.chunk_id not in wanted and claim.chunk_id in self._working:
                        self._working[claim.chunk_id][1].cancel()
            except Exception:
                log.exception("looking after the claims failed; trying again")

    async def _keep_house(self) -> None:
        """Has the daily retention done, where no other process does it."""
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            try:
                await self._db(retention.daily, self._store, self._settings)
            except Exception:
                log.exception("retention failed; trying again tomorrow")

    def _heartbeat(self, stopped: threading.Event) -> None:
        """Renews the leases from a thread of its own, so that a slow page cannot stop it."""
        while True:
            try:
                with self._app.app_context():
                    claims.renew(self._owner, list(self._working))
                    workers.beat(self._owner, self._done)
            except Exception:
                log.exception("a heartbeat failed; trying again")
            if stopped.wait(claims.HEARTBEAT_S):
                return

    # ------------------------------------------------------------------------------------ one chunk

    async def _work(self, claim: Claim) -> None:
        logs.run_id.set(claim.run_id)
        todo = await self._db(judge.jobs, claim.snapshot_ids)
        if claim.alone:
            for job in todo:
                await self._db(_begin, job.snapshot_id)
                await self._alone(job)
            return
        crashed = await self._together(todo)
        for job in crashed:
            await self._alone(job)

    async def _together(self, todo: list[Job]) -> list[Job]:
        """Captures jobs side by side; returns those whose browser crashed, to be tried alone."""
        try:
            opened = await self._secrets(todo)
            run_id = todo[0].run_id if todo else None
            async with (
                self._using_browser() as browser,
                browser.session(run_id, opened) as session,
                asyncio.TaskGroup() as group,
            ):
                tasks = [group.create_task(self._capture(browser, session, job)) for job in todo]
        except CaptureError as error:
            await asyncio.gather(*(self._fail(job, error) for job in todo))
            return []
        return [job for job, task in zip(todo, tasks, strict=True) if not task.result()]

    async def _alone(self, job: Job) -> None:
        try:
            opened = await self._secrets([job])
            async with self._using_browser() as browser, browser.session(job.run_id, opened) as session:
                settled = await self._capture(browser, session, job)
        except CaptureError as error:
            await self._fail(job, error)
            return
        if not settled:
            url = job.shot.page.url
            await self._fail(
                job,
                CaptureError(
                    "crash",
                    f"The browser crashed twice while it captured {url}. Pages that need more than "
                    f"{processes.MOST_PAGE_BYTES // 1024**3} GiB of memory do that.",
                ),
            )

    async def _capture(self, browser: Browser, session: Session, job: Job) -> bool:
        """Captures and judges one snapshot; returns False where the browser crashed over it.

        What differs, or fails in a way that may pass, is tried again as often as the suite says, each time in a
        fresh context.
        """
        first = outcome = await self._attempt(browser, session, job)
        for attempt in range(2, job.shot.retries + 2):
            if first is None or outcome is None or not outcome.again:
                break
            await asyncio.sleep(RETRY_PAUSE_S * 2 ** (attempt - 2))
            async with browser.session(job.run_id, session.secrets) as fresh:
                outcome = await self._attempt(browser, fresh, job, outcome)
            if outcome is not None:
                outcome = _at_attempt(attempt, first, outcome)
        if outcome is None:
            return False
        await self._db(lifecycle.record, self._owner, job.snapshot_id, outcome)
        return True

    async def _attempt(
        self, browser: Browser, session: Session, job: Job, before: Outcome | None = None
    ) -> Outcome | None:
        """Captures and judges a page once; returns None where the browser crashed over it."""
        seen = before.image.sha256 if before and before.image else None
        try:
            page = replace(job.shot.page, timeout_s=self._settings.page_timeout_s)
            self._pages += 1
            self._done.pages_open += 1
            image = await session.capture(page, job.known | {seen} if seen else job.known)
        except CaptureError as error:
            self._done.errors += 1
            return None if error.kind == "crash" else _failed(error)
        except Exception:
            what = session.secrets.masked(traceback.format_exc())
            log.error("capturing %s failed\n%s", job.shot.page.url, what)
            self._done.errors += 1
            return Outcome("ERROR", error_kind="internal", error_message=INTERNAL)
        finally:
            self._done.pages_open -= 1
        self._done.captures += 1
        self._done.known_at_once += image.sha256 in job.known
        self._done.comparisons += bool(job.known) and image.sha256 not in job.known
        if before and image.sha256 == seen:
            return replace(before, again=False)  # it does look like that
        identity = {name: str(value) for name, value in asdict(browser.identity).items()}
        try:
            return await self._db(
                judge.judge, job, image, identity, self._store, self._settings.max_megapixels
            )
        except (ImageError, ImageMissing) as error:
            return Outcome("ERROR", error_kind="image", error_message=f"Comparing failed: {error}")
        except (SQLAlchemyError, OSError):
            raise  # the database or the disk is away: the chunk is given back and tried again
        except Exception:
            log.exception("judging %s failed", job.snapshot_id)
            return Outcome("ERROR", error_kind="internal", error_message=INTERNAL)

    async def _fail(self, job: Job, error: CaptureError) -> None:
        await self._db(lifecycle.record, self._owner, job.snapshot_id, _failed(error))

    # ------------------------------------------------------------------------------------ what it needs

    async def _secrets(self, todo: list[Job]) -> Secrets:
        """The secrets that jobs of one project use. Raises CaptureError where they cannot be opened."""
        names = secrets.names_used(job.shot for job in todo)
        return (
            await self._db(secrets.opened, todo[0].project_id, names, self._settings) if names else Secrets()
        )

    @contextlib.asynccontextmanager
    async def _using_browser(self) -> AsyncIterator[Browser]:
        """The running browser, for one chunk: it is started where none runs, and anew where it is worn and idle."""
        async with self._starting:
            if self._browser is not None and self._browser.alive and self._is_worn():
                await self._none_open.wait()
                await self._close_browser()
            browser = await self._running_browser()
            self._chunks_open += 1
            self._none_open.clear()
        try:
            yield browser
        finally:
            self._chunks_open -= 1
            if not self._chunks_open:
                self._none_open.set()

    def _is_worn(self) -> bool:
        return self._pages >= MOST_PAGES or processes.kept_bytes() >= MOST_KEPT_BYTES

    async def _running_browser(self) -> Browser:
        if self._browser is not None and not self._browser.alive:
            await self._close_browser()
        if self._browser is None:
            try:
                browser = self._open_browser()
                await browser.__aenter__()
            except CaptureError:
                raise
            except Exception as error:
                log.exception("the browser does not start")
                raise CaptureError(
                    "browser-missing",
                    f"The browser does not start on the worker's machine ({type(error).__name__}); its log "
                    "tells more, and `retestr doctor` what to do.",
                ) from error
            self._browser, self._pages = browser, 0
            self._done.browser_starts += 1
        return self._browser

    async def _close_browser(self) -> None:
        browser, self._browser = self._browser, None
        if browser is not None:
            with contextlib.suppress(Exception):
                await browser.__aexit__(None, None, None)

    async def _db(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs what touches the database (or much CPU) in a thread with a session of its own."""

        def call() -> R:
            with self._app.app_context():
                return function(*args, **kwargs)

        return await asyncio.to_thread(call)


def _failed(error: CaptureError) -> Outcome:
    return Outcome(
        "ERROR",
        error_kind=error.kind,
        error_message=error.message,
        evidence=error.evidence,
        again=error.retry,
    )


def _at_attempt(number: int, first: Outcome, outcome: Outcome) -> Outcome:
    """An outcome that is not the first: one that passes is flaky, and tells what the first attempt showed."""
    if not outcome.passed:
        return replace(outcome, attempts=number)
    before = first.sentence or first.error_message
    said = f"Passed at attempt {number}. The first: {before}"
    return replace(
        outcome, attempts=number, flaky=True, sentence=" ".join(filter(None, [said, outcome.sentence]))
    )


def _begin(snapshot_id: str) -> None:
    with writing() as session:
        lifecycle.begin(session, [snapshot_id])
