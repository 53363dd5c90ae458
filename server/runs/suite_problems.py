"""Words what is wrong with a suite, and finds the line and column of it.

The grammar (which keys are known where) comes from suite.py's models; nothing here decides what is right.
"""

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from server.runs.suite_values import shown
from server.runs.suite_yaml import Key, Node, Problem, path_text, shorten

MOST_PROBLEMS = 100

Path = tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Wrong:
    """A place in the suite, and either a whole message or the pydantic error that is to be worded."""

    path: Path
    message: str
    error: ErrorDetails | None = None

    @classmethod
    def of_pydantic(cls, error: ErrorDetails) -> "Wrong":
        return cls(error["loc"], error["msg"], error)


@dataclass(frozen=True, slots=True)
class Grammar:
    """The model of the whole suite, and the models that can stand below a key."""

    root: type[BaseModel]
    below: Mapping[str, Sequence[type[BaseModel]]]

    def examples(self, path: Path) -> dict[str, Any]:
        """Every key that is known in the mapping at `path`, with an example or None."""
        names = [key for key in path if isinstance(key, str)]
        models = self.below.get(names[-1], ()) if names else (self.root,)
        named = [(model, name, field) for model in models for name, field in model.model_fields.items()]
        named.sort(key=lambda one: one[1] not in one[0].__annotations__)  # what models share comes last
        fields = {field.alias or name: field for _, name, field in named}
        return {key: (field.examples or [None])[0] for key, field in fields.items()}


def suggestion(word: str, known: Iterable[str]) -> str:
    """`, did you mean "waitFor"?` or nothing."""
    by_lower = {name.lower(): name for name in known}
    plain = word.lower().replace("_", "").replace("-", "")[:60]
    close = difflib.get_close_matches(plain, by_lower, n=1, cutoff=0.6)
    return f', did you mean "{by_lower[close[0]]}"?' if close else ""


def problems_of(wrong: Sequence[Wrong], root: Node, grammar: Grammar) -> list[Problem]:
    """The first hundred problems, and how many more there are."""
    real = [one for one in wrong if not _follows_from_another(one, root)]
    problems = sorted((_problem(one, root, grammar) for one in real[:MOST_PROBLEMS]), key=reading_order)
    if len(real) > MOST_PROBLEMS:
        last = problems[-1]
        problems.append(Problem(last.line, last.column, "", f"and {len(real) - MOST_PROBLEMS} more problems"))
    return problems


def reading_order(problem: Problem) -> tuple[int, int]:
    return problem.line, problem.column


def _follows_from_another(wrong: Wrong, root: Node) -> bool:
    """Pydantic calls a list too short when its entries are wrong."""
    return (
        wrong.error is not None
        and wrong.error["type"] == "too_short"
        and bool(_find(root, wrong.path)[0].value)
    )


def _problem(wrong: Wrong, root: Node, grammar: Grammar) -> Problem:
    if wrong.error is None:
        node, path = _find(root, wrong.path)
        return Problem(node.line, node.column, path_text(path), wrong.message)
    if wrong.error["type"] == "extra_forbidden":
        node, path = _find(root, wrong.path[:-1])
        key = str(wrong.path[-1])
        return Problem(*node.keys[key], path_text((*path, key)), _unknown_key(key, path, node, grammar))
    node, path = _find(root, wrong.path)
    if wrong.error["type"] == "union_tag_not_found" and isinstance(node.value, dict) and node.value:
        key = next(iter(node.value))
        return Problem(*node.keys[key], path_text(path), _unknown_action(key, list(grammar.examples(path))))
    message = _message(wrong.error, path, grammar.examples(path))
    return Problem(node.line, node.column, path_text(path), message)


def _message(error: ErrorDetails, path: Path, known: Mapping[str, Any]) -> str:
    label, got, keys = _label(path), shown(error["input"]), ", ".join(known)
    match error["type"]:
        case "must":
            wrong = error["input"].strip() if isinstance(error["input"], str) else ""
            closest = error["ctx"]["closest"](wrong)
            hint = f' (closest: "{closest}")' if closest else ""
            return f"{label} must be {error['msg']}{hint}, got {got}"
        case "missing":
            key = str(error["loc"][-1])
            example = f", for example {key}: {json.dumps(known[key])}" if known.get(key) is not None else ""
            return f'{label} has no "{key}"{example}'
        case "union_tag_not_found":
            return f'{label} must be one of {keys}, such as click: "#buy", got {got}'
        case "tuple_type":
            return f'{label} must be a list (each entry on a line that starts with "- "), got {got}'
        case "dict_type":
            return f"{label} must be a mapping of names and values, got {got}"
        case "model_type" if not path and got == "nothing":
            return 'the suite is empty; the least is tests: [{"name": "Home", "path": "/"}]'
        case "model_type":
            return f"{label} must be a mapping with some of the keys {keys}, got {got}"
        case "too_short":
            return f"{label} must have at least one entry"
        case "too_long":
            return f"{label} must have at most {error['ctx']['max_length']} entries"
        case _:
            return f"{label}: {error['msg']}"


def _unknown_key(key: str, path: Path, node: Node, grammar: Grammar) -> str:
    if len(path) > 1 and path[-2] == "steps":
        return f'a step is one action; "{shorten(key)}" must be a step of its own, on a line that starts with "- "'
    known = grammar.examples(path)
    hint = suggestion(key, [name for name in known if name not in node.keys])
    return f'"{shorten(key)}" is not known here' + (hint or f"; {_label(path)} takes {', '.join(known)}")


def _unknown_action(action: str, known: Sequence[str]) -> str:
    hint = suggestion(action, known) or f"; a step is one of {', '.join(known)}"
    return f'"{shorten(action)}" is no step{hint}'


def _label(path: Path) -> str:
    """The last key of a path with its indices: `viewports[0]`."""
    last_name = max((at for at, key in enumerate(path) if isinstance(key, str)), default=0)
    return path_text(path[last_name:]) or "the suite"


def _find(root: Node, path: Path) -> tuple[Node, Path]:
    """The node at a path, or the last on the way; pydantic's names of union branches are passed over."""
    node, found = root, list[Key]()
    for key in path:
        below = _below(node, key)
        if below is not None:
            node = below
            found.append(key)
    return node, tuple(found)


def _below(node: Node, key: Key) -> Node | None:
    if isinstance(node.value, dict) and isinstance(key, str):
        return node.value.get(key)
    return node.value[key] if isinstance(node.value, list) and isinstance(key, int) else None
