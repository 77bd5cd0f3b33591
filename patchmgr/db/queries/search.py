"""The search box: hosts, packages, advisories and plans by a part of their name."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, exists, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from patchmgr.db import models
from patchmgr.domain.numbers import whole

EACH = 12  # of a kind that are shown


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, at most `EACH` of each kind."""

    hosts: tuple[tuple[str, str], ...]  # hostname, platform
    packages: tuple[str, ...]  # installed somewhere
    advisories: tuple[tuple[str, str, int, str], ...]  # ref, title, severity, CVEs
    plans: tuple[tuple[int, str, str], ...]  # id, title, state

    @property
    def is_empty(self) -> bool:
        return not (self.hosts or self.packages or self.advisories or self.plans)


def search(session: Session, text: str) -> Found:
    """Return what matches ``text`` in any case. Four queries."""
    return Found(
        _hosts(session, text),
        _packages(session, text),
        _advisories(session, text),
        _plans(session, text),
    )


def _hosts(session: Session, text: str) -> tuple[tuple[str, str], ...]:
    rows = session.execute(
        select(models.Host.hostname, models.Host.platform)
        .where(models.Host.retired_at.is_(None), _has(models.Host.hostname, text))
        .order_by(models.Host.hostname)
        .limit(EACH)
    )
    return tuple((name, platform) for name, platform in rows)


def _packages(session: Session, text: str) -> tuple[str, ...]:
    """Return names of packages that hosts have or had, the shortest first."""
    name = models.PackageVersion.name
    return tuple(
        session.scalars(
            select(name)
            .where(_has(name, text))
            .group_by(name)
            .order_by(func.length(name), name)
            .limit(EACH)
        )
    )


def _advisories(session: Session, text: str) -> tuple[tuple[str, str, int, str], ...]:
    columns = (
        models.Advisory.ref,
        models.Advisory.title,
        models.Advisory.severity,
        models.Advisory.cves,
    )
    judged = exists().where(
        models.Judgement.advisory_id == models.Advisory.id, models.Judgement.until.is_(None)
    )
    rows = session.execute(
        select(*columns)
        .where(
            models.Advisory.withdrawn_at.is_(None),
            or_(_has(models.Advisory.ref, text), _has(models.Advisory.cves, text)),
        )
        .order_by(judged.desc(), models.Advisory.ref.desc())
        .limit(EACH)
    )
    return tuple((ref, title, severity, cves) for ref, title, severity, cves in rows)


def _plans(session: Session, text: str) -> tuple[tuple[int, str, str], ...]:
    condition = _has(models.Plan.title, text)
    if (number := whole(text)) is not None:
        condition = or_(condition, models.Plan.id == number)
    rows = session.execute(
        select(models.Plan.id, models.Plan.title, models.Plan.state)
        .where(condition)
        .order_by(models.Plan.id.desc())
        .limit(EACH)
    )
    return tuple((number, title, state) for number, title, state in rows)


def _has(column: InstrumentedAttribute[str], text: str) -> ColumnElement[bool]:
    escaped = text.lower()
    for sign in ("\\", "%", "_"):
        escaped = escaped.replace(sign, f"\\{sign}")
    return func.lower(column).like(f"%{escaped}%", escape="\\")
