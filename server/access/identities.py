"""Asks a provider who somebody is: OAuth 2 at GitHub, OpenID Connect anywhere else, spoken by Authlib.

What follows for accounts here is in `oauth`. Authlib, and requests under it, are imported when somebody is asked
about: a server without providers never loads them. Nothing secret is logged.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from server.access import people, tokens
from server.config import Settings
from server.problems import Invalid, Problem

log = logging.getLogger("retestr.login")
TIMEOUT_S = 10
METADATA_LASTS_S = 3600
LEEWAY_S = 60
GITHUB, GOOGLE = "https://github.com", "https://accounts.google.com"
SIGNATURES = frozenset(
    ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
)
"""What an ID token may be signed with: never `none`, which joserfc takes for good where a provider lists it."""


class ProviderFailed(Problem):
    """A provider refused, did not answer, or answered what cannot be trusted."""


@dataclass(frozen=True)
class Provider:
    """Where people may have an account to log in with: `name` in addresses, `label` on buttons."""

    name: str
    label: str
    issuer: str  # of GitHub, its address
    client_id: str
    client_secret: str = field(repr=False)

    @property
    def key(self) -> str:
        """Under which accounts are kept: another issuer's people are others, though they are called the same."""
        if self.issuer in (GITHUB, GOOGLE):
            return self.name
        return f"{self.name}-{hashlib.sha256(self.issuer.encode()).hexdigest()[:16]}"

    @property
    def missing(self) -> str | None:
        """The setting without which nobody can log in; an OpenID Connect client may be without a secret."""
        if not self.client_id:
            return f"RETESTR_{self.name.upper()}_CLIENT_ID"
        if not self.client_secret and self.name != "oidc":
            return f"RETESTR_{self.name.upper()}_CLIENT_SECRET"
        return None


@dataclass(frozen=True)
class Identity:
    """What a provider says of a person; `subject` is theirs for good, the rest may change."""

    subject: str
    email: str | None
    email_verified: bool
    name: str | None


@dataclass(frozen=True)
class Question:
    """A person on their way to a provider: where to, and what their return is known by."""

    address: str
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)


def configured(settings: Settings) -> list[Provider]:
    """The providers that the settings name."""
    github, oidc = (url.strip().rstrip("/") for url in (settings.github_url, settings.oidc_issuer))
    every = (
        (settings.github_client_id, "github", "GitHub", github),
        (settings.google_client_id, "google", "Google", GOOGLE),
        (oidc, "oidc", settings.oidc_name, oidc),
    )
    return [
        Provider(
            name,
            label,
            issuer,
            getattr(settings, f"{name}_client_id"),
            getattr(settings, f"{name}_client_secret"),
        )
        for enabled, name, label, issuer in every
        if enabled
    ]


def ask(provider: Provider, callback: str) -> Question:
    """Where to send a person to; state, nonce and PKCE verifier are random. Raises `ProviderFailed`."""
    if provider.missing:
        log.error("log-in with %s is not set up: %s is empty", provider.label, provider.missing)
        raise _failed(provider, "provider-incomplete", "is not set up completely; tell an Admin")
    state, nonce, verifier = tokens.new(), tokens.new(), secrets.token_urlsafe(48)
    with _talking(provider), _session(provider, callback) as session:
        extra = {} if provider.name == "github" else {"nonce": nonce}
        address, _ = session.create_authorization_url(
            _endpoint(provider, "authorization_endpoint"), state=state, code_verifier=verifier, **extra
        )
    return Question(address, state, nonce, verifier)


def answer(provider: Provider, callback: str, code: str, nonce: str, verifier: str) -> Identity:
    """Who came back with a code. Raises `ProviderFailed`."""
    with _talking(provider), _session(provider, callback) as session:
        token = session.fetch_token(
            _endpoint(provider, "token_endpoint"), code=code, code_verifier=verifier, allow_redirects=False
        )
        said = _github_person(provider, session) if provider.name == "github" else None
        return _identity(said or _openid_person(provider, session, token, nonce))


# ------------------------------------------------------------------------------------------- GitHub


def github_api(url: str) -> str:
    """The base of GitHub's API: github.com and ghe.com have a host for it, an Enterprise server a path.

    https://docs.github.com/en/enterprise-server/rest/enterprise-admin#endpoint-urls
    """
    parts = urlsplit(url)
    if parts.hostname == "github.com" or (parts.hostname or "").endswith(".ghe.com"):
        return f"https://api.{parts.netloc}"
    return f"{url}/api/v3"


def _github_person(provider: Provider, session: Any) -> dict[str, Any]:
    """The person and their primary address; `/user` has another, which anybody may write there."""
    api = github_api(provider.issuer)
    user = _json(session.get(f"{api}/user"))
    listed = session.get(f"{api}/user/emails", params={"per_page": 100})
    emails = [] if listed.status_code in (403, 404) else _json(listed)  # the person did not allow it
    primary: dict[str, Any] = next((email for email in emails if email["primary"]), {})
    return {
        "sub": str(int(user["id"])),
        "name": user.get("name") or user.get("login"),
        "email": primary.get("email"),
        "email_verified": primary.get("verified"),
    }


# ------------------------------------------------------------------------------------------- OpenID Connect


def _openid_person(provider: Provider, session: Any, token: Any, nonce: str) -> Mapping[str, Any]:
    """The claims of the ID token (OpenID Connect Core 3.1.3.7), and of the userinfo where it has no address."""
    openid = _openid(provider, _this_hour())
    if not token.get("id_token"):
        raise ValueError("the answer has no ID token")
    claims: Mapping[str, Any] = openid.parse_id_token(
        token,
        nonce=nonce,
        claims_options={
            "iss": {"essential": True, "values": [openid.server_metadata["issuer"]]},
            "aud": {"essential": True, "values": [provider.client_id]},
        },
        leeway=LEEWAY_S,
    )
    userinfo = openid.server_metadata.get("userinfo_endpoint")
    if claims.get("email") or not userinfo:
        return claims
    more = _json(session.get(userinfo))
    if more["sub"] != claims["sub"]:
        raise ValueError("the userinfo is somebody else's")
    return {"name": claims.get("name"), **more}


