"""Maintenance windows and freezes: what there is, and what it means at an instant."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.domain.windows import Freeze, Opening, Window, next_opening, open_until


@dataclass(frozen=True, slots=True)
class Freezes:
    """What the freezes mean at an instant."""

    frozen: str = ""  # why nothing may change now; empty: it may
    frozen_from: datetime | None = None  # when the next one begins


@dataclass(frozen=True, slots=True)
class WindowLine:
    """A window, whether it is open, when it opens next, and how many hosts name it."""

    id: int
    window: Window
    open_until: datetime | None  # None: closed
    next: Opening | None  # None: its rule has ended
    hosts: int


@dataclass(frozen=True, slots=True)
class FreezeLine:
    """A freeze, and whether it is in force."""

    id: int
    freeze: Freeze
    in_force: bool
    is_over: bool
    created_by: str


def windows(session: Session, *, now: datetime) -> list[WindowLine]:
    """Return every maintenance window by name. Two queries."""
    row, host = models.Window, models.Host
    counted = (
        select(host.window, func.count())
        .where(host.window != "", host.retired_at.is_(None))
        .group_by(host.window)
    )
    counts = {name: int(hosts) for name, hosts in session.execute(counted)}
    lines = []
    for found in session.scalars(select(row).order_by(row.name)):
        window = _window(found)
        until = open_until(window, now)
        lines.append(
            WindowLine(
                found.id, window, until, next_opening(window, now), counts.get(found.name, 0)
            )
        )
    return lines


def freezes(session: Session, *, now: datetime, over: bool = True) -> list[FreezeLine]:
    """Return freezes, the latest first; ``over`` includes those that have ended. One query."""
    row = models.Freeze
    query = select(row).order_by(row.starts.desc(), row.id.desc())
    if not over:
        query = query.where(row.ends > now)
    lines = []
    for found in session.scalars(query):
        freeze = Freeze(found.name, found.starts, found.ends, found.reason)
        lines.append(
            FreezeLine(found.id, freeze, freeze.covers(now), freeze.ends <= now, found.created_by)
        )
    return lines


def known_windows(session: Session) -> Mapping[str, Window]:
    """Return every maintenance window by name."""
    return {
        row.name: _window(row)
        for row in session.scalars(select(models.Window).order_by(models.Window.name))
    }


def freezes_at(session: Session, at: datetime) -> Freezes:
    """Return whether a freeze is in force at ``at``, and when the next one begins."""
    row = models.Freeze
    frozen, frozen_from = [], None
    for freeze in session.scalars(select(row).where(row.ends > at).order_by(row.starts, row.id)):
        if freeze.starts <= at:
            frozen.append(f"{freeze.name} until {freeze.ends:%Y-%m-%d %H:%M} UTC ({freeze.reason})")
        elif frozen_from is None:
            frozen_from = freeze.starts
    return Freezes("; ".join(frozen), frozen_from)


def _window(row: models.Window) -> Window:
    return Window(row.name, row.rrule, timedelta(seconds=row.duration), row.zone)
