"""Static files: addresses that change with their content, so that browsers may keep each for ever, and fewer bytes.

Pages themselves are not packed: their length would tell of the secrets in them (BREACH, https://www.breachattack.com).
"""

from __future__ import annotations

import gzip
import hashlib
import posixpath
from functools import cache
from pathlib import Path

from flask import Response, request, url_for

FOLDER = Path(__file__).parent / "static"
TEXTS = (".css", ".js", ".svg")


def asset(name: str) -> str:
    """The address of a file below `static/`."""
    return url_for("dashboard.static", filename=name, v=_version(name))


def seal(response: Response) -> Response:
    """How long a browser may keep a static file; packed for those that can unpack it."""
    name = posixpath.normpath((request.view_args or {}).get("filename", ""))  # as it was found
    pinned = "v" in request.args and response.status_code == 200
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if pinned else "no-cache"
    response.headers["X-Content-Type-Options"] = "nosniff"
    if name.endswith(TEXTS) and response.status_code == 200:
        response.vary.add("Accept-Encoding")
        if request.accept_encodings["gzip"] and request.method == "GET":
            response.close()  # the file that would have been sent
            response.direct_passthrough = False
            response.set_data(_packed(name, _version(name)))
            response.headers["Content-Encoding"] = "gzip"
            response.headers.pop("ETag", None)  # it names the bytes that are not sent
    return response


@cache
def _packed(name: str, version: str) -> bytes:
    return gzip.compress((FOLDER / name).read_bytes(), mtime=0)


@cache
def _version(name: str) -> str:
    return hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()[:10]
