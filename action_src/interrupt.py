"""What happens when this step is cancelled: the runner's signals become one exception.

Only signals live here; what is done about them is decided in `follow` and `main`. Imports nothing heavy, so
that it listens before anything else is loaded.
"""

import signal
import threading
import time
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """This step was cancelled. Not an `Exception`, so that no library swallows it."""


class Interruption:
    """Raises `Interrupted` in the main thread at the first signal; later ones change nothing.

    The runner sends SIGINT, 7.5 s later SIGTERM, 2.5 s later SIGKILL. Whoever catches `Interrupted` can clean
    up without being torn away once more.
    """

    def __init__(self) -> None:
        self.arrived = False

    def listen(self) -> None:
        """Install the signal handlers (main thread only)."""
        for number in SIGNALS:
            signal.signal(number, self._arrive)

    def sleep(self, seconds: float) -> None:
        """Sleep, unless cancelled: for the rare case that the exception was lost in a destructor.

        Only in the main thread, where it arrives: `follow` cleans up in another, which may pause between its tries.
        """
        if self.arrived and threading.current_thread() is threading.main_thread():
            raise Interrupted
        time.sleep(seconds)

    def _arrive(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if not self.arrived:
            self.arrived = True
            raise Interrupted
