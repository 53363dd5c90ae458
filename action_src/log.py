"""The step's log: plain lines, groups, and the runner's workflow commands.

Whatever is written here is data: a line can neither hold a secret nor become a command by accident. What is
said is decided elsewhere.
https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

MAX_ANNOTATION_CHARACTERS = 4000  # the runner cuts at 4096
HIDDEN = "***"
MIN_SECRET_CHARACTERS = 6

# C0 and C1 controls, Unicode's line ends, and marks that reorder or hide text.
UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]+"
)


def one_line(text: str) -> str:
    """The text without line ends, control characters and marks that turn its direction."""
    return UNPRINTABLE.sub(" ", text).strip()


def shortened(text: str, max_characters: int) -> str:
    """At most so many characters, an ellipsis included where something was cut."""
    return text if len(text) <= max_characters else text[: max_characters - 1] + "…"


def without_secret(text: str, secret: str) -> str:
    """The text with the secret blotted out; what is shorter than any real secret would only blot out words."""
    return text.replace(secret, HIDDEN) if len(secret) >= MIN_SECRET_CHARACTERS else text


def escaped_data(text: str) -> str:
    """Text as the data of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escaped_property(text: str) -> str:
    """Text as a property of a workflow command."""
    return escaped_data(text).replace(":", "%3A").replace(",", "%2C")


def _harmless(line: str) -> str:
    """The line without what the runner would take for a command: `##[x]` anywhere, `::x::` at the start."""
    line = line.replace("##[", "## [")
    return re.sub(r"^(\s*):(?=:)", r"\1: ", line)


class Log:
    """Writes lines to a stream that the runner reads."""

    def __init__(self, stream: TextIO, *, debug: bool = False) -> None:
        self._stream = stream
        self._debug = debug
        self._hidden: list[str] = []

    def mask(self, secret: str) -> None:
        """Have the runner mask a secret from here on, and never write it ourselves. Call it first."""
        if secret.strip():
            self._write(f"::add-mask::{escaped_data(secret)}")
            self._hidden.append(secret)

    def line(self, text: str) -> None:
        """One line that a person reads."""
        self._write(_harmless(one_line(self._clean(text))))

    def debug(self, text: str) -> None:
        """Lines that only show where debug logging is switched on for the workflow."""
        if self._debug:
            for line in self._clean(text).splitlines():
                self._command("debug", line)

    def error(self, text: str, title: str = "", file: str = "", line: int = 0) -> None:
        """An annotation of level error; `file` (in the workspace) and `line` (from 1) say where it is shown."""
        self._annotation("error", text, title, file, line)

    def warning(self, text: str, title: str = "", file: str = "", line: int = 0) -> None:
        """An annotation of level warning."""
        self._annotation("warning", text, title, file, line)

    def notice(self, text: str, title: str = "") -> None:
        """An annotation of level notice."""
        self._annotation("notice", text, title)

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Fold the lines written inside under a title."""
        self._command("group", one_line(self._clean(title)))
        try:
            yield
        finally:
            self._command("endgroup", "")

    def _annotation(self, level: str, text: str, title: str, file: str = "", line: int = 0) -> None:
        message = shortened(self._clean(text), MAX_ANNOTATION_CHARACTERS)
        place = {"file": self._clean(file), "line": str(line)} if file and line > 0 else {}
        self._command(level, message, {**place, "title": shortened(one_line(self._clean(title)), 200)})

    def _command(self, name: str, data: str, properties: Mapping[str, str] | None = None) -> None:
        given = [f"{key}={escaped_property(value)}" for key, value in (properties or {}).items() if value]
        self._write(f"::{name}{' ' if given else ''}{','.join(given)}::{escaped_data(data)}")

    def _clean(self, text: str) -> str:
        for secret in self._hidden:
            text = without_secret(text, secret)
        return text

    def _write(self, line: str) -> None:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except OSError:
            pass  # nobody reads any more (a cancelled job): what is being done must still be finished
