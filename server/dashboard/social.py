"""Logging in with an account elsewhere, and connecting one: the way to the provider and back.

Only a form with its token starts it, so that no other site can log somebody in or connect an account of its own. A
form must not lead to another site either (`form-action 'self'`, which Chromium holds against redirects too): the
answer to it is a page of ours that goes on by itself.
"""

from __future__ import annotations

import time
from typing import Any

from flask import Blueprint, flash, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from server.access import identities, invitations, limits, oauth, people
from server.access.identities import Identity, Provider, ProviderFailed
from server.access.limits import Limit
from server.dashboard import errors, login
from server.dashboard.projects import server_url
from server.dashboard.visitors import actor, local
from server.problems import Conflict, Problem

PENDING = "logins"  # in the session: who is on their way to a provider, by state
MOST_PENDING, LASTS_S = 3, 600
MAX_NEXT = 500  # characters: the session is a cookie
STARTS = Limit("login-provider", 60, 900)


def add_to(pages: Blueprint) -> None:
    """Adds the routes, and the providers to every page's words (`login_providers()`)."""
    pages.add_url_rule("/login/with/<name>", view_func=log_in_with, methods=["GET", "POST"])
    pages.add_url_rule("/login/with/<name>/callback", view_func=come_back)
    pages.add_url_rule("/settings/account/connect/<name>", view_func=connect_login, methods=["POST"])
    pages.add_url_rule("/settings/account/disconnect/<name>", view_func=disconnect_login, methods=["POST"])
    pages.context_processor(lambda: {"login_providers": oauth.providers})


def log_in_with(name: str) -> ResponseReturnValue:
    """Asks; a POST sends the person to the provider."""
    provider = oauth.provider_named(name)
    target = local(request.values.get("next")) or url_for("dashboard.list_projects")
    if g.visitor is not None:
        return redirect(target, 303)
    if request.method != "POST":
        return render_template("dashboard/login_with.html", provider=provider, target=target)
    try:
        return _leave(provider, target=target, invitation=request.form.get("invitation", "")[:100])
    except ProviderFailed as problem:
        return _not_in(problem.message, 502)


def connect_login(name: str) -> ResponseReturnValue:
    """Sends a person who is logged in to the provider, to connect the account that they have there."""
    try:
        return _leave(oauth.provider_named(name), user=g.visitor.user.id)
    except ProviderFailed as problem:
        return _to_account(problem.message, "notice")


def come_back(name: str) -> ResponseReturnValue:
    """Where a provider sends people to: logs them in, or connects the account. What was begun counts once."""
    provider = oauth.provider_named(name)
    begun = _begun(provider)
    if begun is None:
        return _not_in(
            "This log-in was not begun in this browser, took too long, or is over already. Start again.", 400
        )
    connects = begun["user"] is not None
    if connects and (g.visitor is None or g.visitor.user.id != begun["user"]):
        return _not_in("You are not logged in any more as the person who began this. Start again.", 400)
    if "error" in request.args or not request.args.get("code"):
        refused = f"{provider.label} did not log you in: it says that this was cancelled or is not allowed."
        return _to_account(refused, "notice") if connects else _not_in(refused, 403)
    try:
        identity = _identity(provider, begun)
        if connects:
            oauth.connect(g.visitor.user, provider, identity, actor())
            return _to_account(f"{provider.label} is connected: you can log in with it.", "done")
        return _enter(provider, identity, begun)
    except Problem as problem:
        if connects:
            return _to_account(problem.message, "notice")
        return _not_in(problem.message, 502 if isinstance(problem, ProviderFailed) else 403)


def disconnect_login(name: str) -> ResponseReturnValue:
    """Forgets a person's account at a provider."""
    try:
        label = oauth.disconnect(g.visitor.user, name, actor())
    except Conflict as problem:
        return _to_account(problem.message, "notice")
    return _to_account(f"{label} is disconnected.", "done")


# ------------------------------------------------------------------------------------------- there and back


def _leave(
    provider: Provider, target: str = "", invitation: str = "", user: str | None = None
) -> ResponseReturnValue:
    left = limits.hit(STARTS, request.remote_addr or "")
    if left.exceeded:
        raise limits.too_often("Too many log-ins from this address", left)
    question = identities.ask(provider, _callback(provider))
    pending = sorted(_pending().items(), key=lambda item: item[1]["at"])[1 - MOST_PENDING :]
    begun = {
        "provider": provider.key,
        "nonce": question.nonce,
        "verifier": question.verifier,
        "at": int(time.time()),
        "next": target if len(target) <= MAX_NEXT else "",
        "invitation": invitation,
        "user": user,
    }
    session[PENDING] = dict([*pending, (question.state, begun)])
    return render_template("dashboard/leave.html", provider=provider, address=question.address)


def _begun(provider: Provider) -> dict[str, Any] | None:
    """What this browser began, told by the state that came back; forgotten with this."""
    pending = _pending()
    begun: dict[str, Any] | None = pending.pop(request.args.get("state", ""), None)
    session[PENDING] = pending
    if begun is None or begun["provider"] != provider.key or time.time() - begun["at"] > LASTS_S:
        return None
    return begun


def _pending() -> dict[str, Any]:
    return dict(session.get(PENDING) or {})


def _identity(provider: Provider, begun: dict[str, Any]) -> Identity:
    code = request.args["code"]
    return identities.answer(provider, _callback(provider), code, begun["nonce"], begun["verifier"])


def _callback(provider: Provider) -> str:
    """One address for each provider, so that none can pass a code off as another's (RFC 9700, 4.4)."""
    return server_url() + url_for("dashboard.come_back", name=provider.name)


def _enter(provider: Provider, identity: Identity, begun: dict[str, Any]) -> ResponseReturnValue:
    address = request.remote_addr or ""
    invitation = begun["invitation"] or None
    invited = invitations.find(invitation) if invitation else None
    organization_id = invited[1].id if invited else None
    user, reclaimed = oauth.sign_in(provider, identity, address, invitation)
    token = people.log_in(user, address, request.user_agent.string, organization_id)
    if token is None:
        return _not_in("You are not a member of any organisation any more. Ask an Admin to add you.", 403)
    people.log_out(session.get("token", ""), address)
    login.begin(token)
    if reclaimed:
        flash(
            f"{provider.label} says that {user.email} is yours, which nobody had shown before. So that nobody else can "
            "use your account, its password and whatever else opened it are gone; you can set a password under "
            "Settings > Account.",
            "notice",
        )
    return redirect(begun["next"] or url_for("dashboard.list_projects"), 303)


def _not_in(message: str, status: int) -> ResponseReturnValue:
    """The log-in page with what went wrong; whoever is logged in reads it on a page of its own."""
    if g.visitor is not None:
        return errors.page(status, "This log-in did not work", message)
    target = url_for("dashboard.list_projects")
    return render_template("dashboard/login.html", target=target, email="", error=message), status


def _to_account(message: str, kind: str) -> ResponseReturnValue:
    flash(message, kind)
    return redirect(url_for("dashboard.account"), 303)
