"""What a request works with: the database, the settings, its own instant, and who asks."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from flask import Flask, current_app, g
from sqlalchemy.orm import Session

from patchmgr.config import Settings
from patchmgr.db.session import Database
from patchmgr.errors import AuthenticationError
from patchmgr.services.enrolment import Speaker
from patchmgr.services.sign_ins import Viewer

_KEY = "patchmgr"


@dataclass(frozen=True, slots=True)
class Context:
    """Passed to `web.app.create_app`; the same for every request."""

    db: Database
    settings: Settings
    clock: Callable[[], datetime]


def install(app: Flask, context: Context) -> None:
    """Keep ``context`` with the app, and end each request's read transaction."""
    app.extensions[_KEY] = context
    app.teardown_appcontext(_close)


def context() -> Context:
    found: Context = current_app.extensions[_KEY]
    return found


def db() -> Database:
    return context().db


def settings() -> Settings:
    return context().settings


def now() -> datetime:
    """Return the request's instant: the same from its first line to its last."""
    if "now" not in g:
        g.now = context().clock()
    instant: datetime = g.now
    return instant


def session() -> Session:
    """Return the request's session for reads, one snapshot from first use to the answer.

    Call a service before the first read, or read in a request of its own (post, redirect, get).
    """
    if "reading" not in g:
        g.reading = db().reading()
        g.session = g.reading.__enter__()
    found: Session = g.session
    return found


def viewer() -> Viewer:
    """Return who asks. Raises `AuthenticationError` where nobody is signed in."""
    found: Viewer | None = g.get("viewer")
    if found is None:
        raise AuthenticationError("sign in first")
    return found


def viewer_or_none() -> Viewer | None:
    found: Viewer | None = g.get("viewer")
    return found


def speaker_or_none() -> Speaker | None:
    """Return the host whose own token was sent; it is no viewer and may not what one may."""
    found: Speaker | None = g.get("speaker")
    return found


def zone() -> tzinfo:
    """Return the zone in which the viewer reads times; UTC unless they chose one."""
    who = viewer_or_none()
    return ZoneInfo(who.zone) if who and who.zone else UTC


def _close(_error: BaseException | None) -> None:
    if reading := g.pop("reading", None):
        g.pop("session", None)
        reading.__exit__(None, None, None)
