"""Addresses of static files that change with their content, so that browsers may keep each for ever."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from flask import url_for

FOLDER = Path(__file__).parent / "static"


def asset(name: str) -> str:
    """The address of a file below `static/`."""
    return url_for("dashboard.static", filename=name, v=_version(name))


@cache
def _version(name: str) -> str:
    return hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()[:10]
