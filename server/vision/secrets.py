"""Secrets of a project while its pages are captured: filled in where they may go, masked where they may not.

A page holds the placeholder `${{ secrets.NAME }}`; the value is put in its place only here, each time for one
origin that must be among those the secret is bound to. Storing them is `runs.secrets`.
"""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus

from server.vision.page import CaptureError, Page

PLACEHOLDER = re.compile(r"\$\{\{\s*secrets\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
MASK = "***"


@dataclass(frozen=True, slots=True)
class Secret:
    """A value and the origins (as `origins.origin_of` writes them) that it may be sent to."""

    name: str
    value: str = field(repr=False)
    origins: frozenset[str]


def names_in(text: str) -> Iterator[str]:
    """The names of the secrets that a text asks for."""
    return (found[1] for found in PLACEHOLDER.finditer(text))


def texts_of(page: Page) -> Iterator[str]:
    """Everything of a page that may hold a secret's placeholder."""
    visitor = page.visitor
    yield from (value for _, value in visitor.headers)
    yield from visitor.credentials or ()
    yield from (cookie.value for cookie in visitor.cookies)
    yield from (value for _, value in visitor.local_storage)
    steps = (*page.steps, *(visitor.login.steps if visitor.login else ()))
    yield from (step.value for step in steps if step.action == "fill" and isinstance(step.value, str))


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secrets that the pages of one run use, by name."""

    by_name: Mapping[str, Secret] = field(default_factory=dict)

    def fill_in(self, text: str, origin: str | None, use: str) -> str:
        """The text with the values in place of their placeholders, to be sent to `origin`.

        `use` says what for, such as "the header X-Key". Raises CaptureError where a secret is not known, or not
        bound to that origin.
        """

        def value(found: re.Match[str]) -> str:
            name = found[1]
            if name not in self.by_name:
                raise CaptureError(
                    "suite",
                    f"{use} uses the secret {name}, which the project does not have; an Admin can store it",
                )
            secret = self.by_name[name]
            if origin not in secret.origins:
                raise CaptureError(
                    "refused",
                    f"{use} uses the secret {name}, which may not be sent to {origin or 'this place'}: it is for "
                    f"{', '.join(sorted(secret.origins))}. An Admin can allow more in the project's settings",
                )
            return secret.value

        return PLACEHOLDER.sub(value, text)

    def of(self, texts: Iterable[str], origin: str | None) -> tuple[str, ...]:
        """The values that these texts ask for and that may be sent to `origin`."""
        names = dict.fromkeys(name for text in texts for name in names_in(text))
        known = (self.by_name[name] for name in names if name in self.by_name)
        return tuple(secret.value for secret in known if origin in secret.origins)

    def masked(self, text: str) -> str:
        """The text with `***` wherever a value stands, plainly or as it is written in addresses and headers."""
        forms = {form for secret in self.by_name.values() for form in _forms(secret.value)}
        for form in sorted(forms, key=len, reverse=True):
            text = text.replace(form, MASK)
        return text


def _forms(value: str) -> Iterator[str]:
    yield value
    yield value.strip() or value
    yield from (quote(value, safe=""), quote(value), quote_plus(value), html.escape(value))
    yield from (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
    # In Base64 a value looks different after each number of bytes before it (`user:`), modulo 3; its first and
    # last characters depend on what stands beside it.
    data = value.encode()
    for before, first in enumerate((0, 2, 3)):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            inner = encode(b"\0" * before + data).decode().rstrip("=")[first:]
            yield inner[:-1] if (before + len(data)) % 3 else inner
