"""The devices that a viewport can be named after: those of Playwright (`scripts/write_devices.py` keeps the list)."""

from __future__ import annotations

import difflib
import json
from functools import cache
from pathlib import Path
from typing import TypedDict


class Device(TypedDict):
    """How a device shows pages: its window in CSS px, image px per CSS px, and what it says of itself."""

    width: int
    height: int
    scale: float
    userAgent: str
    isMobile: bool
    hasTouch: bool


@cache
def known() -> dict[str, Device]:
    """All devices by name."""
    devices: dict[str, Device] = json.loads((Path(__file__).parent / "devices.json").read_text())
    return devices


@cache
def _by_lower() -> dict[str, str]:
    return {device.lower(): device for device in known()}


def named(name: str) -> str | None:
    """The exact name of a device, however its letters are cased."""
    return _by_lower().get(name.lower())


def closest(name: str) -> str:
    """The device whose name is most like this one; takes some 10 ms."""
    close = difflib.get_close_matches(name[:60].lower(), _by_lower(), n=1, cutoff=0)
    return _by_lower()[close[0] if close else "iphone 15"]
