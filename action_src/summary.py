"""The job summary: what a person reads on the page of the workflow run, the verdict first.

Markdown only; where it is written to is in `report`, and `comment` writes a shorter form of it. Never larger than
`MAX_BYTES`: the runner drops a summary above 1 MiB whole.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from action_src import markdown as md
from action_src.details import Details
from action_src.groups import Group, same_change
from action_src.outcome import Ending, Outcome
from action_src.run import Baseline, Counts, Run, Snapshot

MAX_BYTES = 900 * 1024
SHORT_SHA = 8
MAX_REASONS = 20
MAX_ROWS = 1000  # of each table
MAX_NAMED_ALIKE = 10
PICTURE_WIDTH = 320
MAX_PICTURES = 50  # a page with more would take long to show

FAILED_MARK, WARNED_MARK, PASSED_MARK = "❌", "⚠️", "✅"
MARKS = {
    Ending.PASSED: PASSED_MARK,
    Ending.STARTED: "⏳",
    Ending.SKIPPED: WARNED_MARK,
    Ending.TOLERATED: WARNED_MARK,
    Ending.CANCELLED: "🚫",
    Ending.INTERRUPTED: "🚫",
}

TITLES = {
    Ending.STARTED: "the run was started and is not waited for",
    Ending.SKIPPED: "skipped, nothing was tested",
    Ending.INVALID: "inputs or suite are wrong, nothing was tested",
    Ending.TIMED_OUT: "the run took too long and was given up",
    Ending.NOT_AUTHORISED: "the API key is not allowed to do this",
    Ending.UNREACHABLE: "the server could not be used",
    Ending.CANCELLED: "the run was cancelled on the server",
    Ending.INTERRUPTED: "this step was cancelled",
    Ending.CRASHED: "the Action itself failed",
}

HOW_TO_APPROVE = (
    "**What now?** If the changes are meant, approve them in {place}, then choose **Re-run failed jobs** {again}: "
    "what was approved is the new baseline. If they are not, fix the page and push."
)
HOW_TO_RETRY = (
    "**What now?** Nothing is said about how these pages look. Repair what the reasons name (often the site or the "
    "suite), or, if it was a passing fault, choose **Re-run failed jobs** {again}."
)
PASSED_LATE = "These passed, but only when tried again."
NOTHING_COMPARED = "There was nothing to compare these with. On the default branch they become the baseline; elsewhere, approve them."


ALIKE = "Snapshots that changed in the same way share a row."


@dataclass(frozen=True)
class Form:
    """How much of a summary is written, and for which place.

    `workflow_url` is needed where the text stands elsewhere than on the page of the workflow run.
    """

    max_bytes: int = MAX_BYTES
    max_rows: int = MAX_ROWS
    pictures: bool = True
    workflow_url: str = ""


WHOLE = Form()


@dataclass(frozen=True)
class Section:
    """A table under a title. Rows that find no room are counted, never dropped in silence.

    `weights` says for how many snapshots each row stands.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[str]
    weights: Sequence[int]
    total: int
    note: str = ""


def summary(outcome: Outcome, details: Details, *, name: str = "", form: Form = WHOLE) -> str:
    """The whole summary, at most `form.max_bytes` of UTF-8."""
    head, tail = _head(outcome, name), _tail(outcome, details, form)
    sections = _sections(outcome.run, details, form)
    everything_but_rows = [*head, *(_shown(section, 0, outcome.run) for section in sections), *tail]
    room = form.max_bytes - len("\n\n".join(everything_but_rows).encode()) - 1
    parts = head
    for section in sections:
        number, size = _fitting(section.rows[: form.max_rows], room)
        room -= size
        parts.append(_shown(section, number, outcome.run))
    return "\n\n".join([*parts, *tail]) + "\n"


def headline(outcome: Outcome, name: str = "") -> str:
    """The verdict in one line of Markdown."""
    mark = MARKS.get(outcome.ending, FAILED_MARK)
    return f"{mark} retestr{f' ({md.text(name, 100)})' if name else ''}: {md.text(verdict(outcome))}"


