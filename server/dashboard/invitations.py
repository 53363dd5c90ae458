"""Inviting people, and the page behind an invitation's link."""

from __future__ import annotations

from flask import Blueprint, flash, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from server.access import invitations, mail, passwords, people
from server.dashboard import login, members
from server.dashboard.projects import server_url
from server.dashboard.visitors import actor, organization_id
from server.models import Invitation, Organization, User
from server.problems import Conflict, Invalid


def add_to(pages: Blueprint) -> None:
    """Adds the routes."""
    own = "/settings/invitations"
    pages.add_url_rule(own, view_func=invite, methods=["POST"])
    pages.add_url_rule(f"{own}/<invitation_id>/withdraw", view_func=withdraw_invitation, methods=["POST"])
    pages.add_url_rule("/invitations/<token>", view_func=accept_invitation, methods=["GET", "POST"])


def invite() -> ResponseReturnValue:
    """Makes an invitation and shows its link once, in this very answer; mails it where mail is set up."""
    form = {name: request.form.get(name, "").strip() for name in ("email", "role")}
    try:
        invitation, token = invitations.invite(g.visitor.organization, form["email"], form["role"], actor())
    except (Invalid, Conflict) as problem:
        return members.page(form, problem.message), problem.status
    link = server_url() + url_for("dashboard.accept_invitation", token=token)
    invitations.send(invitation, g.visitor.organization, link)
    return render_template(
        "dashboard/invited.html", invitation=invitation, link=link, mail_is_set_up=mail.is_set_up()
    )


def withdraw_invitation(invitation_id: str) -> ResponseReturnValue:
    """Makes an invitation's link worth nothing."""
    invitation = invitations.named(organization_id(), invitation_id)
    invitations.withdraw(invitation, actor())
    flash(f"The invitation of {invitation.email} is withdrawn; its link does nothing any more.", "done")
    return redirect(url_for("dashboard.members"), 303)


def accept_invitation(token: str) -> ResponseReturnValue:
    """The way in for whoever holds the link.

    One button for those who are logged in, the password for those who have an account with the invited address,
    and a new account for all others.
    """
    found = invitations.find(token)
    if found is None:
        return render_template("dashboard/invitation_over.html"), 404
    invitation, organization = found
    if request.method != "POST" or _is_member(organization):
        return _page(token, invitation, organization)
    address = request.remote_addr or ""
    try:
        user = _who_joins(token, invitation, address)
    except (Invalid, Conflict) as problem:
        return _page(token, invitation, organization, problem.message), problem.status
    if g.visitor is not None:
        people.switch(session["token"], organization.id, actor())
    elif started := people.log_in(user, address, request.user_agent.string, organization.id):
        login.begin(started)
    flash(f"You are a member of {organization.name} now.", "done")
    return redirect(url_for("dashboard.list_projects"), 303)


def _is_member(organization: Organization) -> bool:
    mine = people.organizations_of(g.visitor.user) if g.visitor is not None else []
    return organization.id in {one.id for one in mine}


def _who_joins(token: str, invitation: Invitation, address: str) -> User:
    """Makes whoever sent the form a member: the visitor, one who proves an account, or a new person."""
    password = request.form.get("password", "")
    if g.visitor is not None:
        user: User = g.visitor.user
    elif invitations.holder(invitation) is None:
        return invitations.accept_as_new(token, request.form.get("name", ""), password, address)[1]
    else:
        proved = passwords.check(invitation.email, password, address)
        if proved is None:
            raise Invalid("password-wrong", "This is not the password of that account.")
        user = proved
    invitations.accept(token, user, address)
    return user


def _page(token: str, invitation: Invitation, organization: Organization, error: str | None = None) -> str:
    return render_template(
        "dashboard/invitation.html",
        token=token,
        invitation=invitation,
        organization=organization,
        meaning=people.ROLES[invitation.role],
        holder=invitations.holder(invitation),
        is_member=_is_member(organization),
        min_length=passwords.MIN_LENGTH,
        name=request.form.get("name", ""),
        error=error,
    )
