"""Calendar: when hosts may change, when nothing may, and what is coming."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from patchmgr.db.queries import plan_review
from patchmgr.db.queries import windows as queries
from patchmgr.domain import durations
from patchmgr.domain.accounts import Role
from patchmgr.domain.recurrence import rule_in_words
from patchmgr.domain.windows import Freeze, Window, openings
from patchmgr.errors import ConflictError, InputError
from patchmgr.services import windows as service
from web import times
from web.auth import requires
from web.context import db, now, session, viewer, zone
from web.show import plural

pages = Blueprint("calendar", __name__, url_prefix="/calendar")

AHEAD = timedelta(days=14)
SHOWN = 40  # openings
ANY_LENGTH = timedelta(hours=1)  # stands in for one that cannot be read, to check all else
PRESETS = tuple(
    (rule, rule_in_words(rule))
    for rule in (
        "FREQ=WEEKLY;BYDAY=SA;BYHOUR=22",
        "FREQ=WEEKLY;BYDAY=TU,TH;BYHOUR=2",
        "FREQ=DAILY;BYHOUR=3",
        "FREQ=MONTHLY;BYDAY=2TU;BYHOUR=20",
    )
)


@dataclass(frozen=True, slots=True)
class Coming:
    """Something of the next days."""

    starts: datetime
    ends: datetime
    kind: str  # "window" or "freeze"
    name: str
    detail: str

    @property
    def day(self) -> str:
        local = self.starts.astimezone(zone())
        return f"{local:%A}, {local.day} {local:%B}"


@pages.get("")
@requires(Role.VIEWER)
def index() -> ResponseReturnValue:
    return _page(MultiDict(), {}), 200


def _page(given: MultiDict[str, str], problems: dict[str, str], form: str = "") -> str:
    windows = queries.windows(session(), now=now())
    freezes = queries.freezes(session(), now=now(), over=False)
    coming = [
        Coming(start, end, "window", line.window.name, _whose(line.hosts))
        for line in windows
        for start, end in openings(line.window, now(), now() + AHEAD)
    ]
    coming += [
        Coming(one.freeze.starts, one.freeze.ends, "freeze", one.freeze.name, one.freeze.reason)
        for one in freezes
        if one.freeze.starts < now() + AHEAD
    ]
    return render_template(
        "calendar/index.html",
        windows=windows,
        freezes=freezes,
        coming=sorted(coming, key=lambda one: (one.starts, one.name))[:SHOWN],
        days=AHEAD.days,
        work=plan_review.listing(session(), state="scheduled", limit=20).lines,
        missing=plan_review.missing_windows(session()),
        presets=PRESETS,
        given=given,
        problems=problems,
        form=form,
    )


def _whose(hosts: int) -> str:
    return f"for {plural(hosts, 'host')}" if hosts else "no host names it"


@pages.post("/windows")
@requires(Role.OPERATOR)
def add_window() -> ResponseReturnValue:
    given = request.form
    try:
        window = _window(given)
        service.add(db(), window, actor=viewer().name, role=viewer().role, now=now())
    except InputError as error:
        return _page(given, error.problems, "window"), 422
    except ConflictError as error:
        return _page(given, {"name": str(error)}, "window"), 409
    flash(f"Window {window.name} is added.")
    return redirect(url_for(".index"), code=303)


def _window(given: MultiDict[str, str]) -> Window:
    """Return the window that was typed. Raises `InputError` with all that is wrong with it."""
    problems: dict[str, str] = {}
    length = ANY_LENGTH
    try:
        length = durations.parse(given.get("duration", ""))
    except InputError as error:
        problems["duration"] = str(error)
    try:
        window = Window(
            given.get("name", "").strip(),
            given.get("rrule", "").strip(),
            length,
            given.get("zone", "").strip() or "UTC",
        )
    except InputError as error:
        raise InputError({**error.problems, **problems}) from error
    if problems:
        raise InputError(problems)
    return window


@pages.post("/freezes")
@requires(Role.OPERATOR)
def add_freeze() -> ResponseReturnValue:
    given = request.form
    try:
        freeze = Freeze(
            given.get("name", "").strip(),
            times.read(given.get("starts", ""), "starts"),
            times.read(given.get("until", ""), "until"),
            given.get("reason", "").strip(),
        )
        service.add_freeze(db(), freeze, actor=viewer().name, role=viewer().role, now=now())
    except InputError as error:
        return _page(given, error.problems, "freeze"), 422
    flash(f"Freeze {freeze.name} is added; running plans heed it from their next tick on.")
    return redirect(url_for(".index"), code=303)
