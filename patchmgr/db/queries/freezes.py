"""Freezes, once and recurring: what there is, and what they mean at an instant."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.domain.freezes import Freezes, RecurringFreeze, Times, at_instant
from patchmgr.domain.windows import Freeze

FOR_EVER = datetime.fromisoformat("9999-01-01T00:00:00+00:00")  # ends of one that recurs
LOOK_AHEAD = timedelta(days=62)  # for the next of a freeze that recurs; no task takes so long

row = models.Freeze


@dataclass(frozen=True, slots=True)
class FreezeLine:
    """A freeze, and whether it is in force."""

    id: int
    freeze: Freeze  # of one that recurs: the present one, else the next, else its first
    recurs: RecurringFreeze | None
    in_force: bool
    is_over: bool  # and does not come again
    created_by: str
    created_at: datetime
    changed_at: datetime
    revision: int


def freezes(session: Session, *, now: datetime, over: bool = True) -> list[FreezeLine]:
    """Return freezes, the latest first; ``over`` includes those that have ended. One query."""
    query = select(row)
    if not over:
        query = query.where(row.ends > now)
    lines = [_line(found, now) for found in session.scalars(query.order_by(row.id.desc()))]
    kept = [line for line in lines if over or not line.is_over]
    return sorted(kept, key=lambda line: line.freeze.starts, reverse=True)


@dataclass(frozen=True, slots=True)
class KnownFreezes:
    """The freezes that are not over at some instant, as they are stored."""

    rows: tuple[models.Freeze, ...]

    def between(self, after: datetime, before: datetime) -> list[Freeze]:
        """Return every freeze, each time that it holds, at least in part in that span."""
        found: list[Freeze] = []
        for one in self.rows:
            if one.ends <= after or one.starts >= before:
                continue
            recurring = _recurring(one)
            found += (
                recurring.occurrences(max(after, one.starts), before) if recurring else [_once(one)]
            )
        return sorted(found, key=lambda one: (one.starts, one.name))

    def at(self, at: datetime) -> Freezes:
        """Return whether one is in force at ``at``, and when the next one begins."""
        return at_instant(self.between(at, at + LOOK_AHEAD), at)


def known(session: Session, since: datetime) -> KnownFreezes:
    """Return the freezes that are not over at ``since``. One query."""
    query = select(row).where(row.ends > since).order_by(row.starts, row.id)
    return KnownFreezes(tuple(session.scalars(query)))


def freezes_between(session: Session, after: datetime, before: datetime) -> list[Freeze]:
    """Return every freeze, each time that it holds, at least in part in that span. One query."""
    return known(session, after).between(after, before)


def freezes_at(session: Session, at: datetime) -> Freezes:
    """Return whether a freeze is in force at ``at``, and when the next one begins. One query."""
    return known(session, at).at(at)


def _line(found: models.Freeze, now: datetime) -> FreezeLine:
    recurring = _recurring(found)
    freeze = _once(found)
    is_over = found.ends <= now
    if recurring:
        coming = next(recurring.occurrences(now, FOR_EVER), None)
        is_over = coming is None and found.starts < now
        freeze = coming or _first(found, recurring)
    return FreezeLine(
        found.id,
        freeze,
        recurring,
        freeze.covers(now),
        is_over,
        found.created_by,
        found.created_at,
        found.changed_at,
        found.revision,
    )


def _first(found: models.Freeze, recurring: RecurringFreeze) -> Freeze:
    first = next(recurring.occurrences(found.starts, FOR_EVER), None)
    return first or Freeze(found.name, found.starts, found.starts + timedelta(1), found.reason)


def _once(found: models.Freeze) -> Freeze:
    return Freeze(found.name, found.starts, found.ends, found.reason)


def _recurring(found: models.Freeze) -> RecurringFreeze | None:
    if found.recurrence is None:
        return None
    one = found.recurrence
    times = Times(
        one["name"],
        one["rrule"],
        timedelta(seconds=one["duration"]),
        one["zone"],
        tuple(one.get("exdates", ())),
        one.get("first", ""),
    )
    ended = found.ends if found.ends < FOR_EVER else None
    return RecurringFreeze(times, found.reason, ended)
