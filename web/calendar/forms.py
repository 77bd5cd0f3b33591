"""What people change on the calendar: windows, who has them, freezes, and files of both."""

from dataclasses import replace
from typing import Any, TypeVar

from flask import Response, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from patchmgr.domain import durations, rules
from patchmgr.domain.accounts import Role
from patchmgr.domain.freezes import RecurringFreeze, Times
from patchmgr.domain.icalendar_lines import LARGEST
from patchmgr.domain.icalendar_out import MEDIA
from patchmgr.domain.rings import FIELDS
from patchmgr.domain.windows import Freeze, Window
from patchmgr.errors import ConflictError, InputError
from patchmgr.services import calendar_exports, calendar_files
from patchmgr.services import freezes as freeze_service
from patchmgr.services import windows as service
from web import times
from web.auth import requires
from web.calendar.pages import View, page, pages
from web.context import db, now, session, viewer

Given = MultiDict[str, str]


def _who() -> dict[str, Any]:
    return {"actor": viewer().name, "role": viewer().role, "now": now()}


def _back(said: str) -> ResponseReturnValue:
    flash(said)
    query = View.asked().query
    return redirect(url_for("calendar.index") + (f"?{query}" if query else ""), code=303)


@pages.post("/windows")
@requires(Role.OPERATOR)
def add_window() -> ResponseReturnValue:
    """Add a window, or change the one of that name."""
    given = request.form
    is_change = given.get("change") == "yes"
    try:
        window = _window(given)
        if is_change:
            touched = service.change(db(), window, **_who())
            more = f"; {touched.words}" if touched.words else ""
            return _back(f"Window {window.name} is changed{more}.")
        service.add(db(), window, **_who())
    except InputError as error:
        return page(given, error.problems, "window"), 422
    except ConflictError as error:
        return page(given, {"name": str(error)}, "window"), 409
    return _back(f"Window {window.name} is added.")


@pages.post("/windows/remove")
@requires(Role.OPERATOR)
def remove_window() -> ResponseReturnValue:
    name = request.form.get("name", "")
    try:
        touched = service.remove(db(), name, force=request.form.get("force") == "yes", **_who())
    except ConflictError as error:
        return page(request.form, {"name": str(error).partition(";")[0]}, "remove"), 409
    more = f"; {touched.words}" if touched.words else ""
    return _back(f"Window {name} is removed{more}.")


@pages.post("/rules")
@requires(Role.OPERATOR)
def assign() -> ResponseReturnValue:
    given = request.form
    field, value = given.get("field", ""), given.get("value", "").strip()
    name = given.get("window", "")
    try:
        service.assign(db(), name, {field: value} if field in FIELDS else {}, **_who())
    except InputError as error:
        return page(given, {"value": "; ".join(error.problems.values())}, "rule"), 422
    except ConflictError as error:
        return page(given, {"value": str(error)}, "rule"), 409
    return _back(f"Hosts with {field} {value} have the window {name} unless they name their own.")


@pages.post("/rules/<int:rule_id>/remove")
@requires(Role.OPERATOR)
def unassign(rule_id: int) -> ResponseReturnValue:
    rule = service.unassign(db(), rule_id, **_who())
    return _back(f"Hosts with {rule.words} do not have the window {rule.window} by rule any more.")


@pages.post("/freezes")
@requires(Role.OPERATOR)
def add_freeze() -> ResponseReturnValue:
    given = request.form
    try:
        freeze = _freeze(given)
        freeze_service.add(db(), freeze, **_who())
    except InputError as error:
        return page(given, error.problems, "freeze"), 422
    return _back(f"Freeze {freeze.name} is added; running plans heed it from their next tick on.")


@pages.post("/freezes/<int:freeze_id>/end")
@requires(Role.OPERATOR)
def end_freeze(freeze_id: int) -> ResponseReturnValue:
    done = freeze_service.end(db(), str(freeze_id), **_who())
    return _back(f"The freeze is {done}.")


