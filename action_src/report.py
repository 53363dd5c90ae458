"""What this step leaves behind: job summary, outputs, annotations, and a JSON report in the workspace.

The summary's text is made in `summary`; here things are put where the runner looks for them. A file that cannot
be written is a warning, never the step's end.
"""

import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from action_src.details import Details
from action_src.groups import Group, same_change, same_reason
from action_src.inputs import Inputs
from action_src.log import Log, one_line, shortened
from action_src.outcome import Ending, Outcome
from action_src.run import Snapshot
from action_src.suite import lines_of_tests
from action_src.summary import snapshot_name, verdict, what_changed, why_not_judged

MAX_ANNOTATIONS = 10  # of each kind and step; the runner drops the rest
TITLE = "retestr"
FINDING = {Ending.CHANGED: "changed", Ending.ERROR: "error"}  # what a step of this ending fails on


@dataclass(frozen=True)
class Places:
    """Where the runner expects things; None where it does not (a run outside GitHub)."""

    output: Path | None
    summary: Path | None
    workspace: Path

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Places":
        """The places that these GITHUB_* variables name."""
        output, summary = environ.get("GITHUB_OUTPUT"), environ.get("GITHUB_STEP_SUMMARY")
        return cls(
            Path(output) if output else None,
            Path(summary) if summary else None,
            Path(environ.get("GITHUB_WORKSPACE") or "."),
        )


def outputs_of(outcome: Outcome, report: str = "") -> dict[str, str]:
    """The step's outputs by name; empty where nothing is known."""
    run = outcome.run
    counts = run.counts if run else None
    return {
        "run-id": run.id if run else "",
        "run-url": run.url if run else "",
        "status": outcome.status,
        "total": str(counts.total) if counts else "",
        "unchanged": str(counts.unchanged) if counts else "",
        "changed": str(counts.changed) if counts else "",
        "new": str(counts.new) if counts else "",
        "errors": str(counts.error) if counts else "",
        "flaky": str(counts.flaky) if counts else "",
        "duration-seconds": str(round(outcome.duration_s)),
        "report": report,
    }


def output_lines(outputs: Mapping[str, str], delimiter: Callable[[], str] = secrets.token_hex) -> str:
    """Outputs as the runner reads them: `name=value`, or between delimiters that no value can know."""
    lines = []
    for name, value in outputs.items():
        if "\n" in value or "\r" in value:
            end = f"retestr_{delimiter()}"
            lines.append(f"{name}<<{end}\n{value}\n{end}\n")
        else:
            lines.append(f"{name}={value}\n")
    return "".join(lines)


def report_name(name: str) -> str:
    """The JSON report's file name, with the run's name where it has one."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60]
    return f"retestr-report{'-' if slug else ''}{slug}.json"


def report_json(outcome: Outcome, details: Details) -> str:
    """The report that other steps can read."""
    run = outcome.run
    return json.dumps(
        {
            "status": outcome.status,
            "ending": outcome.ending.value,
            "exitCode": outcome.exit_code,
            "reason": outcome.reason or None,
            "durationSeconds": round(outcome.duration_s),
            "run": {
                "id": run.id,
                "number": run.number,
                "projectId": run.project_id or None,
                "url": run.url or None,
                "branch": run.branch or None,
                "commitSha": run.commit_sha or None,
                "status": run.status,
                "notice": run.notice or None,
                "counts": asdict(run.counts) if run.counts else None,
            }
            if run
            else None,
            "changed": [_entry(one) for one in details.changed],
            "errors": [_entry(one) for one in details.error],
            "new": [_entry(one) for one in details.new],
            "flaky": [_entry(one) for one in details.flaky],
            "incomplete": details.lost or None,
        },
        ensure_ascii=False,
        indent=2,
    )


def write_report(places: Places, name: str, content: str, log: Log) -> str:
    """Write the JSON report; its path within the workspace, empty where it could not be written."""
    path = places.workspace / report_name(name)
    try:
        path.unlink(missing_ok=True)  # never write through a link that a checkout brought along
        with path.open("x", encoding="utf-8", errors="replace") as file:
            file.write(content + "\n")
    except OSError as error:
        log.warning(f"The report {path.name} could not be written: {error.strerror}.", TITLE)
        return ""
    return path.name


def append(path: Path | None, content: str, log: Log) -> None:
    """Append to a file of the runner; nothing where there is none."""
    if path is None:
        return
    try:
        with path.open("a", encoding="utf-8", errors="replace") as file:
            file.write(content)
    except OSError as error:
        log.warning(f"{path.name} could not be written: {error.strerror}.", TITLE)


@dataclass(frozen=True)
class Annotation:
    """What is shown beside the workflow run, and beside the suite's line where that is known."""

    kind: str  # of finding: changed, error
    fails: bool  # an error; else a warning
    text: str
    line: int = 0


