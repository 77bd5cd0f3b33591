"""Approved work as iCalendar: an event a ring, when it is expected to run, and the freezes."""

from collections.abc import Iterable
from datetime import datetime

from icalendar import Event
from sqlalchemy.orm import Session

from patchmgr.db.queries import agenda
from patchmgr.db.queries.agenda import PlannedRing
from patchmgr.domain import icalendar_out
from patchmgr.domain.icalendar_out import Happening, Version, happening_event, uid
from patchmgr.services.calendar_exports import freeze_events


def feed(session: Session, *, now: datetime) -> bytes:
    """Return the file that calendar programs subscribe to."""
    rings = ring_events(agenda.rings_ahead(session).rings)
    freezes = freeze_events(session, now=now)
    return icalendar_out.written([*rings, *freezes], "patchmgr")


def ring_events(rings: Iterable[PlannedRing]) -> list[Event]:
    """Return an event for each ring that is not without an end in sight.

    Its times move with the plan and its forecast; what is newer has a later LAST-MODIFIED.
    """
    found = []
    for one in rings:
        starts, ends = one.ring.starts, one.ring.ends
        if starts is None or ends is None:
            continue
        happening = Happening(
            f"{one.title}: {one.ring.name}",
            starts,
            max(ends, starts),
            one.words,
            is_certain=one.is_real,
        )
        name = uid(f"plan-{one.plan}-ring", one.position, one.created_at)
        found.append(happening_event(happening, Version(name, one.changed_at, one.revision)))
    return found
