"""How children learn that their parent is gone, even when it was killed with -9.

The parent holds the writing end of a pipe and writes nothing; a child that reads the end of it ends itself.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

VARIABLE = "RETESTR_LIFELINE_FD"


def hold_on() -> None:
    """Ends this process with SIGTERM when the parent that gave it a lifeline is gone; without one, does nothing."""
    text = os.environ.get(VARIABLE)
    if text:
        watch(int(text), lambda: os.kill(os.getpid(), signal.SIGTERM))


def watch(descriptor: int, when_gone: Callable[[], None]) -> None:
    """Calls `when_gone` from a thread of its own when the pipe's writing end is closed."""

    def wait() -> None:
        while os.read(descriptor, 1):
            pass
        when_gone()

    threading.Thread(target=wait, name="lifeline", daemon=True).start()
