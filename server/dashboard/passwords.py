"""Forgotten passwords: asking for a link, and the page behind it."""

from __future__ import annotations

import threading

from flask import Blueprint, Flask, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from server.access import mail, passwords, tokens
from server.config import Settings
from server.problems import Invalid

ANSWERED_AFTER_S = 1.0
"""When an answer has left for sure: what happens then tells nothing by how long it takes."""


def add_to(pages: Blueprint) -> None:
    """Adds the routes."""
    pages.add_url_rule("/password/forgot", view_func=forgot_password, methods=["GET", "POST"])
    pages.add_url_rule("/password/reset/<token>", view_func=reset_password, methods=["GET", "POST"])


def forgot_password() -> ResponseReturnValue:
    """Mails a link; without mail, tells whom to ask.

    The answer is the same whether there is such a person or not, and takes as long: who is asked for is looked up
    when it has left.
    """
    settings: Settings = current_app.extensions["retestr"]
    # The request's Host is the sender's to choose: a link built on it could lead the owner's token elsewhere.
    can_mail = mail.is_set_up() and bool(settings.public_url)
    asked = request.method == "POST" and can_mail
    if asked:
        passwords.count_reset(request.remote_addr or "")
        token = tokens.new()
        link = settings.public_url.rstrip("/") + url_for("dashboard.reset_password", token=token)
        app = current_app._get_current_object()  # type: ignore[attr-defined]
        asked_for = (app, request.form.get("email", ""), token, link)
        mailing = threading.Timer(ANSWERED_AFTER_S, _mail_link, asked_for)
        mailing.name, mailing.daemon = "password-reset", True
        mailing.start()
    return render_template("dashboard/password_forgot.html", can_mail=can_mail, asked=asked)


def _mail_link(app: Flask, email: str, token: str, link: str) -> None:
    with app.app_context():
        user = passwords.begin_reset(email, token)
        if user is not None:
            mail.send(user.email, "password_reset", email=user.email, link=link)


def reset_password(token: str) -> ResponseReturnValue:
    """Sets a new password, once; every session of the person ends."""
    user = passwords.who_resets(token)
    if user is None:
        return render_template("dashboard/password_reset_over.html"), 404
    if request.method != "POST":
        return _form(token, user.email)
    try:
        passwords.reset(token, request.form.get("password", ""), request.remote_addr)
    except Invalid as problem:
        return _form(token, user.email, problem.message), 422
    flash("Your new password is set. Log in with it.", "done")
    return redirect(url_for("dashboard.log_in"), 303)


def _form(token: str, email: str, error: str | None = None) -> str:
    return render_template(
        "dashboard/password_reset.html",
        token=token,
        email=email,
        min_length=passwords.MIN_LENGTH,
        error=error,
    )
