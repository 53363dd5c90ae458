"""Settings > Account: a person's name, password and the browsers where they are logged in."""

from __future__ import annotations

from flask import Blueprint, flash, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from server.access import oauth, passwords, people, tokens
from server.dashboard.visitors import actor
from server.problems import Invalid


def add_to(pages: Blueprint) -> None:
    """Adds the routes."""
    own = "/settings/account"
    pages.add_url_rule(own, view_func=account)
    pages.add_url_rule(f"{own}/name", view_func=rename_account, methods=["POST"])
    pages.add_url_rule(f"{own}/password", view_func=change_password, methods=["POST"])
    pages.add_url_rule(f"{own}/sessions/<session_id>/end", view_func=end_session, methods=["POST"])
    pages.add_url_rule(f"{own}/sessions/end-others", view_func=end_other_sessions, methods=["POST"])


def account() -> ResponseReturnValue:
    """The person's own settings."""
    return _page({})


def rename_account() -> ResponseReturnValue:
    """Gives the visitor another name."""
    try:
        people.rename_person(g.visitor.user, request.form.get("name", ""), actor())
    except Invalid as problem:
        return _page({"name": problem.message}), 422
    flash("Your name is saved.", "done")
    return redirect(url_for("dashboard.account"), 303)


def change_password() -> ResponseReturnValue:
    """Sets a new password; this session stays, all others end."""
    old, new = request.form.get("current", ""), request.form.get("new", "")
    try:
        passwords.change(g.visitor.user, old, new, session["token"], request.remote_addr)
    except Invalid as problem:
        return _page({"current" if problem.code == "password-wrong" else "new": problem.message}), 422
    flash("Your new password is set. You are logged out everywhere else.", "done")
    return redirect(url_for("dashboard.account"), 303)


def end_session(session_id: str) -> ResponseReturnValue:
    """Logs the visitor out of another browser."""
    people.end_session(g.visitor.user, session_id, actor())
    flash("That session is ended.", "done")
    return redirect(url_for("dashboard.account"), 303)


def end_other_sessions() -> ResponseReturnValue:
    """Logs the visitor out of every other browser."""
    count = people.end_other_sessions(g.visitor.user, session["token"], actor())
    flash(f"{count} other session{'' if count == 1 else 's'} ended.", "done")
    return redirect(url_for("dashboard.account"), 303)


def _page(wrong: dict[str, str]) -> str:
    return render_template(
        "dashboard/account.html",
        user=g.visitor.user,
        name=request.form.get("name", g.visitor.user.name),
        sessions=people.sessions_of(g.visitor.user),
        connections=oauth.connections(g.visitor.user),
        this_hash=tokens.digest(session["token"]),
        min_length=passwords.MIN_LENGTH,
        wrong=wrong,
    )
