"""What happens when this step is cancelled: the runner's signals become one exception.

Only signals live here; what is done about them is decided in `follow` and `main`. Imports nothing heavy, so
that it listens before anything else is loaded.
"""

import os
import signal
import threading
import time
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
AGAIN_S = 0.1


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
        arrivals, news = os.pipe()
        os.set_blocking(news, False)
        signal.set_wakeup_fd(news, warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, self._arrive)
        threading.Thread(target=self._insist, args=(arrivals,), daemon=True).start()

    def sleep(self, seconds: float) -> None:
        """Sleep, unless cancelled: for the rare case that the exception was lost in a destructor.

        Only in the main thread, where it arrives: `follow` cleans up in another, which may pause between its tries.
        """
        if self.arrived and threading.current_thread() is threading.main_thread():
            raise Interrupted
        time.sleep(seconds)

    def _insist(self, arrivals: int) -> None:
        """Signal the main thread anew until it has heard.

        Python calls a handler between two steps of the main thread. A signal that arrives after the last of them,
        just before the thread waits for an answer, does not end that wait, and would be heard only after it.
        """
        os.read(arrivals, 1)
        main = threading.main_thread().ident
        while main and not self.arrived:
            signal.pthread_kill(main, SIGNALS[0])
            time.sleep(AGAIN_S)

    def _arrive(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if not self.arrived:
            self.arrived = True
            raise Interrupted
