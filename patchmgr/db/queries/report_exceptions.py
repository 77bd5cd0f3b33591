"""Exceptions as a compliance report needs them: those in force at its instant, and before it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.queries import covering
from patchmgr.domain.compliance import Exempted, Host, Judged
from patchmgr.domain.exceptions import Exempting, InForce, State

row, tagged = models.FindingException, models.HostTag
host, version = models.Host, models.PackageVersion
judgement, advisory = models.Judgement, models.Advisory


def register(session: Session, at: datetime) -> tuple[Exempted, ...]:
    """Return the exceptions in force at ``at``, by id. One query."""
    query = (
        select(row, host.hostname)
        .outerjoin(host, host.id == row.host_id)
        .where(covering.in_force(at))
        .order_by(row.id)
    )
    found = []
    for each, name in session.execute(query):
        value = covering.exempting(each, name or "")
        found.append(
            Exempted(
                label=value.label,
                scope=str(value.scope),
                reason=each.reason,
                owner=each.owner,
                created_by=each.created_by,
                approved_by=each.approved_by,
                approved_at=each.approved_at or at,  # what is in force has been approved
                expires_at=each.expires_at,
            )
        )
    return tuple(found)


class Labels:
    """Names the exceptions in force at an instant that cover a finding."""

    def __init__(
        self, session: Session, at: datetime, judged: Mapping[int, Sequence[Judged]]
    ) -> None:
        """Take the judgements of each package version. Four queries at most."""
        in_force = covering.heeded(session, at).in_force
        self._in_force = in_force
        self._names = _names(session, in_force.all)
        self._about = _about(session, in_force, judged) if in_force.all else {}

    def of(self, on: Host, finding: Judged) -> tuple[str, ...]:
        about = self._about.get(finding)
        if not about:
            return ()
        return tuple(
            each.label for each in self._in_force.on(on.id, self._names.get(on.id, ""), about)
        )


def _about(
    session: Session, in_force: InForce, judged: Mapping[int, Sequence[Judged]]
) -> dict[Judged, tuple[Exempting, ...]]:
    sources = dict(session.execute(select(version.id, version.judged_source)).all())
    found = {
        each: in_force.about(each.package, sources[number], each.advisory, each.cves.split())
        for number, of_version in judged.items()
        for each in of_version
    }
    return {each: about for each, about in found.items() if about}


def _names(session: Session, found: Iterable[Exempting]) -> dict[int, str]:
    """Return the present names of the hosts that exceptions name; a report may know older ones."""
    names = {each.scope.host for each in found} - {""}
    if not names:
        return {}
    query = select(host.id, host.hostname).where(host.hostname.in_(names))
    return dict(session.execute(query).all())


class Past:
    """Tells whether an exception covered a finding at an instant of a period."""

    def __init__(self, session: Session, after: datetime, at: datetime) -> None:
        """One query for each exception that was in force in the period, and three more."""
        self._all = covering.ever(session, at, after)
        self._names = _names(session, self._all)
        self._pairs = {each.id: _pairs(session, each, after) for each in self._all}
        self._tags = _tags(session, {each.scope.tag for each in self._all} - {""}, after)

    def covered(self, host_id: int, version_id: int, advisory_id: int, at: datetime) -> bool:
        """Return whether one covered what ``advisory_id`` says of a version on a host at ``at``."""
        return any(
            each.state(at) is State.IN_FORCE
            and self._is_about(each, version_id, advisory_id)
            and each.scope.is_on(self._names.get(host_id, ""), self._tags_at(host_id, at))
            for each in self._all
        )

    def _is_about(self, each: Exempting, version_id: int, advisory_id: int) -> bool:
        pairs = self._pairs[each.id]
        return pairs is None or (version_id, advisory_id) in pairs

    def _tags_at(self, host_id: int, at: datetime) -> set[str]:
        held = self._tags.get(host_id, ())
        return {tag for tag, since, until in held if since <= at and (not until or at < until)}


def _pairs(session: Session, each: Exempting, after: datetime) -> frozenset[tuple[int, int]] | None:
    """Return the (version, advisory) that an exception was about; None: every one."""
    about = covering.about_judgements(each.scope)
    if not about:
        return None
    query = (
        select(version.id, advisory.id)
        .join(judgement, judgement.package_version_id == version.id)
        .join(advisory, advisory.id == judgement.advisory_id)
        .where(or_(judgement.until.is_(None), judgement.until > after), *about)
    )
    return frozenset((number, said) for number, said in session.execute(query))


Held = tuple[str, datetime, datetime | None]  # a tag, from when, until when


def _tags(session: Session, tags: Iterable[str], after: datetime) -> dict[int, list[Held]]:
    found: dict[int, list[Held]] = defaultdict(list)
    if not (wanted := sorted(tags)):
        return found
    query = select(tagged.host_id, tagged.tag, tagged.since, tagged.until).where(
        tagged.tag.in_(wanted), or_(tagged.until.is_(None), tagged.until > after)
    )
    for number, tag, since, until in session.execute(query):
        found[number].append((tag, since, until))
    return found