@pages.post("/import")
@requires(Role.OPERATOR)
def import_file() -> ResponseReturnValue:
    """Take the events of an iCalendar file, as windows or as freezes."""
    given = request.form
    upload = request.files.get("file")
    what = given.get("what", "windows")
    act = calendar_files.import_freezes if what == "freezes" else calendar_files.import_windows
    if upload is None or not upload.filename:
        return page(given, {"file": "choose an iCalendar file"}, "import"), 422
    try:
        found = act(
            db(),
            upload.filename,
            upload.stream.read(LARGEST + 1),
            zone=given.get("zone", "").strip(),
            dry_run=given.get("dry_run") == "yes",
            **_who(),
        )
    except InputError as error:
        why = error.problems if "file" in error.problems else {"file": str(error)}
        return page(given, why, "import"), 422
    counts = {
        "new": found.new,
        "changed": found.changed,
        "unchanged": found.unchanged,
        "over": found.over,
    }
    said = ", ".join(f"{len(names)} {kind}" for kind, names in counts.items() if names)
    tense = "would be" if given.get("dry_run") == "yes" else "are"
    return _back(f"Of the {what} in the file there {tense}: {said or 'none'}.")


@pages.get("/windows.ics")
@requires(Role.VIEWER)
def export_windows() -> Response:
    return _file(calendar_exports.windows(session(), now=now()), "windows.ics")


@pages.get("/freezes.ics")
@requires(Role.VIEWER)
def export_freezes() -> Response:
    return _file(calendar_exports.freezes(session(), now=now()), "freezes.ics")


def _file(body: bytes, name: str) -> Response:
    disposition = f'attachment; filename="{name}"'
    return Response(
        body, content_type=f"{MEDIA}; charset=utf-8", headers={"Content-Disposition": disposition}
    )


def _window(given: Given) -> Window:
    """Return the window that was typed. Raises `InputError` with all that is wrong with it.

    A rule a line: the window opens by each of them, as long as the form says, but for its days.
    """
    lines = [line.strip() for line in given.get("rrule", "").splitlines() if line.strip()]
    first, *others = lines or [""]
    one = _typed(Window, given, first)
    found, problems = [], []
    for line in others:
        try:
            found.append(replace(one, rrule=line))
        except InputError as error:
            problems += [f"{line[:80]}: {why}" for why in error.problems.values()]
    if problems:
        raise InputError({"rrule": "; ".join(problems)})
    try:
        return replace(one, also=tuple(found))
    except InputError as error:
        raise InputError({"rrule": "; ".join(error.problems.values())}) from error


def _freeze(given: Given) -> Freeze | RecurringFreeze:
    if given.get("rrule", "").strip():
        reason = given.get("reason", "").strip()
        return RecurringFreeze(_typed(Times, given, given.get("rrule", "").strip()), reason)
    return Freeze(
        given.get("name", "").strip(),
        times.read(given.get("starts", ""), "starts"),
        times.read(given.get("until", ""), "until"),
        given.get("reason", "").strip(),
    )


W = TypeVar("W", bound=Window)


def _typed(kind: type[W], given: Given, rrule: str) -> W:
    problems: dict[str, str] = {}
    length = kind.LONGEST / 2  # stands in for one that cannot be read, to check all else
    try:
        length = durations.parse(given.get("duration", ""))
    except InputError as error:
        problems["duration"] = str(error)
    excluded: list[str] = []
    first = given.get("first", "").strip()
    try:
        excluded = [rules.wall_text(text) for text in given.get("exdates", "").split()]
    except ValueError:
        problems["exdates"] = "days such as 2026-12-25, or starts such as 2026-12-25T22:00"
    try:
        first = rules.wall_text(first) if first else ""
    except ValueError:
        problems["first"] = "a start such as 2026-12-25T22:00"
        first = ""
    try:
        made = kind(
            given.get("name", "").strip(),
            rrule,
            length,
            given.get("zone", "").strip() or "UTC",
            tuple(sorted(set(excluded))),
            first,
        )
    except InputError as error:
        raise InputError({**error.problems, **problems}) from error
    if problems:
        raise InputError(problems)
    return made
