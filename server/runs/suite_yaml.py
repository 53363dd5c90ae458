"""Reads the YAML of a suite into nodes that know their line and column.

What a suite may say is not known here (see suite.py). YAML is cut down to what a suite needs: no tags, no
merge keys, no second document, bounded depth and size, so that no text can cost more than it weighs.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 20
MAX_NODES = 200_000

# YAML's non-printable characters, and lone surrogates, which no database or JSON document can hold.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
# libyaml where PyYAML was built with it: twenty times faster, the same events.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Key = str | int


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a suite; line and column count from 1, `path` is like `tests[2].viewports[0]`."""

    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.message}"


class SuiteError(Exception):
    """The suite cannot be used; `problems` tells everything that is wrong with it, in reading order."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class Plain(str):
    """A scalar written without quotes: its source text, which may mean a number, a truth value or nothing."""

    __slots__ = ()


@dataclass(slots=True)
class Node:
    """A value and where it starts; `keys` are the places of a mapping's keys, `size` counts it and what is below."""

    line: int
    column: int
    value: "str | list[Node] | dict[str, Node]"
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    size: int = 1
    height: int = 0

    def hold(self, child: "Node") -> None:
        self.size += child.size
        self.height = max(self.height, child.height + 1)

    def data(self) -> Any:
        """The value as plain dicts, lists and strings (`Plain` where no quotes were written)."""
        if isinstance(self.value, dict):
            return {key: node.data() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.data() for node in self.value]
        return self.value


def shorten(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def path_text(path: tuple[Key, ...]) -> str:
    """`("tests", 2, "name")` as `tests[2].name`."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{shorten(key)}" for key in path).removeprefix(
        "."
    )


def read(text: str) -> tuple[Node, list[Problem]]:
    """The root node, and what can be reported beside later problems (duplicate keys and the like).

    Raises SuiteError where reading cannot go on.
    """
    text = text.removeprefix("\ufeff")
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise SuiteError([Problem(1, 1, "", "the suite is larger than 1 MiB")])
    if bad := _UNPRINTABLE.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        column = bad.start() - text.rfind("\n", 0, bad.start())
        message = f"the character U+{ord(bad[0]):04X} is not allowed in YAML"
        raise SuiteError([Problem(line, column, "", message)])
    reader = _Reader(text)
    try:
        return reader.document(), reader.problems
    except yaml.MarkedYAMLError as error:
        raise SuiteError([_syntax_problem(error, text)]) from None
    except yaml.YAMLError as error:
        raise SuiteError([Problem(1, 1, "", f"not valid YAML: {error}")]) from None


def _syntax_problem(error: yaml.MarkedYAMLError, text: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    lines = text.split("\n")
    source = lines[line] if line < len(lines) else ""
    problem = " ".join(filter(None, [error.context, error.problem])) or "it cannot be read"
    if "\t" in source[: column + 1] and not source[: column + 1].strip():
        column = source.index("\t")
        problem = "a line is indented with a tab; use spaces"
    elif "mapping values" in problem:
        problem = (
            'a ": " is not expected here; put text that contains ": " in quotes, and check the indentation'
        )
    return Problem(line + 1, column + 1, "", f"not valid YAML: {problem}")


class _Reader:
    """Recursive descent over PyYAML's events, which come one by one and are bounded as they come."""

    def __init__(self, text: str) -> None:
        self.events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        self.problems: list[Problem] = []
        self.anchors: dict[str, Node | None] = {}
        self.nodes = 0

    def document(self) -> Node:
        event = next(self.events)
        while isinstance(event, yaml.StreamStartEvent | yaml.DocumentStartEvent):
            event = next(self.events)
        if isinstance(event, yaml.StreamEndEvent):
            return Node(1, 1, Plain(""))
        root = self.node(event, ())
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                self.report(event, (), "a suite is one YAML document; a second one starts here")
                break
        return root

    def node(self, event: Any, path: tuple[Key, ...]) -> Node:
        if len(path) > MAX_DEPTH:
            raise self.stop(event, path[:3], f"the suite is nested more than {MAX_DEPTH} levels deep")
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, path)
        if event.anchor:
            self.anchors[event.anchor] = None  # an alias inside its own anchor never ends
        if event.tag:
            self.report(event, path, "YAML tags (written with !) are not supported in a suite")
        node = Node(event.start_mark.line + 1, event.start_mark.column + 1, "")
        self.count(event, 1)
        if isinstance(event, yaml.MappingStartEvent):
            node.value = self.mapping(node, path)
        elif isinstance(event, yaml.SequenceStartEvent):
            node.value = self.sequence(node, path)
        else:
            node.value = self.scalar(event, path)
            node.size += len(node.value) // 100  # so that aliases cannot multiply a long text
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def alias(self, event: Any, path: tuple[Key, ...]) -> Node:
        target = self.anchors.get(event.anchor)
        if target is None:
            why = "contains itself" if event.anchor in self.anchors else "was not defined above"
            raise self.stop(event, path, f"the anchor &{event.anchor} {why}")
        if len(path) + target.height > MAX_DEPTH:
            raise self.stop(event, path[:3], f"the suite is nested more than {MAX_DEPTH} levels deep")
        self.count(event, target.size)
        return target

    def sequence(self, node: Node, path: tuple[Key, ...]) -> list[Node]:
        items: list[Node] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self.node(event, (*path, len(items))))
            node.hold(items[-1])
        return items

    def mapping(self, node: Node, path: tuple[Key, ...]) -> dict[str, Node]:
        members: dict[str, Node] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self.stop(event, path, "a key must be text")
            key_node = self.node(event, path)
            key = str(key_node.value)
            value = self.node(next(self.events), (*path, key))
            if value.value == "":  # where nothing is, readers of YAML disagree
                value.line, value.column = key_node.line, key_node.column
            node.hold(value)
            if key == "<<":
                message = "merge keys (<<) are not supported; defaults can stand at the top of the suite"
                self.report(event, path, message)
            elif key in members:
                first = node.keys[key][0]
                message = f'the key "{shorten(key)}" is here twice; line {first} has it already'
                self.report(event, (*path, key), message)
            else:
                members[key], node.keys[key] = value, (key_node.line, key_node.column)
        return members

    def scalar(self, event: Any, path: tuple[Key, ...]) -> str:
        value: str = event.value
        if bad := _UNPRINTABLE.search(value):  # an escape sequence such as "\0"
            self.report(event, path, f"the character U+{ord(bad[0]):04X} is not allowed in a suite")
            value = _UNPRINTABLE.sub(" ", value)
        return value if event.style else Plain(value)

    def count(self, event: Any, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            raise self.stop(event, (), f"the suite has more than {MAX_NODES:,} values, aliases expanded")

    def report(self, event: Any, path: tuple[Key, ...], message: str) -> None:
        mark = event.start_mark
        self.problems.append(Problem(mark.line + 1, mark.column + 1, path_text(path), message))

    def stop(self, event: Any, path: tuple[Key, ...], message: str) -> SuiteError:
        self.report(event, path, message)
        return SuiteError(self.problems)