def verdict(outcome: Outcome) -> str:
    """The verdict in a few plain words."""
    if outcome.ending in TITLES or outcome.run is None:
        return TITLES.get(outcome.ending, "there is no run")
    counts = outcome.run.counts or Counts()
    if outcome.ending is Ending.PASSED:
        return _passed(counts)
    found = [
        f"{number} {words}"
        for number, words in (
            (counts.changed, "changed"),
            (counts.new, "new"),
            (counts.error, "could not be judged"),
        )
        if number
    ]
    of_all = f" (of {_snapshots(counts.total)})" if counts.total and found else ""
    tolerated = "; fail-on lets it pass" if outcome.ending is Ending.TOLERATED else ""
    return (", ".join(found) or f"the run ended as {outcome.run.status}") + of_all + tolerated


def _passed(counts: Counts) -> str:
    known = max(0, counts.total - counts.new)
    parts = [
        f"{_snapshots(known)} as approved" if known else "",
        f"{counts.new} new" if counts.new else "",
    ]
    return ", ".join(part for part in parts if part) or "passed"


def _snapshots(number: int) -> str:
    return f"{number} snapshot{'' if number == 1 else 's'}"


def snapshot_name(snapshot: Snapshot) -> str:
    """What tells this snapshot from the others: test, viewport, browser."""
    return ", ".join(x for x in (snapshot.test or snapshot.id, snapshot.viewport, snapshot.browser) if x)


def what_changed(snapshot: Snapshot) -> str:
    """What the server says of a change, or how many pixels differ."""
    if snapshot.sentence:
        return snapshot.sentence
    return (
        f"{snapshot.ratio:.2%} of the pixels differ" if snapshot.ratio is not None else "it looks different"
    )


def why_not_judged(snapshot: Snapshot) -> str:
    """The reason of a snapshot that ended in an error."""
    said = ": ".join(x for x in (snapshot.error_kind, snapshot.error_message) if x)
    return said or snapshot.sentence or "no reason was given"


def compared_with(baseline: Baseline | None) -> str:
    """The baseline in Markdown: branch, commit, who approved it and when."""
    if baseline is None:
        return "—"
    where = md.code(baseline.branch)
    if baseline.commit_sha:
        where += f" at {md.code(baseline.commit_sha[:SHORT_SHA])}"
    by = f", approved by {md.text(baseline.approved_by, 80)}" if baseline.approved_by else ""
    on = f" on {md.text(baseline.approved_at[:10])}" if baseline.approved_by and baseline.approved_at else ""
    return (where + by + on).strip(", ") or "—"


def _head(outcome: Outcome, name: str) -> list[str]:
    head = [f"## {headline(outcome, name)}"]
    if outcome.run and outcome.run.notice:
        head.append(f"> **Before you look:** {md.text(outcome.run.notice, 1000)}")
    if outcome.reason:
        head.append(_reason(outcome.reason))
    if outcome.run:
        head.append(_facts(outcome.run, outcome))
        if outcome.run.counts and outcome.run.counts.total:
            head.append(_counts(outcome.run.counts))
    return head


def _reason(reason: str) -> str:
    """The reason as a paragraph; several lines as a list."""
    lines = [md.text(line, 2000) for line in reason.splitlines()[:MAX_REASONS]]
    return lines[0] if len(lines) == 1 else "\n".join(f"- {line}" for line in lines)


def _facts(run: Run, outcome: Outcome) -> str:
    label = f"Run {run.number}" if run.number is not None else "The run"
    facts = [
        f"**{md.link(f'{label} in the dashboard', run.url)}**" if run.url else f"{label}, {md.code(run.id)}",
        f"branch {md.code(run.branch)}" if run.branch else "",
        f"commit {md.code(run.commit_sha[:SHORT_SHA])}" if run.commit_sha else "",
        _duration(outcome.duration_s),
    ]
    return " · ".join(fact for fact in facts if fact)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _counts(counts: Counts) -> str:
    titles = ("total", "unchanged", "changed", "new", "errors", "flaky")
    numbers = (counts.total, counts.unchanged, counts.changed, counts.new, counts.error, counts.flaky)
    return "\n".join([*md.head(titles), md.row(str(number) for number in numbers)])


