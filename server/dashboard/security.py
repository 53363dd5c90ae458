"""The headers that every page carries: what a browser may load, tell others and keep."""

from __future__ import annotations

from flask import Response, g, request

POLICY = "; ".join(
    (
        "default-src 'none'",
        "img-src 'self' data:",
        "style-src 'self'",
        "script-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


def security_headers(response: Response) -> Response:
    """Seals a page: its own files only, in no frame, kept by no cache. Images keep their own caching rules."""
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    secret_address = "token" in (request.view_args or {})  # told to no other page, not even of this server
    response.headers["Referrer-Policy"] = "no-referrer" if secret_address else "same-origin"
    response.headers["Permissions-Policy"] = (
        "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()"
    )
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if "request_id" in g:
        response.headers["X-Request-Id"] = g.request_id
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    if response.mimetype == "text/html":
        response.headers["Cache-Control"] = "no-store"
    return response
