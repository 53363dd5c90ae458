"""The suite file of the workspace: found, read, and checked as far as this can be done without the server.

What a suite may say is the server's business; here it is only text that must be readable YAML, and the lines
where its tests stand.
"""

import posixpath
from pathlib import Path

DEFAULT_FILE = "retestr.yml"
MAX_BYTES = 1024 * 1024


class UnusableSuite(ValueError):
    """The suite file cannot be sent; the message says why."""


def read_suite(name: str, workspace: Path) -> str | None:
    """The suite's text. `name` empty: `retestr.yml` where it exists, else None (the project's own suite).

    Raises UnusableSuite.
    """
    path = workspace / (name or DEFAULT_FILE)
    if not name and not path.exists():
        return None
    _check_inside(path, name or DEFAULT_FILE, workspace)
    text = _read(path, name or DEFAULT_FILE)
    _check_yaml(text, name or DEFAULT_FILE)
    return text


def file_of(name: str, workspace: Path) -> str:
    """The suite file's path as annotations want it: relative to the workspace, with `/`. `name` as above."""
    path = posixpath.normpath(name or DEFAULT_FILE)
    return path.removeprefix(f"{workspace.as_posix()}/")


def lines_of_tests(text: str) -> dict[str, int]:
    """The line (from 1) of each test of a suite by its name: that of `name:` within `tests:`.

    Reads as far as the text is a suite: what is something else has no line.
    """
    import yaml

    lines: dict[str, int] = {}
    path: list[str | None] = []  # of the collections around: the key at hand of a mapping, "[]" of a sequence
    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if isinstance(event, yaml.CollectionEndEvent):
                path.pop()
            elif not isinstance(event, yaml.NodeEvent):
                continue
            elif path and path[-1] is None:
                path[-1] = str(getattr(event, "value", ""))  # a key; its value comes next
                if not isinstance(event, yaml.ScalarEvent):
                    break  # a key that is no word: no suite
                continue
            elif isinstance(event, yaml.CollectionStartEvent):
                path.append(None if isinstance(event, yaml.MappingStartEvent) else "[]")
                continue
            elif path == ["tests", "[]", "name"] and isinstance(event, yaml.ScalarEvent):
                lines.setdefault(event.value, event.start_mark.line + 1 if event.start_mark else 0)
            if path and path[-1] != "[]":
                path[-1] = None  # the value is over: a key comes next
    except yaml.YAMLError:
        pass
    return lines


def _check_inside(path: Path, name: str, workspace: Path) -> None:
    try:
        inside = path.resolve().is_relative_to(workspace.resolve())
    except (OSError, RuntimeError, ValueError):  # a loop of links, a null byte
        inside = False
    if not inside:
        raise UnusableSuite(f"`{name}` lies outside the workspace; name a file of the checked out repository")


def _read(path: Path, name: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UnusableSuite(
            f"`{name}` does not exist in the workspace; it is there after an `actions/checkout` step, under its path in the repository"
        ) from None
    except OSError as error:
        raise UnusableSuite(f"`{name}` cannot be read ({error.strerror})") from None
    if len(content) > MAX_BYTES:
        raise UnusableSuite(f"`{name}` is larger than 1 MiB; split it into several projects")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnusableSuite(f"`{name}` is not UTF-8 text") from None


def _check_yaml(text: str, name: str) -> None:
    import yaml  # only here: who has no suite file need not wait for it

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    begins_as_mapping = False
    try:
        # Events alone: the syntax is checked, and nothing (an alias bomb, a tag) is built from it.
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.NodeEvent):
                begins_as_mapping = begins_as_mapping or isinstance(event, yaml.MappingStartEvent)
                if not begins_as_mapping:
                    break
    except yaml.YAMLError as error:
        raise UnusableSuite(f"`{name}` is not valid YAML: {_told(error)}") from None
    if not begins_as_mapping:
        raise UnusableSuite(
            f"`{name}` is no suite: it must begin with members such as `baseUrl:` and `tests:`"
        )


def _told(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "it cannot be parsed"
    return f"{problem} (line {mark.line + 1}, column {mark.column + 1})" if mark else str(problem)
