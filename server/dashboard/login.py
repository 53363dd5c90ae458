"""Log in and log out."""

from __future__ import annotations

from flask import Blueprint, g, make_response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from server.access import founding, passwords, people
from server.access.limits import TooMany
from server.dashboard.visitors import local


def add_to(pages: Blueprint) -> None:
    """Adds the routes."""
    pages.add_url_rule("/login", view_func=log_in, methods=["GET", "POST"])
    pages.add_url_rule("/logout", view_func=log_out, methods=["POST"])


def log_in() -> ResponseReturnValue:
    """Shows the form; with the right email and password, starts a session and goes where the person wanted to."""
    target = local(request.values.get("next")) or url_for("dashboard.list_projects")
    if g.visitor is not None:
        return redirect(target, 303)
    if request.method != "POST":
        if founding.is_empty():
            return render_template("dashboard/login_empty.html", server_url=request.url_root.rstrip("/"))
        return render_template("dashboard/login.html", target=target, email="", error=None)
    email = request.form.get("email", "")
    address = request.remote_addr or ""
    try:
        user = passwords.check(email, request.form.get("password", ""), address)
    except TooMany as problem:
        answer = make_response(_again(target, email, problem.message, 429))
        answer.headers["Retry-After"] = str(problem.retry_after_s)
        return answer
    if user is None:
        return _again(target, email, "This email and password do not belong together.")
    token = people.log_in(user, address, request.user_agent.string)
    if token is None:
        return _again(
            target, email, "You are not a member of any organisation any more. Ask an Admin to add you."
        )
    begin(token)
    return redirect(target, 303)


def log_out() -> ResponseReturnValue:
    """Ends the session, here and in the database."""
    people.log_out(session.get("token", ""), request.remote_addr)
    session.clear()
    return redirect(url_for("dashboard.log_in"), 303)


def begin(token: str) -> None:
    """Puts a session's token in the visitor's cookie, and whatever else was in it away."""
    session.clear()
    session.permanent = True
    session["token"] = token


def _again(target: str, email: str, error: str, status: int = 401) -> ResponseReturnValue:
    return render_template("dashboard/login.html", target=target, email=email, error=error), status
