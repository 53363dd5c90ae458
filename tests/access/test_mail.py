"""Mail, through a real SMTP server on this machine."""

from __future__ import annotations

import dataclasses
import socket
import time
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage, Message
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from server import create_app
from server.access import invitations, mail
from server.access.audit import CLI
from server.config import Settings
from server.database import db
from tests.conftest import Api, World


class Box:
    """Keeps what arrives."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.messages.append(message_from_bytes(envelope.content))
        return "250 OK"

    def next(self) -> Message:
        for _ in range(100):
            if self.messages:
                return self.messages.pop(0)
            time.sleep(0.05)
        raise AssertionError("no mail came within five seconds")


@pytest.fixture
def box() -> Iterator[tuple[Box, int]]:
    box = Box()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, port
    controller.stop()


def test_admins_are_told_of_a_leaked_key_and_invited_people_get_their_link(
    world: World, settings: Settings, box: tuple[Box, int]
) -> None:
    inbox, port = box
    app = create_app(dataclasses.replace(settings, smtp_url=f"smtp://127.0.0.1:{port}"))
    key = world.key("run:read")
    Api(app.test_client(), None).post("/keys/revoke-leaked", {"key": key})
    told = inbox.next()
    assert told["To"] == "ada@acme.example"
    assert "leaked" in told["Subject"]
    assert key not in told.as_string()
    with app.app_context():
        assert mail.is_set_up()
        invitation, token = invitations.invite(world.acme, "grace@acme.example", "Viewer", CLI)
        invitations.send(invitation, world.acme, f"https://retestr.example/invitations/{token}")
    invited = inbox.next()
    assert invited["To"] == "grace@acme.example"
    assert token in invited.get_payload(decode=True).decode()
    with app.app_context():
        db.engine.dispose()


def test_a_mail_server_that_is_down_disturbs_nothing(world: World, settings: Settings) -> None:
    app = create_app(dataclasses.replace(settings, smtp_url="smtp://127.0.0.1:9"))
    answer = Api(app.test_client(), None).post("/keys/revoke-leaked", {"key": world.key("run:read")})
    assert answer.status_code == 200
    with app.app_context():
        db.engine.dispose()


def test_an_address_of_a_mail_server_that_cannot_be_read_is_logged_without_its_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    message = EmailMessage()
    message["To"] = "grace@acme.example"
    mail._deliver("smtp://ada:hunter2/x@mail.example:587", message)
    assert "mail to grace@acme.example was not sent: ValueError" in caplog.text
    assert "hunter2" not in caplog.text
