"""Secrets of sessions, invitations and resets: random, and kept only as their SHA-256."""

from __future__ import annotations

import hashlib
import secrets


def new() -> str:
    """256 random bits, safe in addresses and cookies."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """Under which a token is kept; enough for 256 random bits, no salt needed."""
    return hashlib.sha256(token.encode()).hexdigest()