@lru_cache(maxsize=8)
def _openid(provider: Provider, hour: int) -> Any:
    """Authlib's client of an issuer with its metadata and keys, for an hour; an unknown key is asked for at once."""
    from authlib.integrations.base_client import OAuth2Mixin, OpenIDMixin
    from authlib.integrations.requests_client import OAuth2Session

    class OpenID(OpenIDMixin, OAuth2Mixin):  # type: ignore[misc]
        client_cls = OAuth2Session

    openid = OpenID(
        None,
        provider.name,
        client_id=provider.client_id,
        client_kwargs={"default_timeout": TIMEOUT_S},
        server_metadata_url=f"{provider.issuer}/.well-known/openid-configuration",
    )
    metadata = openid.load_server_metadata()
    if metadata["issuer"].rstrip("/") != provider.issuer:
        raise ValueError("the metadata is another issuer's")
    listed = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
    metadata["id_token_signing_alg_values_supported"] = [name for name in listed if name in SIGNATURES]
    return openid


def _this_hour() -> int:
    return int(time.monotonic() // METADATA_LASTS_S)


# ------------------------------------------------------------------------------------------- both


def _endpoint(provider: Provider, name: str) -> str:
    """An address of a provider; encrypted wherever the issuer's is."""
    if provider.name == "github":
        path = {"authorization_endpoint": "authorize", "token_endpoint": "access_token"}[name]
        return f"{provider.issuer}/login/oauth/{path}"
    address: str = _openid(provider, _this_hour()).server_metadata[name]
    schemes = ("https",) if provider.issuer.startswith("https:") else ("http", "https")
    if urlsplit(address).scheme not in schemes:
        raise ValueError(f"the {name} is not encrypted")
    return address


def _session(provider: Provider, callback: str) -> Any:
    """Authlib's client for one person; the caller closes it."""
    from authlib.integrations.requests_client import OAuth2Session

    github = provider.name == "github"
    metadata = {} if github else _openid(provider, _this_hour()).server_metadata
    return OAuth2Session(
        provider.client_id,
        provider.client_secret or None,
        scope="read:user user:email" if github else "openid email profile",
        redirect_uri=callback,
        code_challenge_method="S256",
        default_timeout=TIMEOUT_S,
        token_endpoint_auth_method=_authentication(provider, metadata),
    )


def _authentication(provider: Provider, metadata: Mapping[str, Any]) -> str:
    """How a client shows its secret: Basic unless the provider only takes the body (Discovery 3)."""
    if not provider.client_secret:
        return "none"
    known = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    if provider.name == "github" or "client_secret_basic" not in known:
        return "client_secret_post"
    return "client_secret_basic"


def _identity(said: Mapping[str, Any]) -> Identity:
    """A person as the provider describes them, reduced to what can be used here."""
    subject, email, name = said["sub"], said.get("email"), said.get("name")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isprintable():
        raise ValueError("the subject cannot be used")
    try:
        clean = people.clean_email(email) if isinstance(email, str) else None
    except Invalid:
        clean = None
    # Some providers write "true". Beyond ASCII two addresses may be one in lower case ("K" for Kelvin is a k).
    verified = said.get("email_verified") in (True, "true") and isinstance(email, str) and email.isascii()
    named = isinstance(name, str) and name.isprintable()
    return Identity(subject, clean, verified and clean is not None, name[:200] if named and name else None)


def _json(response: Any) -> Any:
    response.raise_for_status()
    return response.json()


@contextmanager
def _talking(provider: Provider) -> Iterator[None]:
    """Turns what can go wrong between servers into `ProviderFailed`; the log names the kind, never a value."""
    try:
        import requests
        from authlib.common.errors import AuthlibBaseError
        from joserfc.errors import JoseError
    except ImportError as error:
        log.error("log-in with %s needs a package that is missing: %s", provider.label, error)
        raise _failed(provider, "provider-incomplete", "is not set up completely; tell an Admin") from None
    try:
        yield
    except requests.Timeout:
        log.warning("%s (%s) did not answer within %s s", provider.label, provider.issuer, TIMEOUT_S)
        raise _failed(
            provider, "provider-silent", f"did not answer within {TIMEOUT_S} seconds; try again later"
        ) from None
    except (requests.JSONDecodeError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        log.warning("%s sent what cannot be used: %s", provider.label, type(error).__name__)
        raise _failed(
            provider, "provider-unusable", "sent an answer that cannot be used; tell an Admin"
        ) from None
    except requests.RequestException as error:
        log.warning("%s (%s) failed: %s", provider.label, provider.issuer, type(error).__name__)
        raise _failed(
            provider, "provider-unreachable", "cannot be reached or does not work; try again later"
        ) from None
    except JoseError as error:
        log.warning("%s sent an ID token that is not valid: %s", provider.label, type(error).__name__)
        raise _failed(provider, "provider-untrusted", "sent a proof that is not valid; start again") from None
    except AuthlibBaseError as error:
        log.warning("%s refused a log-in: %.60r", provider.label, error.error)
        raise _failed(provider, "provider-refused", "did not accept this log-in; start again") from None


def _failed(provider: Provider, code: str, what: str) -> ProviderFailed:
    return ProviderFailed(code, f"The log-in with {provider.label} failed: {provider.label} {what}.")
