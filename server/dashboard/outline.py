"""The list beside a review: a run's snapshots that a filter lets through, grouped by change, worst first.

One query reads a few columns of all of them; order, groups, neighbours and counts are worked out from these. Whole
rows and images are asked for by `reviewing`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

from sqlalchemy import select

from server.dashboard import marks
from server.database import db
from server.models import Run, Snapshot
from server.runs import lifecycle
from server.runs.automatic import REVIEWABLE

ROWS_PER_PAGE = 40
SHOWN: dict[str, str] = {
    "all": "All",
    "review": "To review",
    "changed": "Changed",
    "error": "Errors",
    "new": "New",
    "rejected": "Rejected",
    "unchanged": "Unchanged",
}
LONGEST_NAME = 200


@dataclass(frozen=True)
class Filters:
    """Which snapshots the list shows; what an address says of it."""

    show: str = "all"  # one of SHOWN
    viewport: str = ""
    flaky: bool = False
    name: str = ""

    @classmethod
    def of(cls, values: Mapping[str, str]) -> Filters:
        """The filters that an address or a form names; what is no filter counts as none."""
        show = values.get("show", "")
        return cls(
            show if show in SHOWN else "all",
            values.get("viewport", ""),
            bool(values.get("flaky")),
            values.get("name", "").strip()[:LONGEST_NAME],
        )

    def query(self, **changed: str | bool) -> dict[str, str]:
        """What an address says for these filters, some of them `changed`."""
        values = {"show": self.show, "viewport": self.viewport, "flaky": self.flaky, "name": self.name}
        told = {**values, **changed}
        return {
            name: "1" if value is True else str(value)
            for name, value in told.items()
            if value and value != "all"
        }

    def without_show(self) -> Filters:
        """The same, of every status."""
        return Filters("all", self.viewport, self.flaky, self.name)

    def fit(self, item: Item) -> bool:
        """Whether a snapshot is shown."""
        return (
            (self.show == "all" or self.show in item.shown_as)
            and self.viewport in ("", item.viewport)
            and (item.flaky or not self.flaky)
            and (not self.name or self.name.casefold() in item.test.casefold())
        )


@dataclass(frozen=True, slots=True)
class Item:
    """What the list knows of one snapshot."""

    id: str
    position: int
    test: str
    viewport: str
    status: str
    review: str
    flaky: bool
    group: str | None
    ratio: float | None
    image: str | None

    @property
    def to_review(self) -> bool:
        """Whether somebody has to decide; not where retention has taken the image."""
        return self.status in REVIEWABLE and self.review == "UNREVIEWED" and self.image is not None

    @property
    def shown_as(self) -> tuple[str, ...]:
        """The names in `SHOWN` under which it is listed."""
        names = ["all", self.status.lower()]
        if self.to_review:
            names.append("review")
        if self.review == "REJECTED":
            names.append("rejected")
        return tuple(names)

    @property
    def mark(self) -> str:
        """The key in `marks.MARKS` that says most about it."""
        return marks.mark_for(self.status, self.review, self.flaky)

    @property
    def rank(self) -> int:
        """How urgent it is, 0 first: changes that nobody has decided, errors, new pages, then what is settled."""
        if self.status in REVIEWABLE and self.review != "UNREVIEWED":
            return 3 if self.review == "REJECTED" else 4
        if self.status == "UNCHANGED":
            return 5 if self.flaky else 6
        return {"CHANGED": 0, "ERROR": 1, "NEW": 2, "RUNNING": 7}.get(self.status, 8)


Key = tuple[int, float, int]


@dataclass(frozen=True)
class Entry:
    """What one press decides: one snapshot, or several of a run that show the same change."""

    members: Sequence[Item]  # in the suite's order

    @property
    def first(self) -> Item:
        return self.members[0]

    @property
    def alike(self) -> bool:
        """Whether it is a group of several."""
        return len(self.members) > 1

    @cached_property
    def key(self) -> Key:
        """Worst first: by urgency, changes by how much of the page they are, then as in the suite."""
        worst = max(item.ratio or 0.0 for item in self.members) if self.first.rank == 0 else 0.0
        return self.first.rank, -worst, self.first.position


@dataclass(frozen=True)
class Row:
    """One line of the list: an entry, or a member of the entry that is opened."""

    entry: Entry
    item: Item
    member: bool = False

    @property
    def key(self) -> tuple[Key, int]:
        return self.entry.key, self.item.position if self.member else -1


@dataclass(frozen=True)
class Step:
    """A snapshot that a key leads to; `opened` where it is a member of the opened group."""

    id: str
    opened: bool
    changed: bool = False


@dataclass(frozen=True)
class Outline:
    """A run's list, as some filters show it."""

    filters: Filters
    tally: Counter[str]  # by the names of SHOWN, within the other filters
    viewports: Sequence[str]  # of the whole run
    flaky: int  # of the whole run
    left: int  # to review in the whole run
    entries: Sequence[Entry]  # in order

    def entry_of(self, snapshot_id: str) -> Entry | None:
        """The entry to which a snapshot belongs; None where it is not shown."""
        return self._entries.get(snapshot_id)

    def rows(self, opened: Entry | None) -> list[Row]:
        """The lines of the list, with the members of the opened entry."""
        rows = []
        for entry in self.entries:
            rows.append(Row(entry, entry.first))
            if entry is opened and entry.alike:
                rows += [Row(entry, item, member=True) for item in entry.members]
        return rows

    def next_to_review(self, decided: Entry, member: str | None = None) -> Step | None:
        """What is to be decided after an entry, else the first; after one `member` of a group, the rest of it."""
        if member is not None and (rest := [i for i in decided.members if i.to_review and i.id != member]):
            place = next(item.position for item in decided.members if item.id == member)
            return Step(next((item for item in rest if item.position > place), rest[0]).id, len(rest) > 1)
        undecided = [entry for entry in self.entries if entry is not decided and entry.first.to_review]
        if not undecided:
            return None
        return Step(next((e for e in undecided if e.key > decided.key), undecided[0]).first.id, False)

    @cached_property
    def _entries(self) -> dict[str, Entry]:
        return {item.id: entry for entry in self.entries for item in entry.members}


