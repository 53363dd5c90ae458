"""What Schemathesis needs to know of this API (`test_schemathesis.py` names this module in SCHEMATHESIS_HOOKS)."""

from __future__ import annotations

import os
from typing import Any

import schemathesis

OWN_KEY_ID = os.environ.get("OWN_KEY_ID", "")


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """The key that asks must not revoke or rotate itself: every later answer would be 401 and show nothing."""
    parameters = case.path_parameters or {}
    if case.method != "GET" and parameters.get("key_id") == OWN_KEY_ID:
        parameters["key_id"] = "0" * 24


@schemathesis.check
def document_agrees_with_validation(context: Any, response: Any, case: Any) -> None:
    """What the document allows is never refused as malformed; only for what a schema cannot say (`semantic`)."""
    mode = case.meta.generation.mode if case.meta else None
    if response.status_code == 422 and mode is not None and mode.is_positive:
        code = response.json()["error"]["code"]
        assert code not in ("validation", "cursor-invalid", "idempotency-key-invalid"), response.text
