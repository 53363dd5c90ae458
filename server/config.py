"""Every setting of the server: name, default and one line of help, in one declarative table.

A field `public_url` is read from `RETESTR_PUBLIC_URL`, or from the file that `RETESTR_PUBLIC_URL_FILE`
names. Nothing else reads a setting from the environment; what processes tell their children there (`server.lifeline`,
`server.supervisor`, `server.gunicorn_config`) is no setting.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

PREFIX = "RETESTR_"


class SettingError(ValueError):
    """A setting has a value that cannot be used; the message says which and what is allowed."""


def _setting(default: Any, help: str, *, secret: bool = False, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, repr=not secret, metadata={"help": help, "choices": choices})


@dataclass(frozen=True)
class Settings:
    """The server's settings, typed and with their defaults filled in."""

    data: Path = _setting(Path("data"), "Folder of the database, the images and the secret key.")
    database_url: str = _setting(
        "", "Database, `postgresql://…` or `sqlite:///…`; empty: SQLite in the data folder.", secret=True
    )
    broker_url: str = _setting(
        "", "Celery broker, `redis://…` or `amqp://…`; empty: the embedded worker.", secret=True
    )
    storage_url: str = _setting(
        "",
        "Where images are kept, a folder or `s3://bucket/prefix?endpoint=…`; empty: `images` in the data folder.",
        secret=True,
    )
    public_url: str = _setting("", "Address under which people reach the dashboard; empty: where it listens.")
    secret_key: str = _setting(
        "", "Key that signs cookies and forms; empty: made once and kept in the data folder.", secret=True
    )
    capture_allow: tuple[str, ...] = _setting(
        (), "Private hosts, `host:port` or networks that pages may be captured from, separated by commas."
    )
    capture_proxy: str = _setting(
        "",
        "Proxy through which pages are captured, `http://user:password@host:port` or `socks5://…`; empty: none.",
        secret=True,
    )
    capture_sandbox: str = _setting(
        "required",
        "`required`: pages are captured in Chromium's sandbox only; `preferred`: without it where the machine forbids it, "
        "as containers do (the image's default). As root there is none.",
        choices=("required", "preferred"),
    )
    browser: str = _setting("", "Path of the Chromium to use; empty: the first one found.")
    web_processes: int = _setting(2, "Web server processes.")
    web_threads: int = _setting(8, "Threads of each web server process.")
    pages_at_once: int = _setting(0, "Pages captured at the same time; 0: two for each core.")
    page_timeout_s: float = _setting(60.0, "Seconds that capturing one page may take.")
    max_body_bytes: int = _setting(1_048_576, "Largest request body in bytes.")
    max_megapixels: int = _setting(200, "Largest image that is compared, in millions of pixels.")
    run_timeout_s: float = _setting(
        1800.0, "Seconds that a run may take from its first page on; then what is left of it is an error."
    )
    run_wait_s: float = _setting(86_400.0, "Seconds that a run may wait for a worker; then it is an error.")
    max_snapshots: int = _setting(20_000, "Most snapshots that one run may have.")
    max_unfinished_runs: int = _setting(1000, "Most runs of one organisation that may be unfinished at once.")
    keep_passing_days: int = _setting(7, "Days that images of passing runs are kept; 0: for ever.")
    keep_failing_days: int = _setting(30, "Days that images of failing runs are kept; 0: for ever.")
    keep_runs_days: int = _setting(400, "Days that runs are kept; 0: for ever.")
    thumbnail_days: int = _setting(
        7,
        "Days that whoever has its signed address sees the small picture of a change, where the public URL is public; 0: there are none.",
    )
    key_requests_per_minute: int = _setting(1200, "Requests that one API key may make in a minute.")
    log_format: str = _setting(
        "text",
        "How log lines look: `text`, or `json` with request and run IDs.",
        choices=("text", "json"),
    )
    metrics_token: str = _setting(
        "", "Who sends this as a bearer token may read `/metrics` (Prometheus); empty: nobody.", secret=True
    )
    smtp_url: str = _setting(
        "",
        "Mail server, `smtp://user:password@host:587` (STARTTLS) or `smtps://…`; empty: no mail.",
        secret=True,
    )
    mail_from: str = _setting("retestr@localhost", "Sender of mail.")
    trusted_proxies: int = _setting(
        0, "Reverse proxies in front of the server whose X-Forwarded headers count."
    )
    github_client_id: str = _setting(
        "",
        "Client ID of a GitHub OAuth app with the callback `/login/with/github/callback`; empty: no GitHub.",
    )
    github_client_secret: str = _setting("", "The GitHub OAuth app's secret.", secret=True)
    github_url: str = _setting("https://github.com", "Address of a GitHub Enterprise server.")
    google_client_id: str = _setting(
        "", "Client ID at Google with the callback `/login/with/google/callback`; empty: no Google."
    )
    google_client_secret: str = _setting("", "The Google client's secret.", secret=True)
    oidc_issuer: str = _setting(
        "",
        "Issuer of an OpenID Connect provider, such as `https://sso.example.com/realms/team`; empty: none.",
    )
    oidc_client_id: str = _setting(
        "", "Client ID at the OpenID Connect provider, with the callback `/login/with/oidc/callback`."
    )
    oidc_client_secret: str = _setting(
        "", "The OpenID Connect client's secret; empty: a public client.", secret=True
    )
    oidc_name: str = _setting("Single sign-on", "What the button for the OpenID Connect provider says.")

    @property
    def database(self) -> str:
        """SQLAlchemy's URL of the database."""
        url = self.database_url or f"sqlite:///{self.data.resolve() / 'retestr.db'}"
        for short in ("postgres://", "postgresql://"):
            if url.startswith(short):
                return "postgresql+psycopg://" + url.removeprefix(short)
        return url

    @property
    def storage(self) -> str:
        """The image store: an absolute folder, or a URL with a scheme that obstore knows."""
        if "://" in self.storage_url:
            return self.storage_url
        return str(Path(self.storage_url or self.data / "images").resolve())

    def session_secret(self) -> str:
        """The key that signs cookies: the setting, or one made once in the data folder (mode 600)."""
        if self.secret_key:
            return self.secret_key
        path = self.data / "secret"
        if not path.exists():
            self.data.mkdir(parents=True, exist_ok=True)
            # Whole or not at all, whoever else is just making it, and if the disk is full.
            with tempfile.NamedTemporaryFile("w", dir=self.data, prefix="secret-") as file:
                file.write(secrets.token_hex(32))
                file.flush()
                with contextlib.suppress(FileExistsError):
                    os.link(file.name, path)
        return path.read_text().strip()


