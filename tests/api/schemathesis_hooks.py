"""What Schemathesis needs to know of this API (`test_schemathesis.py` names this module in SCHEMATHESIS_HOOKS)."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import schemathesis

ID = re.compile(r"[0-9a-v]{24}")
OWN_KEY_ID = os.environ.get("OWN_KEY_ID", "")
KNOWN_IDS: dict[str, str] = json.loads(os.environ.get("KNOWN_IDS", "{}"))


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Every other invented ID becomes one that is there, so that answers are seen and not only 404.

    The key that asks must not revoke or rotate itself: every later answer would be 401 and show nothing.
    """
    parameters = case.path_parameters or {}
    for name, known in KNOWN_IDS.items():
        invented = str(parameters.get(name, ""))
        if invented and case.method != "DELETE" and not ID.fullmatch(invented) and len(invented) % 2:
            parameters[name] = known
    if case.method != "GET" and parameters.get("key_id") == OWN_KEY_ID:
        parameters["key_id"] = "0" * 24


@schemathesis.check
def document_agrees_with_validation(context: Any, response: Any, case: Any) -> None:
    """What the document allows is never refused as malformed; only for what a schema cannot say (`semantic`)."""
    mode = case.meta.generation.mode if case.meta else None
    if response.status_code == 422 and mode is not None and mode.is_positive:
        code = response.json()["error"]["code"]
        assert code not in ("validation", "cursor-invalid", "idempotency-key-invalid"), response.text
