"""What is known of the flaws of an advisory, as the class that a judgement keeps.

Scores are lowered to the highest threshold that some policy asks for: the presets, and every
policy that was ever in force. So there are few classes, and a score that moves between two
thresholds changes no judgement. A policy that asks for a new threshold comes with a full scan.
"""

from collections.abc import Iterable, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.bulk import in_lists
from patchmgr.db.queries import flaws, policies
from patchmgr.domain.flaws import NOTHING_KNOWN, Danger, danger
from patchmgr.domain.urgency import thresholds
from patchmgr.domain.urgency_presets import PRESETS


class Classes:
    """Gives advisories their class, and stores the classes that are new."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._catalogue = flaws.catalogue(session) is not None
        stored = (each.policy for each in policies.listing(session))
        self._thresholds = thresholds((*PRESETS.values(), *stored))
        self._ids = {value: number for number, value in flaws.classes(session).items()}

    def of(self, advisories: Mapping[int, Iterable[str]]) -> dict[int, int | None]:
        """Return the class of each of ``advisories``, given by id with the CVEs that they name."""
        cves = {number: tuple(names) for number, names in advisories.items()}
        notes = flaws.merged_notes(self._session, {cve for names in cves.values() for cve in names})
        return {
            number: self._class(
                danger(names, notes, catalogue=self._catalogue, thresholds=self._thresholds)
            )
            for number, names in cves.items()
        }

    def _class(self, value: Danger) -> int | None:
        if value == NOTHING_KNOWN:
            return None
        if value not in self._ids:
            row = models.UrgencyClass(**flaws.columns_of(value))
            self._session.add(row)
            self._session.flush()
            self._ids[value] = row.id
        return self._ids[value]


def changed(session: Session, classes: Classes, revision_id: int) -> set[int]:
    """Return the package versions with an open judgement whose class is not what it was.

    Looks only if some note of a CVE is newer than the revision ``revision_id``.
    """
    note, judgement, advisory = models.FlawNote, models.Judgement, models.Advisory
    for column in (note.since_revision_id, note.until_revision_id):
        if session.scalar(select(note.id).where(column > revision_id).limit(1)) is not None:
            break
    else:
        return set()
    rows = session.execute(
        select(judgement.advisory_id, judgement.class_id, advisory.cves)
        .join(advisory, advisory.id == judgement.advisory_id)
        .where(judgement.until.is_(None))
        .distinct()
    ).all()
    now = classes.of({number: cves.split() for number, _, cves in rows})
    other = {number for number, class_id, _ in rows if class_id != now[number]}
    found: set[int] = set()
    for part in in_lists(sorted(other)):
        found |= set(
            session.scalars(
                select(judgement.package_version_id).where(
                    judgement.advisory_id.in_(part), judgement.until.is_(None)
                )
            )
        )
    return found
