"""A browser in words, from what it says of itself: enough to tell one's own sessions apart."""

from __future__ import annotations

import re

_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("HeadlessChrome", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
"""In this order, because each browser also names those that it wants to be taken for."""


def in_words(user_agent: str) -> str:
    """Such as "Firefox on Linux"; what is no browser by the first word it gives, such as "curl"."""
    browser = next((name for mark, name in _BROWSERS if f"{mark}/" in user_agent), None)
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), None)
    if browser is None:
        first = re.match(r"[\w.-]{1,40}", user_agent)
        return first[0] if first and not user_agent.startswith("Mozilla") else "Unknown browser"
    return f"{browser} on {system}" if system else browser
