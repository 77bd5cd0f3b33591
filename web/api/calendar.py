"""Maintenance windows and who has them, and what the coming weeks bring."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, timedelta
from typing import Any, Literal

from flask import Response, request
from pydantic import Field

from patchmgr.db.queries import agenda as agenda_queries
from patchmgr.db.queries import windows as queries
from patchmgr.db.queries.windows import RuleLine, WindowLine
from patchmgr.domain import agenda, durations, rules
from patchmgr.domain.accounts import Role
from patchmgr.domain.icalendar_lines import LARGEST
from patchmgr.domain.icalendar_out import MEDIA
from patchmgr.domain.rules import zone_exists
from patchmgr.domain.windows import Window
from patchmgr.errors import InputError
from patchmgr.services import calendar_exports, calendar_files, planned_work
from patchmgr.services import windows as service
from web.api.routing import Raw, route, who
from web.api.values import Document, Flag, In, Out, Plain, When, Words
from web.bodies import read
from web.context import db, now, session

FILE = Raw((MEDIA,), "iCalendar (RFC 5545).", is_binary=True)


class RecurrenceIn(In):
    rrule: Plain = Field(description="RFC 5545, without DTSTART.")
    duration: Plain = Field(description="4h, 90m, 1d12h or PT4H")
    zone: Plain = Field("UTC", description="IANA name.")
    exdates: list[Plain] = Field(
        default=[], max_length=500, description="Days or starts, on the wall clock, left out."
    )
    first: Plain = Field("", description="DTSTART, wall clock; empty: counted from 2020-01-06.")


class TimesIn(RecurrenceIn):
    also: list[RecurrenceIn] = Field(
        default=[], max_length=49, description="Further recurrences; it is open in each."
    )


class WindowIn(TimesIn):
    name: Plain


class WindowOut(Out):
    """A maintenance window."""

    name: str
    rrule: str
    duration: int = Field(description="seconds")
    zone: str
    exdates: Words
    first: str
    also: list[Document]
    hosts: int
    open_until: When | None
    next_opens: When | None
    next_closes: When | None


class ChangedWindow(Out):
    """What a change does not reach."""

    plans: list[int] = Field(description="Open plans, which keep the window as it was.")


class RuleIn(In):
    window: Plain
    fields: dict[Plain, Plain] = Field(
        description="Of a host, all of which it has: environment, site, tag and so on."
    )


class RuleOut(Out):
    """Hosts with these fields that name no window have this one."""

    id: int
    window: str
    fields: dict[str, str]
    created_by: str
    created_at: When


class RemoveQuery(In):
    force: Flag = Field(False, description="Also while hosts have it.")


class FileQuery(In):
    zone: Plain = Field("", description="Of times without one; else that of the file, else UTC.")
    dry_run: Flag = Field(False, description="Only say what it would do.")


class ImportedOut(Out):
    """What a file makes different, by name."""

    new: Words
    changed: Words
    unchanged: Words
    over: Words


class CalendarQuery(In):
    zone: Plain = Field("UTC", description="IANA name; weeks begin on its Mondays.")
    weeks: int = Field(4, ge=1, le=agenda.MOST_WEEKS)
    first: Plain = Field("", alias="from", description="A day of the first week; empty: today.")
    kind: Literal["", "window", "freeze", "ring"] = ""
    window: Plain = Field("", description="Of the windows only this one.")


class EntryOut(Out):
    kind: str
    name: str
    starts: When
    ends: When
    detail: str
    plan: int | None
    is_expected: bool


class CalendarOut(Out):
    """What lies in a span of weeks, by start."""

    starts: When
    ends: When
    zone: str
    entries: list[EntryOut]
    without_forecast: list[int] = Field(
        description="Approved plans whose rings are not among them: their forecast is being made."
    )


@route("GET", "/windows", tag="calendar", answer=list[WindowOut])
def list_windows() -> object:
    """List maintenance windows."""
    return [_window_out(line) for line in queries.windows(session(), now=now())]


@route(
    "POST", "/windows", tag="calendar", role=Role.OPERATOR, body=WindowIn,
    answer=list[WindowOut], status=201,
)  # fmt: skip
def add_window(body: WindowIn) -> object:
    """Add a maintenance window; answers all of them."""
    service.add(db(), _window(body.name, body), **who())
    return list_windows()


@route(
    "PUT", "/windows/<name>", tag="calendar", role=Role.OPERATOR, body=TimesIn,
    answer=ChangedWindow,
)  # fmt: skip
def change_window(name: str, body: TimesIn) -> object:
    """Give a maintenance window other times; open plans keep it as it was."""
    return service.change(db(), _window(name, body), **who())


@route(
    "DELETE", "/windows/<name>", tag="calendar", role=Role.OPERATOR, query=RemoveQuery,
    answer=ChangedWindow,
)  # fmt: skip
def remove_window(name: str, query: RemoveQuery) -> object:
    """Remove a maintenance window and the rules that assign it; open plans keep their copy."""
    return service.remove(db(), name, force=query.force, **who())


@route("GET", "/window-rules", tag="calendar", answer=list[RuleOut])
def list_window_rules() -> object:
    """List the rules that give hosts a window."""
    return [_rule_out(line) for line in queries.rules(session())]


@route(
    "POST", "/window-rules", tag="calendar", role=Role.OPERATOR, body=RuleIn,
    answer=list[RuleOut], status=201,
)  # fmt: skip
def assign_window(body: RuleIn) -> object:
    """Give a window to all hosts with certain fields that name none; answers all rules."""
    service.assign(db(), body.window, body.fields, **who())
    return list_window_rules()


@route("DELETE", "/window-rules/<int:rule_id>", tag="calendar", role=Role.OPERATOR)
def unassign_window(rule_id: int) -> None:
    """Remove a rule that gives hosts a window."""
    service.unassign(db(), rule_id, **who())


@route(
    "POST", "/windows/import", tag="calendar", role=Role.OPERATOR, query=FileQuery, raw=FILE,
    answer=ImportedOut,
)  # fmt: skip
def import_windows(query: FileQuery) -> object:
    """Take the events of an iCalendar file as windows; those of one name are one window."""
    return calendar_files.import_windows(
        db(), "file", body_of_file(), zone=query.zone, dry_run=query.dry_run, **who()
    )


@route("GET", "/windows.ics", tag="calendar", gives=FILE)
def export_windows() -> Response:
    """Download every window as iCalendar."""
    return ics(calendar_exports.windows(session(), now=now()))


@route("GET", "/calendar", tag="calendar", query=CalendarQuery, answer=CalendarOut)
def show_calendar(query: CalendarQuery) -> object:
    """Show windows, freezes and the rings of approved work over some weeks."""
    if not zone_exists(query.zone):
        raise InputError({"zone": f"{query.zone!r} is no IANA time zone"})
    after, before = agenda.span(_monday(query.first), query.weeks, query.zone)
    lines = queries.windows(session(), now=now())
    found = agenda_queries.agenda(session(), lines, after, before)
    kinds = (query.kind,) if query.kind else agenda.KINDS
    return {
        "starts": after,
        "ends": before,
        "zone": query.zone,
        "entries": agenda.chosen(found.entries, kinds, query.window),
        "without_forecast": [plan for plan, _ in found.unknown],
    }


@route("GET", "/calendar.ics", tag="calendar", gives=FILE)
def calendar_feed() -> Response:
    """Subscribe to approved work: an event a ring, when it is expected, and an event a freeze.

    Calendar programs send the token as the password of HTTP Basic, with any name.
    """
    answer = ics(planned_work.feed(session(), now=now()))
    answer.add_etag()
    answer.make_conditional(request)
    return answer


def ics(body: bytes) -> Response:
    return Response(body, content_type=f"{MEDIA}; charset=utf-8")


def body_of_file() -> bytes:
    return read(LARGEST)


def recurrence(body: RecurrenceIn) -> tuple[Any, ...]:
    """Return rule, duration, zone, excluded starts and first one. Raises `InputError`."""
    length = durations.parse(body.duration, "duration")
    try:
        excluded = tuple(sorted({rules.wall_text(text) for text in body.exdates}))
        first = rules.wall_text(body.first) if body.first else ""
    except ValueError as error:
        raise InputError(
            {"exdates": "and first are on the wall clock: 2026-12-25T22:00, or a day"}
        ) from error
    return body.rrule, length, body.zone, excluded, first


def _window(name: str, body: TimesIn) -> Window:
    also = tuple(Window(name, *recurrence(one)) for one in body.also)
    return replace(Window(name, *recurrence(body)), also=also)


def _window_out(line: WindowLine) -> Mapping[str, Any]:
    one = line.window
    return {
        "name": one.name,
        "rrule": one.rrule,
        "duration": one.duration // timedelta(seconds=1),
        "zone": one.zone,
        "exdates": one.exdates,
        "first": one.first,
        "also": [part.to_json() for part in one.also],
        "hosts": line.hosts,
        "open_until": line.open_until,
        "next_opens": line.next[0] if line.next else None,
        "next_closes": line.next[1] if line.next else None,
    }


def _rule_out(line: RuleLine) -> Mapping[str, Any]:
    return {
        "id": line.id,
        "window": line.rule.window,
        "fields": line.rule.fields,
        "created_by": line.created_by,
        "created_at": line.created_at,
    }


def _monday(text: str) -> date:
    try:
        day = date.fromisoformat(text) if text else now().astimezone(UTC).date()
    except ValueError as error:
        raise InputError({"from": f"{text!r} is no day, such as 2026-12-25"}) from error
    if day.year not in rules.YEARS[1:-1]:
        raise InputError({"from": f"{text!r} is out of range"})
    return agenda.monday(day)
