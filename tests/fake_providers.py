"""Providers on loopback for tests: a small OpenID Connect provider and a small GitHub, with what can go wrong."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from flask import Flask, abort, jsonify, redirect, request
from flask.typing import ResponseReturnValue
from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

CLIENT_ID, CLIENT_SECRET = "retestr-at-fake", "the-client-secret"
KEY, OTHER_KEY = (RSAKey.generate_key(2048, {"kid": "one"}) for _ in range(2))


class FakeProvider:
    """Consents at once; `person` and `spoil` say what it tells, the rest how it misbehaves."""

    def __init__(self) -> None:
        self.address = ""
        self.person: dict[str, Any] = {"sub": "42", "email": "ada@acme.example", "email_verified": True}
        self.userinfo: dict[str, Any] | None = None  # else: the person
        self.emails: list[dict[str, Any]] | None = [github_email("ada@acme.example")]
        self.spoil: Callable[[dict[str, Any]], object] = lambda claims: None
        self.key: Any = KEY
        self.header = {"alg": "RS256", "kid": "one"}
        self.keys = [KEY.as_dict(private=False)]
        self.algorithms = ["RS256", "none"]
        self.issuer: str | None = None  # in its metadata; else its address
        self.authentication: list[str] | None = None
        self.denies = self.is_broken = False
        self.delay_s = 0.0
        self.asked: list[str] = []  # paths
        self.authorized: dict[str, str] = {}  # the last authorization request
        self.codes: dict[str, dict[str, str]] = {}
        self.app = self._build()

    def _build(self) -> Flask:
        app = Flask(__name__)
        app.before_request(self._note)
        for path, view in (
            ("/.well-known/openid-configuration", self._metadata),
            ("/jwks", lambda: jsonify({"keys": self.keys})),
            ("/authorize", self._authorize),
            ("/login/oauth/authorize", self._authorize),
            ("/token", self._token),
            ("/login/oauth/access_token", self._github_token),
            ("/userinfo", lambda: self._for_bearer(self.userinfo or self.person)),
            ("/api/v3/user", lambda: self._for_bearer(self._github_user())),
            (
                "/api/v3/user/emails",
                lambda: abort(403) if self.emails is None else self._for_bearer(self.emails),
            ),
        ):
            app.add_url_rule(path, path, view, methods=["GET", "POST"])
        return app

    def _note(self) -> ResponseReturnValue | None:
        self.asked.append(request.path)
        time.sleep(self.delay_s)
        return ("<h1>Bad gateway</h1>", 200) if self.is_broken else None

    def _metadata(self) -> ResponseReturnValue:
        names = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")
        metadata: dict[str, Any] = dict(
            zip(
                names, (self.address + p for p in ("/authorize", "/token", "/userinfo", "/jwks")), strict=True
            )
        )
        metadata["issuer"] = self.issuer or self.address
        metadata["id_token_signing_alg_values_supported"] = self.algorithms
        if self.authentication:
            metadata["token_endpoint_auth_methods_supported"] = self.authentication
        return jsonify(metadata)

    def _authorize(self) -> ResponseReturnValue:
        asked = self.authorized = request.args.to_dict()
        assert asked["client_id"] == CLIENT_ID
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        if self.denies:
            return redirect(
                f"{asked['redirect_uri']}?{urlencode({'error': 'access_denied', 'state': asked['state']})}"
            )
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return redirect(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")

    def _redeem(self) -> dict[str, str] | None:
        """The request that a code was given for: once, to the same callback, for the right verifier and secret."""
        form, basic = request.form, request.authorization
        client = (
            (basic.username, basic.password) if basic else (form.get("client_id"), form.get("client_secret"))
        )
        asked = self.codes.pop(form["code"], None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = _base64(digest).decode()
        good = (
            asked is not None
            and client == (CLIENT_ID, CLIENT_SECRET)
            and form["redirect_uri"] == asked["redirect_uri"]
            and challenge == asked["code_challenge"]
        )
        return asked if good else None

    def _token(self) -> ResponseReturnValue:
        asked = self._redeem()
        if asked is None:
            return jsonify({"error": "invalid_grant"}), 400
        now = int(time.time())
        claims = {"iss": self.address, "aud": CLIENT_ID, "iat": now, "exp": now + 300, **self.person}
        claims["nonce"] = asked["nonce"]
        self.spoil(claims)
        by_hand = self.header["alg"] in ("none", "HS256")  # what no library would sign
        token = self._signed_by_hand(claims) if by_hand else jwt.encode(self.header, claims, self.key)
        return jsonify({"access_token": "an-access-token", "token_type": "Bearer", "id_token": token})

    def _signed_by_hand(self, claims: dict[str, Any]) -> str:
        """A token without a signature, or with one whose secret is the public key."""
        said = b".".join(_base64(jsonify(part).data) for part in (self.header, claims))
        secret = KEY.as_pem(private=False)
        signature = b"" if self.header["alg"] == "none" else hmac.digest(secret, said, "sha256")
        return (said + b"." + _base64(signature)).decode()

    def _github_token(self) -> ResponseReturnValue:
        if self._redeem() is None:
            return jsonify({"error": "bad_verification_code"})  # with status 200, as GitHub does
        return jsonify({"access_token": "an-access-token", "token_type": "bearer", "scope": "user:email"})

    def _github_user(self) -> dict[str, Any]:
        return {
            "id": int(self.person["sub"]),
            "login": "ada",
            "name": None,
            "email": "public@elsewhere.example",
        }

    def _for_bearer(self, body: Any) -> ResponseReturnValue:
        assert request.headers["Authorization"] == "Bearer an-access-token"
        return jsonify(body)

    @contextmanager
    def serving(self) -> Iterator[FakeProvider]:
        """Listens on a free port of loopback meanwhile."""
        server = make_server("127.0.0.1", 0, self.app, threaded=True)
        self.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def github_email(email: str, primary: bool = True, verified: bool = True) -> dict[str, Any]:
    return {"email": email, "primary": primary, "verified": verified, "visibility": None}


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
