"""Writes server/runs/devices.json, the devices that Playwright knows: `python scripts/write_devices.py`.

A file of our own, so that the web server need not load Playwright.
"""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import sync_playwright

FILE = Path(__file__).resolve().parent.parent / "server/runs/devices.json"


def main() -> None:
    with sync_playwright() as playwright:
        devices = {
            name: {
                "width": told["viewport"]["width"],
                "height": told["viewport"]["height"],
                "scale": min(4, told["device_scale_factor"]),
                "userAgent": told["user_agent"],
                "isMobile": told["is_mobile"],
                "hasTouch": told["has_touch"],
            }
            for name, told in sorted(playwright.devices.items())
        }
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(told)}" for name, told in devices.items())
    FILE.write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main()
