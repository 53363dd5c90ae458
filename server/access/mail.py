"""Mail to people, where `RETESTR_SMTP_URL` is set; without it, nothing is sent and callers show links instead.

Texts are files in `mail_texts/`: the first line is the subject.
"""

from __future__ import annotations

import logging
import smtplib
import ssl
import threading
from email.message import EmailMessage
from pathlib import Path
from string import Template
from urllib.parse import unquote, urlsplit

from flask import current_app
from sqlalchemy import select

from server.config import Settings
from server.database import db
from server.models import Membership, Organization, User

log = logging.getLogger("retestr.mail")
TEXTS = Path(__file__).parent / "mail_texts"
TIMEOUT_S = 15


def is_set_up() -> bool:
    """Whether mail can be sent."""
    return bool(_settings().smtp_url)


def tell_admins(organization_id: str, text: str, **values: str) -> None:
    """Sends a text to every Admin of an organisation."""
    rows = db.session.execute(
        select(User.email, Organization.name)
        .join(Membership, Membership.user_id == User.id)
        .join(Organization, Organization.id == Membership.organization_id)
        .where(Membership.organization_id == organization_id, Membership.role == "Admin")
    ).all()
    for email, organization in rows:
        send(email, text, organization=organization, **values)


def send(to: str, text: str, **values: str) -> None:
    """Sends one text without waiting for the mail server; what fails is logged, and never a secret with it."""
    settings = _settings()
    if not settings.smtp_url:
        return
    url = settings.public_url or "this server's dashboard"
    filled = Template((TEXTS / f"{text}.txt").read_text()).substitute(url=url, **values)
    subject, _, body = filled.partition("\n")
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject, settings.mail_from, to
    message.set_content(body.lstrip("\n"))
    threading.Thread(target=_deliver, args=(settings.smtp_url, message), daemon=True).start()


def _deliver(smtp_url: str, message: EmailMessage) -> None:
    try:
        parts = urlsplit(smtp_url)
        host, secure = parts.hostname or "localhost", parts.scheme == "smtps"
        if secure:
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                host, parts.port or 465, timeout=TIMEOUT_S, context=ssl.create_default_context()
            )
        else:
            server = smtplib.SMTP(host, parts.port or 587, timeout=TIMEOUT_S)
        with server:
            server.ehlo()
            if not secure and (server.has_extn("starttls") or parts.username):
                server.starttls(context=ssl.create_default_context())
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(message)
    except (OSError, ValueError, smtplib.SMTPException) as error:
        # Its kind only: what it says may hold a part of the password.
        log.warning("mail to %s was not sent: %s", message["To"], type(error).__name__)


def _settings() -> Settings:
    settings: Settings = current_app.extensions["retestr"]
    return settings
