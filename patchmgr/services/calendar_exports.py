"""Windows and freezes as iCalendar files."""

from datetime import datetime

from icalendar import Event
from sqlalchemy.orm import Session

from patchmgr.db.queries import freezes as freeze_queries
from patchmgr.db.queries import windows as window_queries
from patchmgr.domain import icalendar_out
from patchmgr.domain.icalendar_out import Version, freeze_event, uid, window_events


def windows(session: Session, *, now: datetime) -> bytes:
    """Return every window as iCalendar."""
    events = [
        event
        for line in window_queries.windows(session, now=now)
        for event in window_events(
            line.window,
            Version(uid("window", line.id, line.created_at), line.changed_at, line.revision),
        )
    ]
    return icalendar_out.written(events, "patchmgr windows")


def freezes(session: Session, *, now: datetime) -> bytes:
    """Return every freeze that is not over as iCalendar."""
    return icalendar_out.written(freeze_events(session, now=now), "patchmgr freezes")


def freeze_events(session: Session, *, now: datetime) -> list[Event]:
    """Return an event for each freeze that is not over."""
    return [
        freeze_event(
            line.recurs or line.freeze,
            Version(uid("freeze", line.id, line.created_at), line.changed_at, line.revision),
        )
        for line in reversed(freeze_queries.freezes(session, now=now, over=False))
    ]