@dataclass(frozen=True)
class Listing:
    """One page of the list, and who stands beside the selected snapshot."""

    rows: Sequence[Row]
    first: int
    total: int  # rows on all pages
    place: int  # of the selected one among the entries, from 1; 0 where it is not shown
    entry: Entry | None  # to which it belongs
    opened: bool
    before: Step | None
    after: Step | None

    @property
    def first_before(self) -> int:
        """Where the page before this one begins."""
        return max(0, self.first - ROWS_PER_PAGE)

    @property
    def following(self) -> int:
        """How many rows come after this page."""
        return max(0, self.total - self.first - len(self.rows))


def outline(run: Run, filters: Filters) -> Outline:
    """A run's list; one query, however the filters are."""
    columns = [getattr(Snapshot, field.name) for field in fields(Item)]
    rows = db.session.execute(select(*columns).where(Snapshot.run_id == run.id).order_by(Snapshot.position))
    items = [Item(*row) for row in rows]
    if run.status == "CANCELLED":
        items = [replace(i, status="CANCELLED") if i.status in lifecycle.UNFINISHED else i for i in items]
    every_status = filters.without_show()
    return Outline(
        filters,
        Counter(name for item in items if every_status.fit(item) for name in item.shown_as),
        list(dict.fromkeys(item.viewport for item in items)),
        sum(item.flaky for item in items),
        sum(item.to_review for item in items),
        _entries(item for item in items if filters.fit(item)),
    )


def listing(outlined: Outline, selected: Snapshot | None, opened: bool, first: int | None) -> Listing:
    """The page of the list that begins with row `first`; else the one on which the selected snapshot stands."""
    entry = outlined.entry_of(selected.id) if selected is not None else None
    opened = opened and entry is not None and entry.alike
    rows = outlined.rows(entry if opened else None)
    before, after, index = None, None, 0
    if selected is not None:
        key = _key_of(selected, entry, opened)
        index = bisect_left(rows, key, key=_key)
        stops = [row for row in rows if row.member or row.entry is not entry] if opened else rows
        before = _step(stops, bisect_left(stops, key, key=_key) - 1)
        after = _step(stops, bisect_right(stops, key, key=_key))
    if first is None:
        first = index // ROWS_PER_PAGE * ROWS_PER_PAGE
    first = max(0, first)
    place = outlined.entries.index(entry) + 1 if entry is not None else 0
    return Listing(rows[first : first + ROWS_PER_PAGE], first, len(rows), place, entry, opened, before, after)


def _entries(items: Iterable[Item]) -> list[Entry]:
    """One entry for each change: what shows the same one, and is as urgent, belongs together."""
    together: dict[tuple[int, str], list[Item]] = defaultdict(list)
    for item in items:
        together[item.rank, item.group or item.id].append(item)
    return sorted((Entry(members) for members in together.values()), key=lambda entry: entry.key)


def _key(row: Row) -> tuple[Key, int]:
    return row.key


def _key_of(selected: Snapshot, entry: Entry | None, opened: bool) -> tuple[Key, int]:
    """Where a snapshot stands in the list, or would stand."""
    if entry is None:
        entry = Entry([Item(*(getattr(selected, field.name) for field in fields(Item)))])
    return entry.key, selected.position if opened else -1


def _step(stops: Sequence[Row], index: int) -> Step | None:
    if not 0 <= index < len(stops):
        return None
    row = stops[index]
    return Step(row.item.id, row.member, row.item.status == "CHANGED" and row.item.image is not None)
