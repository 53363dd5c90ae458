"""Settings > Members: who belongs to the organisation, with which role; taking people out, and their reset links."""

from __future__ import annotations

from flask import Blueprint, flash, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from server.access import invitations, mail, passwords, people
from server.dashboard.projects import server_url
from server.dashboard.visitors import actor, organization_id
from server.database import db
from server.models import Membership, User
from server.problems import NotFound


def add_to(pages: Blueprint) -> None:
    """Adds the routes."""
    member = "/settings/members/<user_id>"
    pages.add_url_rule("/settings/members", view_func=members)
    pages.add_url_rule(f"{member}/role", view_func=change_role, methods=["POST"])
    pages.add_url_rule(f"{member}/remove", view_func=remove_member, methods=["GET", "POST"])
    pages.add_url_rule(f"{member}/reset-link", view_func=make_reset_link, methods=["GET", "POST"])
    pages.add_url_rule("/settings/members/leave", view_func=leave_organization, methods=["GET", "POST"])


def members() -> ResponseReturnValue:
    """Everybody in the organisation; Admins also see who is invited, and the form to invite."""
    return page({"email": "", "role": people.EDITOR})


def page(form: dict[str, str], error: str | None = None) -> str:
    """The list with the form to invite, filled in and with what is wrong about it."""
    is_admin = g.visitor.may(people.ADMIN)
    return render_template(
        "dashboard/members.html",
        members=people.members(organization_id()),
        invitations=invitations.open_ones(organization_id()) if is_admin else [],
        roles=people.ROLES,
        mail_is_set_up=mail.is_set_up(),
        form=form,
        error=error,
    )


def change_role(user_id: str) -> ResponseReturnValue:
    """Gives a member another role."""
    user = _member(user_id)
    people.change_role(organization_id(), user_id, request.form.get("role", ""), actor())
    flash(f"{user.name} is {request.form['role']} from now on.", "done")
    return redirect(url_for("dashboard.members"), 303)


def remove_member(user_id: str) -> ResponseReturnValue:
    """Asks, and then takes a member out of the organisation."""
    user = _member(user_id)
    if user.id == g.visitor.user.id:
        return redirect(url_for("dashboard.leave_organization"), 303)
    if request.method != "POST":
        return render_template("dashboard/member_remove.html", user=user)
    people.remove_member(organization_id(), user_id, actor())
    flash(f"{user.name} is no longer a member.", "done")
    return redirect(url_for("dashboard.members"), 303)


def leave_organization() -> ResponseReturnValue:
    """Asks, and then takes the visitor out; they go on in another of their organisations, or are logged out."""
    left, others = g.visitor.organization.name, len(people.organizations_of(g.visitor.user)) - 1
    if request.method != "POST":
        return render_template("dashboard/organization_leave.html", others=others)
    following = people.leave(session["token"], organization_id(), actor())
    if following is None:
        session.clear()
    flash(f"You have left {left}.", "done")
    return redirect(url_for("dashboard.list_projects" if following else "dashboard.log_in"), 303)


def make_reset_link(user_id: str) -> ResponseReturnValue:
    """Asks, and then shows once the link with which a member sets a new password."""
    user = _member(user_id)
    if request.method != "POST":
        return render_template("dashboard/member_reset.html", user=user)
    _, token = passwords.make_reset_link(organization_id(), user_id, actor())
    link = server_url() + url_for("dashboard.reset_password", token=token)
    return render_template("dashboard/member_reset_link.html", user=user, link=link)


def _member(user_id: str) -> User:
    if db.session.get(Membership, (organization_id(), user_id)) is None:
        raise NotFound("member-not-found", "There is no such member.")
    return db.session.get_one(User, user_id)
