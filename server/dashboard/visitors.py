"""Who is visiting: `g.visitor` on each request, the way to the log-in page, and what a role may not do."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from flask import Response, flash, g, make_response, redirect, request, session, url_for

from server.access import limits, people
from server.access.audit import Actor
from server.access.people import ADMIN, EDITOR, VIEWER, Visitor
from server.problems import Problem

ROLES: dict[tuple[str, str], str | None] = {
    ("GET", "static"): None,
    ("GET", "log_in"): None,
    ("POST", "log_in"): None,
    ("GET", "found_organization"): None,
    ("POST", "found_organization"): None,
    ("GET", "forgot_password"): None,
    ("POST", "forgot_password"): None,
    ("GET", "reset_password"): None,
    ("POST", "reset_password"): None,
    ("GET", "accept_invitation"): None,
    ("POST", "accept_invitation"): None,
    ("GET", "log_in_with"): None,
    ("POST", "log_in_with"): None,
    ("GET", "come_back"): None,
    ("POST", "connect_login"): VIEWER,
    ("POST", "disconnect_login"): VIEWER,
    ("POST", "log_out"): VIEWER,
    ("POST", "switch_organization"): VIEWER,
    ("GET", "list_projects"): VIEWER,
    ("GET", "show_project"): VIEWER,
    ("GET", "run_rows"): VIEWER,
    ("GET", "run_news"): VIEWER,
    ("GET", "new_project"): EDITOR,
    ("POST", "new_project"): EDITOR,
    ("POST", "project_from_address"): EDITOR,
    ("POST", "run_now"): EDITOR,
    ("GET", "suite"): VIEWER,
    ("POST", "suite"): EDITOR,
    ("GET", "project_settings"): EDITOR,
    ("POST", "project_settings"): EDITOR,
    ("GET", "delete_project"): ADMIN,
    ("POST", "delete_project"): ADMIN,
    ("POST", "store_secret"): ADMIN,
    ("POST", "delete_secret"): ADMIN,
    ("GET", "search"): VIEWER,
    ("GET", "health"): VIEWER,
    ("GET", "list_baselines"): VIEWER,
    ("GET", "show_baseline"): VIEWER,
    ("GET", "baseline_image"): VIEWER,
    ("GET", "restore_baseline"): EDITOR,
    ("POST", "restore_baseline"): EDITOR,
    ("GET", "cancel_all"): EDITOR,
    ("POST", "cancel_all"): EDITOR,
    ("GET", "show_run"): VIEWER,
    ("GET", "run_progress"): VIEWER,
    ("GET", "run_suite"): VIEWER,
    ("GET", "run_suite_file"): VIEWER,
    ("POST", "cancel_run"): EDITOR,
    ("GET", "review_run"): EDITOR,
    ("POST", "review_run"): EDITOR,
    ("POST", "undo_run"): EDITOR,
    ("GET", "snapshot_image"): VIEWER,
    ("GET", "listed_image"): VIEWER,
    ("POST", "review_snapshot"): EDITOR,
    ("GET", "api_keys"): ADMIN,
    ("POST", "api_keys"): ADMIN,
    ("GET", "rotate_key"): ADMIN,
    ("POST", "rotate_key"): ADMIN,
    ("GET", "revoke_key"): ADMIN,
    ("POST", "revoke_key"): ADMIN,
    ("GET", "members"): VIEWER,
    ("POST", "change_role"): ADMIN,
    ("GET", "remove_member"): ADMIN,
    ("POST", "remove_member"): ADMIN,
    ("GET", "leave_organization"): VIEWER,
    ("POST", "leave_organization"): VIEWER,
    ("GET", "make_reset_link"): ADMIN,
    ("POST", "make_reset_link"): ADMIN,
    ("POST", "invite"): ADMIN,
    ("POST", "withdraw_invitation"): ADMIN,
    ("GET", "audit_logs"): ADMIN,
    ("GET", "export_audit_logs"): ADMIN,
    ("GET", "list_workers"): ADMIN,
    ("GET", "organization"): ADMIN,
    ("POST", "organization"): ADMIN,
    ("GET", "account"): VIEWER,
    ("POST", "rename_account"): VIEWER,
    ("POST", "change_password"): VIEWER,
    ("POST", "end_session"): VIEWER,
    ("POST", "end_other_sessions"): VIEWER,
}
"""Method and endpoint to the role that they need, checked before each view; None: open to everybody."""


class Refused(Problem):
    """The visitor's role does not allow it."""

    status = 403


def let_in() -> Response | None:
    """Finds out who is visiting and whether their role suffices (else `Refused`).

    Those who are not logged in are sent to the log-in page, and back afterwards.
    """
    if request.endpoint == "dashboard.static":
        return None
    g.request_id = request.headers.get("X-Request-Id", "")[:64] or secrets.token_hex(8)
    recognise()
    role = role_needed(request.method, request.endpoint or "")
    if role is None:
        if g.visitor is None:
            limits.visit(request.remote_addr or "")
        return None
    if g.visitor is not None:
        needs(role)
        return None
    if request.headers.get("HX-Request"):
        answer = make_response("", 401)
        answer.headers["HX-Redirect"] = url_for("dashboard.log_in", next=_page_around())
        return answer
    if request.method == "POST":
        flash("You were logged out meanwhile: what you sent was not done. Log in and do it again.", "notice")
        back = local(request.referrer)
    else:
        back = _address(request.path, request.query_string.decode())
    if back == "/":
        back = None
    return make_response(redirect(url_for("dashboard.log_in", next=back), 303))


def role_needed(method: str, endpoint: str) -> str | None:
    """The role that a request needs; None where it is open to everybody. A route without an entry is a KeyError."""
    method = "GET" if method in ("HEAD", "OPTIONS") else method
    return ROLES[method, endpoint.removeprefix("dashboard.")]


def recognise() -> Visitor | None:
    """Sets `g.visitor` from the session cookie and returns it."""
    token = session.get("token")
    visitor = people.visitor(token) if isinstance(token, str) else None
    g.visitor = visitor
    return visitor


def actor() -> Actor:
    """The visitor as the one who acts, for the audit log."""
    visitor: Visitor = g.visitor
    return visitor.actor(request.remote_addr, g.request_id)


def organization_id() -> str:
    """The organisation that the visitor is logged in to."""
    visitor: Visitor = g.visitor
    return visitor.organization.id


def needs(role: str) -> None:
    """Raises `Refused` where the visitor's role is lower than that one."""
    visitor: Visitor = g.visitor
    if not visitor.may(role):
        raise Refused(
            "role-too-low",
            f"This needs the role {role}, and yours in {visitor.organization.name} is {visitor.role}. "
            "Ask an Admin of the organisation.",
        )


def local(address: str | None) -> str | None:
    """An address reduced to its path and query if it leads to this server, else None.

    Browsers read `//host`, `/\\host` and addresses with control characters as other hosts.
    """
    if (
        not address
        or address.startswith("//")
        or "\\" in address
        or any(ord(character) <= 32 for character in address)
    ):
        return None
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    if parts.netloc and f"{parts.scheme}://{parts.netloc}/" != request.host_url:
        return None
    if parts.scheme and not parts.netloc:
        return None
    if not parts.path.startswith("/") or parts.path.startswith("//"):
        return None
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _page_around() -> str | None:
    """The page that asks for a part of itself, as htmx tells it; None where that is no address."""
    try:
        page = urlsplit(request.headers.get("HX-Current-URL", ""))
    except ValueError:
        return None
    return _address(page.path, page.query) or None


def _address(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path
