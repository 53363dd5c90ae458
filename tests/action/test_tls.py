"""TLS with a real certificate: verified always, an authority of one's own by REQUESTS_CA_BUNDLE."""

import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from action_src.client import Client
from action_src.failure import Unreachable
from action_src.github import GitHub, GitHubError

from .fake_server import KEY


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"id": "r1", "status": "PASSED"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """The server's certificate."""
    return made_certificate(tmp_path / "ca.pem")


def made_certificate(path: Path) -> Path:
    """A new certificate for 127.0.0.1 that signs itself, with its key behind it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "retestr tests")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture
def url(certificate: Path) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_certificate_that_nobody_signed_is_refused_at_once_and_the_setting_named(url: str) -> None:
    with pytest.raises(Unreachable, match="REQUESTS_CA_BUNDLE: /github/workspace"):
        Client(url, KEY, sleep=lambda _: pytest.fail("it was tried again")).run("r1")


def test_a_connection_that_breaks_off_while_it_is_encrypted_is_tried_again() -> None:
    begun = []

    def hang_up() -> None:
        while True:
            try:
                connection = listening.accept()[0]
            except OSError:
                return
            with connection:
                begun.append(connection.recv(4096))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=hang_up, daemon=True).start()
        url = f"https://127.0.0.1:{listening.getsockname()[1]}"
        with closing(Client(url, KEY)) as client, pytest.raises(Unreachable, match="connection broke off"):
            client.run("r1", within_s=1.0)
        listening.shutdown(socket.SHUT_RDWR)
    assert len(begun) > 1


def test_a_server_that_speaks_no_tls_is_not_called_untrusted() -> None:
    tries = []

    class Plain(Answers):
        def handle(self) -> None:
            tries.append(self.client_address)
            super().handle()

    with HTTPServer(("127.0.0.1", 0), Plain) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        url = f"https://127.0.0.1:{server.server_port}"
        with (
            closing(Client(url, KEY)) as client,
            pytest.raises(Unreachable, match="Is it `http://` there") as told,
        ):
            client.run("r1", within_s=1.0)
        server.shutdown()
        thread.join()
    assert "certificate" not in str(told.value)
    assert len(tries) > 1


def test_an_authority_of_one_s_own_is_trusted_where_it_is_named(
    url: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    assert Client(url, KEY).run("r1")[0].status == "PASSED"


def test_github_is_reached_by_public_authorities_where_the_named_one_is_the_server_s_alone(
    url: str, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(made_certificate(tmp_path / "other.pem")))
    monkeypatch.setattr("requests.utils.DEFAULT_CA_BUNDLE_PATH", str(certificate))
    assert list(GitHub(url, "ghs_token", "acme/shop").comments(5)) == []


def test_a_github_that_no_authority_knows_gets_no_token(url: str) -> None:
    with pytest.raises(GitHubError, match="certificate"):
        list(GitHub(url, "ghs_token", "acme/shop").comments(5))
