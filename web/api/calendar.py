"""Maintenance windows and freezes."""

from pydantic import Field

from patchmgr.db.queries import windows as queries
from patchmgr.domain import durations
from patchmgr.domain.accounts import Role
from patchmgr.domain.windows import Freeze, Window
from patchmgr.services import windows as service
from web.api.routing import route, who
from web.api.values import In, Out, Plain, When
from web.context import db, now, session


class WindowIn(In):
    name: Plain
    rrule: Plain = Field(description="RFC 5545, without DTSTART.")
    duration: Plain = Field(description="4h, 90m, 1d12h or PT4H")
    zone: Plain = Field("UTC", description="IANA name.")


class WindowOut(Out):
    """A maintenance window."""

    name: str
    rrule: str
    duration: int = Field(description="seconds")
    zone: str
    hosts: int
    open_until: When | None
    next_opens: When | None
    next_closes: When | None


class FreezeIn(In):
    name: Plain
    starts: When
    ends: When
    reason: Plain


class FreezeOut(Out):
    """A time in which nothing may change."""

    name: str
    starts: When
    ends: When
    reason: str
    created_by: str
    in_force: bool


@route("GET", "/windows", tag="calendar", answer=list[WindowOut])
def list_windows() -> object:
    """List maintenance windows."""
    return [
        {
            "name": line.window.name,
            "rrule": line.window.rrule,
            "duration": int(line.window.duration.total_seconds()),
            "zone": line.window.zone,
            "hosts": line.hosts,
            "open_until": line.open_until,
            "next_opens": line.next[0] if line.next else None,
            "next_closes": line.next[1] if line.next else None,
        }
        for line in queries.windows(session(), now=now())
    ]


@route(
    "POST",
    "/windows",
    tag="calendar",
    role=Role.OPERATOR,
    body=WindowIn,
    answer=list[WindowOut],
    status=201,
)
def add_window(body: WindowIn) -> object:
    """Add a maintenance window; answers all of them."""
    window = Window(body.name, body.rrule, durations.parse(body.duration), body.zone)
    service.add(db(), window, **who())
    return list_windows()


@route("GET", "/freezes", tag="calendar", answer=list[FreezeOut])
def list_freezes() -> object:
    """List the freezes that are not over."""
    return [
        {
            "name": line.freeze.name,
            "starts": line.freeze.starts,
            "ends": line.freeze.ends,
            "reason": line.freeze.reason,
            "created_by": line.created_by,
            "in_force": line.in_force,
        }
        for line in queries.freezes(session(), now=now(), over=False)
    ]


@route(
    "POST",
    "/freezes",
    tag="calendar",
    role=Role.OPERATOR,
    body=FreezeIn,
    answer=list[FreezeOut],
    status=201,
)
def add_freeze(body: FreezeIn) -> object:
    """Add a freeze; answers all that are not over."""
    freeze = Freeze(body.name, body.starts, body.ends, body.reason)
    service.add_freeze(db(), freeze, **who())
    return list_freezes()
