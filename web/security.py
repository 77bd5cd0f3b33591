"""Headers of every answer, and how cookies are marked."""

from datetime import timedelta

from flask import Flask, Response, request

from patchmgr.config import Settings

# No inline script or style: what a page does and looks like comes from our own static files.
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",  # Tabler's stylesheet holds its check marks as data
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in POLICY.items()),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
TRANSPORT = "max-age=31536000"  # seconds; sent only where cookies are marked Secure


def register(app: Flask, settings: Settings) -> None:
    """Mark Flask's own cookie (form tokens, notices) and put the headers on every answer."""
    app.config.update(
        SESSION_COOKIE_NAME="patchmgr_form",
        SESSION_COOKIE_SECURE=settings.cookie_secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=timedelta(hours=settings.session_hours),
    )

    @app.after_request
    def add_headers(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if settings.cookie_secure:
            response.headers.setdefault("Strict-Transport-Security", TRANSPORT)
        if request.endpoint != "static":
            response.headers.setdefault("Cache-Control", "no-store")
        return response
