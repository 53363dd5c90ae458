"""What the container starts: listen for the runner's signals, then do the step."""

import os
import sys
import traceback
from pathlib import Path
from typing import TextIO, cast


def run() -> int:
    """Do the step; its exit code."""
    sys.path.insert(0, str(Path(__file__).resolve().parent))  # isolated mode (-I) leaves it out
    from action_src.interrupt import Interrupted, Interruption

    interruption = Interruption()
    try:
        interruption.listen()
        from action_src.main import main  # later: whoever cancels while this loads is heard

        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(encoding="utf-8", errors="replace")
        return main(os.environ, cast(TextIO, sys.stdout), interruption)
    except Interrupted:
        return 130
    except Exception:  # not even loaded: never Python's own 1, which would say that pages look different
        traceback.print_exc()
        return 70


if __name__ == "__main__":
    sys.exit(run())
