"""What drew a picture: browser, version, platform, fonts and flags. Pictures drawn by others differ everywhere a little."""

from __future__ import annotations

from collections.abc import Mapping


def difference(captured: Mapping[str, str], baseline: Mapping[str, str]) -> str | None:
    """What a person should know who compares the two, in one sentence; None where the same drew both.

    Only what both know of themselves counts: older baselines know less.
    """
    differing = {name for name in captured.keys() & baseline.keys() if captured[name] != baseline[name]}
    if not differing:
        return None
    parts = []
    if differing & {"name", "version"}:
        ours, theirs = _browser(captured), _browser(baseline)
        if _major(ours[1]) != _major(theirs[1]):
            ours, theirs = (ours[0], _major(ours[1])), (theirs[0], _major(theirs[1]))
        other = theirs[1] if ours[0] == theirs[0] else " ".join(theirs)
        parts.append((f"with {' '.join(ours)}", f"with {other}"))
    if "platform" in differing:
        parts.append((f"on {captured['platform']}", f"on {baseline['platform']}"))
    said = [f"Captured {ours}, the baselines {theirs}" for ours, theirs in parts]
    if "fonts" in differing:
        said.append("Other fonts are installed than when the baselines were captured")
    if "flags" in differing and not parts:
        said.append("Captured with other settings of the browser than the baselines")
    if not said:
        said.append("Captured by something else than the baselines")
    return f"{'; '.join([said[0], *(text[0].lower() + text[1:] for text in said[1:])])}: expect small differences everywhere."


def _browser(identity: Mapping[str, str]) -> tuple[str, str]:
    name = (
        identity.get("name", "the browser")
        .replace("chromium", "Chromium")
        .replace("-headless-shell", " (headless shell)")
    )
    return name, identity.get("version", "")


def _major(version: str) -> str:
    return version.partition(".")[0]
