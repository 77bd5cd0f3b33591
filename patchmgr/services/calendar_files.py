"""Windows and freezes that come from an iCalendar file: checked whole, then stored in one go."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy.orm import Session

from patchmgr.db.queries import freezes as freeze_queries
from patchmgr.db.queries import windows as window_queries
from patchmgr.db.session import Database
from patchmgr.domain import icalendar_in
from patchmgr.domain.accounts import Role
from patchmgr.domain.freezes import RecurringFreeze
from patchmgr.domain.icalendar_out import Version, freeze_event, window_events, written
from patchmgr.domain.windows import Freeze, Window
from patchmgr.errors import BadFileError, BadRow, ConflictError, InputError
from patchmgr.services import freezes, windows
from patchmgr.services.roles import require

_SAME = Version("", datetime(2020, 1, 1, tzinfo=UTC), 0)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file makes different, by name."""

    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    over: tuple[str, ...] = ()  # freezes that are past


def import_windows(
    db: Database, file: str, body: bytes, *, actor: str, role: Role, now: datetime,
    zone: str = "", dry_run: bool = False,
) -> Imported:  # fmt: skip
    """Store the windows of a file; one of a known name gets its times. Raises `BadFileError`."""
    require(role, Role.OPERATOR, "importing maintenance windows")
    read = icalendar_in.windows(file, body, zone)
    with db.trying() if dry_run else db.writing() as session:
        known = window_queries.known_windows(session)
        found = {"new": [], "changed": [], "unchanged": []}  # type: dict[str, list[str]]
        for one in read:
            kind = _put_window(session, known.get(one.name), one, file, actor=actor, now=now)
            found[kind].append(one.name)
    return Imported(*(tuple(names) for names in found.values()))


def import_freezes(
    db: Database, file: str, body: bytes, *, actor: str, role: Role, now: datetime,
    zone: str = "", dry_run: bool = False,
) -> Imported:  # fmt: skip
    """Store the freezes of a file that are not over and not there yet. Raises `BadFileError`."""
    require(role, Role.OPERATOR, "importing freezes")
    read = icalendar_in.freezes(file, body, zone)
    with db.trying() if dry_run else db.writing() as session:
        lines = freeze_queries.freezes(session, now=now, over=False)
        known = {_form(line.recurs or line.freeze) for line in lines}
        found = {"new": [], "unchanged": [], "over": []}  # type: dict[str, list[str]]
        for one in read:
            if isinstance(one, Freeze) and one.ends <= now:
                found["over"].append(one.name)
            elif _form(one) in known:
                found["unchanged"].append(one.name)
            else:
                _at(file, one.name, lambda: freezes.put_new(session, one, actor=actor, now=now))  # noqa: B023 -- called at once
                known.add(_form(one))
                found["new"].append(one.name)
    return Imported(
        new=tuple(found["new"]), unchanged=tuple(found["unchanged"]), over=tuple(found["over"])
    )


def _put_window(
    session: Session, known: Window | None, one: Window, file: str, *, actor: str, now: datetime
) -> str:
    if known is None:
        _at(file, one.name, lambda: windows.put_new(session, one, actor=actor, now=now))
        return "new"
    if _window_form(known) == _window_form(one):
        return "unchanged"
    windows.put_changed(session, one, actor=actor, now=now)
    return "changed"


def _at(file: str, name: str, act: Callable[[], T]) -> T:
    """Do ``act``; what is wrong with it is wrong with the event called ``name``."""
    try:
        return act()
    except (InputError, ConflictError) as error:
        raise BadFileError(file, [BadRow(0, "SUMMARY", name, str(error))]) from error


def _window_form(window: Window) -> bytes:
    """Return what two windows that mean the same have in common."""
    return written(window_events(window, _SAME), "")


def _form(freeze: Freeze | RecurringFreeze) -> bytes:
    return written([freeze_event(freeze, _SAME)], "")
