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
    rings = ring_events(agenda.rings_ahead(session, now=now))
    freezes = freeze_events(session, now=now)
    return icalendar_out.written([*rings, *freezes], "patchmgr")


def ring_events(rings: Iterable[PlannedRing]) -> list[Event]:
    """Return an event for each ring that is not without a window in sight.

    Its times move with the plan, so a change of the plan is a newer version of the event.
    """
    found = []
    for one in rings:
        stage = one.stage
        if stage.starts is None or stage.ends is None:
            continue
        happening = Happening(
            f"{one.title}: {stage.name}",
            stage.starts,
            max(stage.ends, stage.starts),
            one.words,
            is_certain=stage.is_real,
        )
        name = uid(f"plan-{one.plan}-ring", stage.position, one.created_at)
        found.append(happening_event(happening, Version(name, one.changed_at, one.revision)))
    return found