def table() -> list[tuple[str, str, str]]:
    """Each setting as (variable, default as text, help), in the order of the documentation."""
    return [(_variable(f), _as_text(f.default), f.metadata["help"]) for f in fields(Settings)]


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Reads the settings from environment variables and their `…_FILE` variants.

    Raises `SettingError` naming the variable, the value's fault and what is allowed.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    for f in fields(Settings):
        text = _read(environ, _variable(f))
        if text is not None:
            values[f.name] = _convert(_variable(f), text, f.default)
            choices = f.metadata["choices"]
            if choices and text not in choices:
                raise SettingError(f"{_variable(f)} must be {' or '.join(choices)}, got {text!r}.")
    return Settings(**values)


def _variable(f: Field[Any]) -> str:
    return PREFIX + f.name.upper()


def _as_text(default: Any) -> str:
    return ",".join(default) if isinstance(default, tuple) else str(default)


def _read(environ: Mapping[str, str], variable: str) -> str | None:
    file = environ.get(variable + "_FILE")
    if not file:
        return environ.get(variable)
    if environ.get(variable):
        raise SettingError(f"{variable} and {variable}_FILE are both set; keep one of them.")
    try:
        return Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{variable}_FILE names a file that cannot be read: {error}") from None


def _convert(variable: str, text: str, default: Any) -> Any:
    if isinstance(default, Path):
        return Path(text) if text else default
    if isinstance(default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if isinstance(default, str):
        return text
    try:
        number = type(default)(text)
    except ValueError:
        number = None
    if number is None or not 0 <= number < float("inf"):
        kind = "a whole number" if isinstance(default, int) else "a number"
        raise SettingError(f"{variable} must be {kind} of at least 0, got {text!r}.")
    return number
