"""Maintenance windows: what there is, whose they are, and what they mean at an instant."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import func, literal, select, true
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.json_rows import rows_of
from patchmgr.db.queries.hosts import HostLine
from patchmgr.domain.rings import HostFacts
from patchmgr.domain.window_rules import WindowRule, window_of
from patchmgr.domain.windows import (
    SEPARATOR,
    Opening,
    Window,
    Windows,
    from_json,
    next_opening,
    open_until,
)
from patchmgr.errors import NotFoundError

host = models.Host
# What rules may ask of a host, and its own window: hosts alike in all of it have the same one.
_KIND = (
    host.window,
    host.ring,
    host.environment,
    host.site,
    host.owner,
    host.criticality,
    host.exposure,
    host.platform,
)


@dataclass(frozen=True, slots=True)
class WindowLine:
    """A window, whether it is open, when it opens next, and how many hosts have it."""

    id: int
    window: Window
    open_until: datetime | None  # None: closed
    next: Opening | None  # None: its rule has ended
    hosts: int
    created_at: datetime
    changed_at: datetime
    revision: int


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A rule that gives hosts a window."""

    id: int
    rule: WindowRule
    created_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Overview:
    """Every window, the rules that give them to hosts, and what hosts name that does not exist."""

    windows: tuple[WindowLine, ...]
    rules: tuple[RuleLine, ...]
    missing: tuple[tuple[str, int], ...]  # name, hosts


def overview(session: Session, *, now: datetime) -> Overview:
    """Return all that there is of windows. Three queries."""
    given = rules(session)
    counts = _hosts_by_window(session, [line.rule for line in given])
    lines = _lines(session, counts, now)
    known = {line.window.name for line in lines}
    missing = sorted((name, hosts) for name, hosts in counts.items() if name not in known)
    return Overview(tuple(lines), tuple(given), tuple(missing))


def windows(session: Session, *, now: datetime) -> list[WindowLine]:
    """Return every maintenance window by name. Three queries."""
    return list(overview(session, now=now).windows)


def _lines(session: Session, counts: Mapping[str, int], now: datetime) -> list[WindowLine]:
    row = models.Window
    lines = []
    for found in session.scalars(select(row).order_by(row.name)):
        window = window_of_row(found)
        hosts = counts.get(found.name, 0)
        until, opens = open_until(window, now), next_opening(window, now)
        lines.append(
            WindowLine(
                found.id,
                window,
                until,
                opens,
                hosts,
                found.created_at,
                found.changed_at,
                found.revision,
            )
        )
    return lines


def known_windows(session: Session) -> Windows:
    """Return every maintenance window by name. One query."""
    row = models.Window
    return Windows({found.name: window_of_row(found) for found in session.scalars(select(row))})


def get(session: Session, name: str) -> Window:
    """Return the window called ``name``. Raises `NotFoundError`."""
    found = session.scalar(select(models.Window).where(models.Window.name == name))
    if found is None:
        raise NotFoundError("maintenance window", name)
    return window_of_row(found)


def rules(session: Session) -> list[RuleLine]:
    """Return the rules that give hosts a window, by window. One query."""
    row = models.WindowRule
    return [
        RuleLine(found.id, WindowRule(found.window, found.fields), found.created_by,
                 found.created_at)
        for found in session.scalars(select(row).order_by(row.window, row.id))
    ]  # fmt: skip


def window_rules(session: Session) -> list[WindowRule]:
    """Return the rules that give hosts a window. One query."""
    return [line.rule for line in rules(session)]


def of_host(session: Session, line: HostLine) -> tuple[str, Window | None]:
    """Return the names of the windows that a host has, its own or by rules, and what they are.

    None where no window is called so. One query.
    """
    rule, only = models.WindowRule, select(literal(1).label("row")).subquery()
    given = select(rows_of(rule.window, rule.id, rule.fields)).scalar_subquery()
    query = select(given, models.Window).select_from(only).outerjoin(models.Window, true())
    rows = session.execute(query).all()
    given_by = sorted(rows[0][0] or (), key=lambda each: each[:2])
    rules = [WindowRule(window, fields) for window, _, fields in given_by]
    named = _named(line, rules)
    known = Windows({row.name: window_of_row(row) for _, row in rows if row is not None})
    return named, known.get(named) if named else None


def _named(line: HostLine, rules: Sequence[WindowRule]) -> str:
    """Return the names of the windows that a host has, its own or by rules."""
    facts = HostFacts(
        line.id,
        line.hostname,
        line.ring,
        line.environment,
        line.site,
        line.owner,
        line.criticality,
        line.exposure,
        line.platform,
        line.tags,
    )
    return line.window or window_of(facts, rules)


def hosts_by_window(session: Session) -> Counter[str]:
    """Return how many hosts have each window, by name or by rule. Two queries.

    A host that has several is counted at each. A name need not be that of a window.
    """
    return _hosts_by_window(session, window_rules(session))


def _hosts_by_window(session: Session, given: Sequence[WindowRule]) -> Counter[str]:
    by_tag = [rule for rule in given if "tag" in rule.fields]
    counts: Counter[str] = Counter()
    columns = [*_KIND, host.tags] if by_tag else list(_KIND)
    # Tags are as many as hosts, so they are only read where a rule asks for them.
    query = select(*columns, *(() if by_tag else (func.count(),))).where(host.retired_at.is_(None))
    for found in session.execute(query if by_tag else query.group_by(*_KIND)):
        own, *fields, last = found
        if own:
            names = own
        else:
            tags = tuple(last) if by_tag else ()
            names = window_of(replace(HostFacts(0, "", *fields), tags=tags), given)
        for name in names.split(SEPARATOR) if names else ():
            counts[name] += 1 if by_tag else int(last)
    return counts


def missing_windows(session: Session) -> list[tuple[str, int]]:
    """Return windows that hosts name and that do not exist, with how many hosts. Two queries."""
    named = session.execute(
        select(host.window, func.count())
        .where(host.window != "", host.retired_at.is_(None))
        .group_by(host.window)
    )
    known = set(session.scalars(select(models.Window.name)))
    missing: Counter[str] = Counter()
    for names, hosts in named:
        for name in [names] if names in known else names.split(SEPARATOR):
            if name not in known:
                missing[name] += hosts
    return sorted(missing.items())


def plans_with(session: Session, name: str, states: Sequence[str]) -> list[int]:
    """Return the plans in one of ``states`` that keep a copy of a window. One query."""
    plan = models.Plan
    found = session.execute(
        select(plan.id, plan.windows).where(plan.state.in_(states)).order_by(plan.id)
    )
    return [
        number
        for number, kept in found
        if any(name == key or name in key.split(SEPARATOR) for key in kept)
    ]


def window_of_row(row: models.Window) -> Window:
    """Return the window that a row says."""
    return Window(
        row.name,
        row.rrule,
        timedelta(seconds=row.duration),
        row.zone,
        tuple(row.exdates),
        row.first,
        tuple(from_json(one) for one in row.also),
    )
