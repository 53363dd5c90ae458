"""Snapshots that belong together, as one: what the server calls the same change, what failed for the same reason.

A report tells each group once, the worst first, so that a header that moved on 400 pages is one line.
"""

from collections.abc import Callable, Iterable
from itertools import count

from action_src.run import Snapshot

Group = tuple[Snapshot, ...]  # never empty; its worst snapshot first


def same_change(snapshots: Iterable[Snapshot]) -> list[Group]:
    """Snapshots by the change that they show; one without a group stands alone."""
    return _grouped(snapshots, lambda one: one.group)


def same_reason(snapshots: Iterable[Snapshot]) -> list[Group]:
    """Snapshots that could not be judged, by the kind of reason."""
    return _grouped(snapshots, lambda one: one.error_kind)


def _grouped(snapshots: Iterable[Snapshot], mark_of: Callable[[Snapshot], str]) -> list[Group]:
    alone = count()
    groups: dict[str | int, list[Snapshot]] = {}
    for one in snapshots:
        groups.setdefault(mark_of(one) or next(alone), []).append(one)
    return sorted((tuple(sorted(group, key=_harm)) for group in groups.values()), key=_harm_of_group)


def _harm(snapshot: Snapshot) -> tuple[bool, float]:
    """Orders the worst first: what nobody has approved, then by the share of pixels that differ."""
    return snapshot.review == "APPROVED", -(snapshot.ratio or 0.0)


def _harm_of_group(group: Group) -> tuple[bool, float, int]:
    return *_harm(group[0]), -len(group)