def _sections(run: Run | None, details: Details, form: Form) -> list[Section]:
    counts = (run and run.counts) or Counts()
    sections = [
        _changed(same_change(details.changed), counts.changed, form),
        _listed(
            "Errors",
            ("snapshot", "reason"),
            [md.row((_linked(one), md.text(why_not_judged(one)))) for one in details.error],
            counts.error,
        ),
        _listed("New", ("snapshot",), _names(details.new), counts.new, NOTHING_COMPARED),
        _listed("Flaky", ("snapshot",), _names(details.flaky), counts.flaky, PASSED_LATE),
    ]
    return [section for section in sections if section.rows]


def _listed(title: str, columns: Sequence[str], rows: Sequence[str], total: int, note: str = "") -> Section:
    """A table with a row for each snapshot."""
    return Section(title, columns, rows, [1] * len(rows), total, note)


def _names(snapshots: Sequence[Snapshot]) -> list[str]:
    return [md.row((_linked(one),)) for one in snapshots]


def _changed(groups: Sequence[Group], total: int, form: Form) -> Section:
    """What changed, a row for each group, the worst first; a column of pictures where there are any."""
    pictures = [
        md.picture(group[0].thumbnail_url, PICTURE_WIDTH) if number < MAX_PICTURES else ""
        for number, group in enumerate(groups)
    ]
    shown = form.pictures and any(pictures)
    rows = [
        md.row(
            (
                _alike(group),
                *([picture] if shown else []),
                md.text(what_changed(group[0])),
                compared_with(group[0].baseline),
                md.text(_reviews(group)),
            )
        )
        for group, picture in zip(groups, pictures, strict=True)
    ]
    columns = ("snapshot", *(["before, now"] if shown else []), "what changed", "compared with", "review")
    weights = [len(group) for group in groups]
    return Section("Changed", columns, rows, weights, total, ALIKE if max(weights, default=0) > 1 else "")


def _alike(group: Group) -> str:
    """The worst of a group, and who shares its change."""
    worst, *others = group
    if not others:
        return _linked(worst)
    named = ", ".join(_linked(one) for one in others[:MAX_NAMED_ALIKE])
    more = f" and {len(others) - MAX_NAMED_ALIKE} more" if len(others) > MAX_NAMED_ALIKE else ""
    return f"{_linked(worst)}<br>and {len(others)} alike: {named}{more}"


def _reviews(group: Group) -> str:
    """What was decided on a group, in words; of what was rejected by whom and why."""
    words = Counter("open" if one.review == "UNREVIEWED" else one.review.lower() for one in group)
    decided = ", ".join(word if len(words) == 1 else f"{number} {word}" for word, number in words.items())
    rejected = next((one for one in group if one.review == "REJECTED"), None)
    if rejected is None or not rejected.reviewed_by:
        return decided
    return f"{decided} by {rejected.reviewed_by}" + (
        f": {rejected.review_reason}" if rejected.review_reason else ""
    )


def _linked(snapshot: Snapshot) -> str:
    return md.link(snapshot_name(snapshot), snapshot.url)


def _fitting(rows: Sequence[str], room: int) -> tuple[int, int]:
    """How many of the first rows there is room for, and their size, in bytes."""
    size = 0
    for number, line in enumerate(rows):
        more = len(line.encode()) + 1
        if size + more > room:
            return number, size
        size += more
    return len(rows), size


def _shown(section: Section, number: int, run: Run | None) -> str:
    """The section with its first rows, and what was left out."""
    note = [section.note, ""] if section.note else []
    lines = [f"### {section.title}", "", *note, *md.head(section.columns), *section.rows[:number]]
    left_out = max(section.total, sum(section.weights)) - sum(section.weights[:number])
    if left_out > 0:
        where = md.link("the dashboard", run.url if run else "")
        lines += ["", f"… and {left_out} more, not shown here; all are in {where}."]
    return "\n".join(lines)


def _tail(outcome: Outcome, details: Details, form: Form) -> list[str]:
    tail = []
    again = f"in {md.link('the workflow run', form.workflow_url)}" if form.workflow_url else "here"
    if details.lost:
        tail.append(f"> The snapshots could not be listed in full: {md.text(details.lost, 1000)}")
    if outcome.ending in (Ending.CHANGED, Ending.TOLERATED):
        url = outcome.run.url if outcome.run else ""
        tail.append(HOW_TO_APPROVE.format(place=md.link("the dashboard", url), again=again))
    if outcome.ending is Ending.ERROR:
        tail.append(HOW_TO_RETRY.format(again=again))
    return tail
