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


def named(name: str) -> str | None:
    """The exact name of a device, however its letters are cased."""
    return next((device for device in known() if device.lower() == name.lower()), None)


def closest(name: str) -> str:
    """The device whose name is most like this one."""
    by_lower = {device.lower(): device for device in known()}
    return by_lower[
        (difflib.get_close_matches(name.lower()[:60], by_lower, n=1, cutoff=0) or ["iphone 15"])[0]
    ]
