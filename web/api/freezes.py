"""Freezes, once and recurring."""

from collections.abc import Mapping
from typing import Any

from flask import Response
from pydantic import Field

from patchmgr.db.queries import freezes as queries
from patchmgr.db.queries.freezes import FreezeLine
from patchmgr.domain.accounts import Role
from patchmgr.domain.freezes import RecurringFreeze, Times
from patchmgr.domain.windows import Freeze
from patchmgr.errors import InputError
from patchmgr.services import calendar_exports, calendar_files
from patchmgr.services import freezes as service
from web.api.calendar import (
    FILE,
    FileQuery,
    ImportedOut,
    RecurrenceIn,
    body_of_file,
    ics,
    recurrence,
)
from web.api.routing import route, who
from web.api.values import Document, In, Out, Plain, When
from web.context import db, now, session


class FreezeIn(In):
    """Once, with ``starts`` and ``ends``, or again and again, with ``recurs``."""

    name: Plain
    starts: When | None = None
    ends: When | None = None
    recurs: RecurrenceIn | None = Field(
        None, description="Whole days of its duration are counted on the wall clock."
    )
    reason: Plain


class FreezeOut(Out):
    """A time in which nothing may change; of one that recurs, the present or next."""

    id: int
    name: str
    starts: When
    ends: When
    recurs: Document | None
    reason: str
    created_by: str
    in_force: bool


@route("GET", "/freezes", tag="calendar", answer=list[FreezeOut])
def list_freezes() -> object:
    """List the freezes that are not over."""
    return [_out(line) for line in queries.freezes(session(), now=now(), over=False)]


@route(
    "POST", "/freezes", tag="calendar", role=Role.OPERATOR, body=FreezeIn,
    answer=list[FreezeOut], status=201,
)  # fmt: skip
def add_freeze(body: FreezeIn) -> object:
    """Add a freeze; answers all that are not over."""
    service.add(db(), _freeze(body), **who())
    return list_freezes()


@route("DELETE", "/freezes/<int:freeze_id>", tag="calendar", role=Role.OPERATOR)
def end_freeze(freeze_id: int) -> None:
    """End a freeze now; one that has not begun is removed, one that recurs does not come again."""
    service.end(db(), str(freeze_id), **who())


@route(
    "POST", "/freezes/import", tag="calendar", role=Role.OPERATOR, query=FileQuery, raw=FILE,
    answer=ImportedOut,
)  # fmt: skip
def import_freezes(query: FileQuery) -> object:
    """Take the events of an iCalendar file as freezes."""
    return calendar_files.import_freezes(
        db(), "file", body_of_file(), zone=query.zone, dry_run=query.dry_run, **who()
    )


@route("GET", "/freezes.ics", tag="calendar", gives=FILE)
def export_freezes() -> Response:
    """Download every freeze that is not over as iCalendar."""
    return ics(calendar_exports.freezes(session(), now=now()))


def _freeze(body: FreezeIn) -> Freeze | RecurringFreeze:
    if body.recurs is not None:
        if body.starts or body.ends:
            raise InputError({"recurs": "in place of starts and ends"})
        return RecurringFreeze(Times(body.name, *recurrence(body.recurs)), body.reason)
    if body.starts is None or body.ends is None:
        raise InputError({"starts": "and ends are needed, or recurs"})
    return Freeze(body.name, body.starts, body.ends, body.reason)


def _out(line: FreezeLine) -> Mapping[str, Any]:
    return {
        "id": line.id,
        "name": line.freeze.name,
        "starts": line.freeze.starts,
        "ends": line.freeze.ends,
        "recurs": line.recurs.times.to_json() if line.recurs else None,
        "reason": line.freeze.reason,
        "created_by": line.created_by,
        "in_force": line.in_force,
    }
