"""How log lines look: as text for people, or one JSON object a line (`RETESTR_LOG_FORMAT=json`) for what collects them.

A JSON line tells `time`, `level`, `logger` and `message`, and where they are known `requestId` (the same as in the
answer's X-Request-Id and in the audit log), `runId`, and the traceback as `error`.
"""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

from flask import g, has_app_context

from server.config import Settings

run_id: ContextVar[str | None] = ContextVar("run_id", default=None)
"""The run that a worker is working on here."""
GUNICORN = ("gunicorn.error", "gunicorn.access")


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "requestId": g.get("request_id") if has_app_context() else None,
            "runId": run_id.get(),
            "error": self.formatException(record.exc_info) if record.exc_info else None,
        }
        return json.dumps({name: value for name, value in told.items() if value}, ensure_ascii=False)


def configure(settings: Settings, text: str = "%(name)s: %(message)s") -> None:
    """Sends this process's log lines to standard error; `text` is how they look to people."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if settings.log_format == "json" else logging.Formatter(text))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    if settings.log_format == "json":
        for name in GUNICORN:  # it has handlers of its own
            logging.getLogger(name).handlers.clear()
            logging.getLogger(name).propagate = True