def annotate(outcome: Outcome, details: Details, inputs: Inputs, log: Log) -> None:
    """One annotation for each change and each reason of an error, at most ten, and the verdict.

    The verdict is a notice where an error of its own kind follows, and else an error itself where the step fails.
    """
    annotations = annotations_of(outcome, details, inputs)
    told = any(one.fails and one.kind == FINDING.get(outcome.ending) for one in annotations)
    if outcome.run and outcome.run.notice:
        log.notice(outcome.run.notice, TITLE)
    _tell_verdict(outcome, told, log)
    for one in annotations if told else annotations[: MAX_ANNOTATIONS - 1]:
        say = log.error if one.fails else log.warning
        say(one.text, f"{TITLE}: {one.kind}", inputs.suite_file, one.line)


def annotations_of(outcome: Outcome, details: Details, inputs: Inputs) -> list[Annotation]:
    """The changes, the worst first, then what could not be judged, of which one always finds room."""
    changes, reasons = same_change(details.changed), same_reason(details.error)
    most_changes = MAX_ANNOTATIONS - min(1, len(reasons))
    lines = lines_of_tests(inputs.suite) if inputs.suite and (changes or reasons) else {}
    shown = [
        *(("changed", group, what_changed(group[0])) for group in changes[:most_changes]),
        *(("error", group, why_not_judged(group[0])) for group in reasons),
    ]
    return [
        Annotation(
            kind,
            fails=outcome.ending in FINDING and kind in inputs.fail_on,
            text=_told(group, words),
            line=lines.get(group[0].test, 0),
        )
        for kind, group, words in shown[:MAX_ANNOTATIONS]
    ]


def _told(group: Group, words: str) -> str:
    """A group in one sentence: its worst snapshot, what is said of it, and how many more there are."""
    alike = f" And {len(group) - 1} more like it." if len(group) > 1 else ""
    where = f" {group[0].url}" if group[0].url else ""
    return f"{snapshot_name(group[0])}: {shortened(one_line(words), 1000)}{alike}{where}"


def _tell_verdict(outcome: Outcome, told: bool, log: Log) -> None:
    if outcome.reason and outcome.ending in (Ending.PASSED, Ending.CHANGED, Ending.ERROR):
        sentence = outcome.reason  # the server's own verdict
    else:
        sentence = f"{verdict(outcome)}: {outcome.reason}" if outcome.reason else verdict(outcome)
    if outcome.run and outcome.run.url:
        sentence += f" {outcome.run.url}"
    if outcome.failed:
        (log.notice if told else log.error)(sentence, TITLE)
    elif outcome.ending in (Ending.SKIPPED, Ending.TOLERATED):
        log.warning(sentence, TITLE)
    else:
        log.line(sentence)


def _entry(snapshot: Snapshot) -> dict[str, object]:
    return {
        "id": snapshot.id,
        "test": snapshot.test or None,
        "viewport": snapshot.viewport or None,
        "browser": snapshot.browser or None,
        "status": snapshot.status,
        "review": snapshot.review,
        "reviewedBy": snapshot.reviewed_by or None,
        "reviewReason": snapshot.review_reason or None,
        "flaky": snapshot.flaky,
        "url": snapshot.url or None,
        "sentence": snapshot.sentence or None,
        "error": {"kind": snapshot.error_kind or None, "message": snapshot.error_message or None}
        if snapshot.status == "ERROR"
        else None,
        "ratio": snapshot.ratio,
        "group": snapshot.group or None,
        "baseline": {
            "branch": snapshot.baseline.branch or None,
            "commitSha": snapshot.baseline.commit_sha or None,
            "approvedBy": snapshot.baseline.approved_by or None,
            "approvedAt": snapshot.baseline.approved_at or None,
        }
        if snapshot.baseline
        else None,
    }
