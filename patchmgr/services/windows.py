"""Maintenance windows: add, change and remove them, and say which hosts have them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.queries import windows as queries
from patchmgr.db.session import Database
from patchmgr.domain.accounts import Role
from patchmgr.domain.durations import text
from patchmgr.domain.rings import ANY_TIME, OWN_WINDOW
from patchmgr.domain.rollout.states import OPEN_PLANS
from patchmgr.domain.window_rules import WindowRule
from patchmgr.domain.windows import SEPARATOR, Window
from patchmgr.errors import ConflictError, InputError, NotFoundError
from patchmgr.services import audit
from patchmgr.services.roles import require


@dataclass(frozen=True, slots=True)
class Touched:
    """What a change of a window does not reach: these plans keep it as it was when approved."""

    plans: tuple[int, ...]

    @property
    def words(self) -> str:
        if not self.plans:
            return ""
        numbers = ", ".join(map(str, self.plans))
        many = len(self.plans) > 1
        return f"plan{'s' if many else ''} {numbers} keep{'' if many else 's'} it as it was"


def add(db: Database, window: Window, *, actor: str, role: Role, now: datetime) -> int:
    """Add a window and return its id. Raises `ConflictError` for a name that is taken."""
    require(role, Role.OPERATOR, "adding a maintenance window")
    with db.writing() as session:
        return put_new(session, window, actor=actor, now=now)


def change(db: Database, window: Window, *, actor: str, role: Role, now: datetime) -> Touched:
    """Give the window of that name other times. Open plans keep it as it was when they were made.

    Raises `NotFoundError`.
    """
    require(role, Role.OPERATOR, "changing a maintenance window")
    with db.writing() as session:
        return put_changed(session, window, actor=actor, now=now)


def remove(
    db: Database, name: str, *, actor: str, role: Role, now: datetime, force: bool = False
) -> Touched:
    """Remove a window, with the rules that give it to hosts. Open plans keep their copy.

    Raises `NotFoundError`, and `ConflictError` while hosts have it, unless with ``force``.
    """
    require(role, Role.OPERATOR, "removing a maintenance window")
    with db.writing() as session:
        row = _row(session, name)
        hosts = queries.hosts_by_window(session)[name]
        if hosts and not force:
            have = (
                "host has it and plans would leave it"
                if hosts == 1
                else ("hosts have it and plans would leave them")
            )
            raise ConflictError(
                f"{hosts} {have} out; give them another window first, or remove it with --force"
            )
        rules = session.scalars(select(models.WindowRule).where(models.WindowRule.window == name))
        dropped = [_drop(session, rule) for rule in rules.all()]
        touched = _touched(session, name)
        session.delete(row)
        session.flush()
        details = {**_details(queries.window_of_row(row)), "hosts": hosts, "rules": dropped}
        _record(session, "window.remove", name, details, actor=actor, now=now)
        return touched


def assign(
    db: Database, name: str, fields: Mapping[str, str], *, actor: str, role: Role, now: datetime
) -> int:
    """Give a window to all hosts that have ``fields`` and name none; return the rule's id.

    Raises `NotFoundError`, `InputError`, and `ConflictError` for a rule that there is already.
    """
    require(role, Role.OPERATOR, "assigning a maintenance window")
    rule = WindowRule(name, dict(fields))
    with db.writing() as session:
        _row(session, name)
        if rule in queries.window_rules(session):
            raise ConflictError(f"hosts with {rule.words} have the window {name!r} already")
        row = models.WindowRule(window=name, fields=dict(fields), created_by=actor, created_at=now)
        session.add(row)
        session.flush()
        _record(session, "window.assign", name, dict(fields), actor=actor, now=now)
        return row.id


def unassign(db: Database, rule_id: int, *, actor: str, role: Role, now: datetime) -> WindowRule:
    """Remove a rule that gives hosts a window. Raises `NotFoundError`."""
    require(role, Role.OPERATOR, "assigning a maintenance window")
    with db.writing() as session:
        row = session.get(models.WindowRule, rule_id)
        if row is None:
            raise NotFoundError("window rule", rule_id)
        rule = WindowRule(row.window, row.fields)
        session.delete(row)
        _record(session, "window.unassign", rule.window, dict(rule.fields), actor=actor, now=now)
        return rule


def put_new(session: Session, window: Window, *, actor: str, now: datetime) -> int:
    """Add a window in the caller's transaction. Raises `InputError`, `ConflictError`."""
    if window.name in (OWN_WINDOW, ANY_TIME):
        raise InputError({"name": f"{window.name!r} has a meaning of its own in ring settings"})
    if SEPARATOR in window.name or window.name != window.name.strip():
        raise InputError(
            {"name": f"without {SEPARATOR!r}, which separates names, and without spaces around it"}
        )
    if len(window.name) > Window.LONGEST_NAME:
        raise InputError({"name": f"1 to {Window.LONGEST_NAME} printable characters"})
    taken = select(models.Window.id).where(models.Window.name == window.name)
    if session.scalar(taken):
        raise ConflictError(f"there is a maintenance window {window.name!r} already")
    row = models.Window(
        name=window.name, created_at=now, changed_at=now, revision=0, **_columns(window)
    )
    session.add(row)
    session.flush()
    _record(session, "window.add", window.name, _details(window), actor=actor, now=now)
    return row.id


def put_changed(session: Session, window: Window, *, actor: str, now: datetime) -> Touched:
    """Change a window in the caller's transaction. Raises `NotFoundError`."""
    row = _row(session, window.name)
    before = queries.window_of_row(row)
    if before == window:
        return Touched(())
    for column, value in _columns(window).items():
        setattr(row, column, value)
    row.changed_at, row.revision = now, row.revision + 1
    session.flush()
    details = {"before": _details(before), "after": _details(window)}
    _record(session, "window.change", window.name, details, actor=actor, now=now)
    return _touched(session, window.name)


def _row(session: Session, name: str) -> models.Window:
    row = session.scalar(select(models.Window).where(models.Window.name == name))
    if row is None:
        raise NotFoundError("maintenance window", name)
    return row


def _columns(window: Window) -> dict[str, Any]:
    return {
        "rrule": window.rrule,
        "duration": window.duration // timedelta(seconds=1),
        "zone": window.zone,
        "exdates": list(window.exdates),
        "first": window.first,
        "also": [one.to_json() for one in window.also],
    }


def _details(window: Window) -> dict[str, Any]:
    said = {name: value for name, value in _columns(window).items() if value}
    return {**said, "duration": text(window.duration)}


def _touched(session: Session, name: str) -> Touched:
    return Touched(tuple(queries.plans_with(session, name, OPEN_PLANS)))


def _drop(session: Session, row: models.WindowRule) -> str:
    words = WindowRule(row.window, row.fields).words
    session.delete(row)
    return words


def _record(
    session: Session, action: str, name: str, details: Mapping[str, Any], *, actor: str,
    now: datetime,
) -> None:  # fmt: skip
    audit.record(
        session, at=now, actor=actor, action=action, subject=f"window {name}", details=details
    )
