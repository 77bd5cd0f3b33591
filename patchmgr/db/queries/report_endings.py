"""Which findings ended in a period, and whether the host changed or the vendor its word."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, aliased

from patchmgr.db import models
from patchmgr.db.queries import flaws
from patchmgr.db.queries.report_exceptions import Past
from patchmgr.db.queries.reports import CHUNK
from patchmgr.domain.advisories import Severity, Status
from patchmgr.domain.compliance import Closed, Host
from patchmgr.domain.flaws import NOTHING_KNOWN, Danger

Slot = tuple[str, str, str]  # manager, name, arch: what an update replaces


def closed(
    session: Session, after: datetime, at: datetime, fleet: Sequence[Host]
) -> Iterator[Closed]:
    """Yield the fixable findings of ``fleet`` that ended after ``after`` and until ``at``.

    A finding that goes on is left out: the package was updated to a version that is affected as
    well, or the vendor restated the same.
    """
    in_scope = {host.id: host for host in fleet}
    endings, past = _Endings(session, after, at), Past(session, after, at)
    for host_id, version_id, first_seen, since, left in _exposures(
        session, after, at, endings.taken_back
    ):
        host = in_scope.get(host_id)
        if host is None:
            continue
        for judged, ended, patched in endings.of(host_id, version_id, since, left):
            seen = max(first_seen, judged.first_seen)
            excepted = past.covered(host_id, version_id, judged.advisory_id, ended)
            yield Closed(
                host,
                judged.severity,
                judged.danger,
                judged.published,
                seen,
                ended,
                patched,
                excepted,
            )


def _exposures(
    session: Session, after: datetime, at: datetime, taken_back: Sequence[int]
) -> Iterator[Any]:
    """Yield what ended in the period, then what was exposed to a statement that was taken back."""
    exposure = models.Exposure
    columns = (exposure.host_id, exposure.package_version_id, exposure.first_seen, exposure.since)
    ended = (exposure.until > after, exposure.until <= at)
    yield from session.execute(select(*columns, exposure.until).where(*ended))
    for start in range(0, len(taken_back), CHUNK):
        part = taken_back[start : start + CHUNK]
        rows = session.execute(
            select(*columns).where(
                exposure.package_version_id.in_(part),
                exposure.since <= at,
                or_(exposure.until.is_(None), exposure.until > at),
            )
        )
        yield from ((*row, None) for row in rows)


@dataclass(frozen=True, slots=True)
class _Fixable:
    """A judgement that says a fix exists, while it did, and whether the vendor took it back."""

    advisory_id: int
    severity: Severity
    danger: Danger
    first_seen: datetime
    published: datetime | None
    since: datetime
    until: datetime | None
    taken_back: bool

    def holds(self, at: datetime) -> bool:
        return self.since <= at and (self.until is None or self.until > at)


class _Endings:
    """Tells which findings an exposure's end, or a judgement's, ended in the period."""

    def __init__(self, session: Session, after: datetime, at: datetime) -> None:
        self._after, self._at = after, at
        self._judged: dict[int, list[_Fixable]] = defaultdict(list)
        dangers = flaws.classes(session)
        for number, advisory_id, severity, kind, *rest in _overlapping(session, after, at):
            danger = dangers.get(kind, NOTHING_KNOWN)
            self._judged[number].append(_Fixable(advisory_id, Severity(severity), danger, *rest))
        self._opened = _opened(session, after, at)
        self._slots = _slots(session, self._judged) if self._opened else {}
        self.taken_back = sorted(
            number
            for number, judgements in self._judged.items()
            if any(
                judged.taken_back and judged.until <= at for judged in judgements if judged.until
            )
        )

    def of(
        self, host_id: int, version_id: int, since: datetime, left: datetime | None
    ) -> Iterator[tuple[_Fixable, datetime, bool]]:
        """Yield (judgement, when it ended on the host, whether the host changed).

        ``since`` and ``left`` are when the exposure began and ended; None when it has not.
        """
        for judged in self._judged.get(version_id, ()):
            ended = min((end for end in (left, judged.until) if end is not None), default=None)
            if ended is None or not max(self._after, since, judged.since) < ended <= self._at:
                continue
            if judged.taken_back and judged.until == ended:
                if not self._restated(version_id, judged, ended):
                    yield judged, ended, False
            elif left == ended and not self._goes_on(host_id, version_id, judged, ended):
                yield judged, ended, True

    def _restated(self, version_id: int, judged: _Fixable, at: datetime) -> bool:
        """Return whether the same advisory still means ``version_id`` at ``at``."""
        return any(
            other.advisory_id == judged.advisory_id and other.holds(at)
            for other in self._judged[version_id]
        )

    def _goes_on(self, host_id: int, version_id: int, judged: _Fixable, at: datetime) -> bool:
        """Return whether the version that replaced this one at ``at`` is affected as well."""
        return any(
            self._slots.get(successor) == self._slots[version_id]
            and self._restated(successor, judged, at)
            for successor in self._opened.get((host_id, at), ())
            if successor in self._judged
        )


def _overlapping(session: Session, after: datetime, at: datetime) -> Iterable[Any]:
    judgement, until = models.Judgement, aliased(models.FeedRevision)
    return session.execute(
        select(
            judgement.package_version_id,
            judgement.advisory_id,
            judgement.severity,
            judgement.class_id,
            judgement.first_seen,
            judgement.published,
            judgement.since,
            judgement.until,
            func.coalesce(until.made_at <= judgement.until, False),
        )
        .join(models.Fix, models.Fix.id == judgement.fix_id)
        .outerjoin(until, until.id == models.Fix.until_revision_id)
        .where(
            judgement.status == Status.AFFECTED,
            judgement.since <= at,
            or_(judgement.until.is_(None), judgement.until > after),
        )
        .order_by(judgement.id)
    )


def _opened(
    session: Session, after: datetime, at: datetime
) -> dict[tuple[int, datetime], list[int]]:
    """Return the versions that hosts became exposed through at instants when other ones ended."""
    exposure = models.Exposure
    ended = select(exposure.until).where(exposure.until > after, exposure.until <= at).distinct()
    found: dict[tuple[int, datetime], list[int]] = defaultdict(list)
    for host_id, since, version_id in session.execute(
        select(exposure.host_id, exposure.since, exposure.package_version_id).where(
            exposure.since.in_(ended)
        )
    ):
        found[host_id, since].append(version_id)
    return found


def _slots(session: Session, numbers: Iterable[int]) -> dict[int, Slot]:
    version, wanted = models.PackageVersion, set(numbers)
    rows = session.execute(select(version.id, version.manager, version.name, version.arch))
    return {
        number: (manager, name, arch) for number, manager, name, arch in rows if number in wanted
    }
