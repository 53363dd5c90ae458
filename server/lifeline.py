"""How children learn that their parent is gone, even when it was killed with -9.

The parent holds the writing end of a pipe and writes nothing; a child that reads the end of it ends itself, and with it
what it has started.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

VARIABLE = "RETESTR_LIFELINE_FD"
TIDY_UP_S = 3.0


def hold_on(end: Callable[[], object] | None = None) -> None:
    """Ends this process when the parent that gave it a lifeline is gone; without a lifeline, does nothing.

    `end` is called for it in a thread of its own; without one, it is SIGTERM. What is not over after 3 s is killed,
    this process and its group.
    """
    text = os.environ.get(VARIABLE)
    if text:
        wait = (int(text), end or (lambda: os.kill(os.getpid(), signal.SIGTERM)))
        threading.Thread(target=_wait, args=wait, name="lifeline", daemon=True).start()


def _wait(descriptor: int, end: Callable[[], object]) -> None:
    while os.read(descriptor, 1):
        pass
    end()
    time.sleep(TIDY_UP_S)
    if os.getpgrp() == os.getpid():  # as the supervisor starts it
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)
