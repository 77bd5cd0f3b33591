"""What repositories offer for what is installed."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session, aliased

from patchmgr.db import models
from patchmgr.db.bulk import among, in_lists
from patchmgr.db.queries.hosts import HostDetail
from patchmgr.domain.matching import Subject
from patchmgr.domain.offers import Offer, Offers, Update, repositories_of

offer, version, revision = models.Offer, models.PackageVersion, models.FeedRevision
_OFFER: tuple[Any, ...] = (
    offer.platform,
    offer.suite,
    offer.manager,
    offer.name,
    offer.version,
    offer.arch,
    offer.source,
    offer.source_version,
    offer.module,
    offer.phased,
)
_SUBJECT: tuple[Any, ...] = (
    version.platform,
    version.manager,
    version.name,
    version.version,
    version.judged_source,
    version.judged_version,
    version.arch,
    version.module,
    version.origin,
)


def of_packages(
    session: Session,
    platforms: Collection[str],
    names: Collection[str],
    at: datetime | None = None,
) -> Offers:
    """Return what is on offer for packages called ``names``, now or as of ``at``."""
    wanted = sorted({each for platform in platforms for each in repositories_of(platform)})
    query = select(*_OFFER).where(offer.platform.in_(wanted))
    if at is None:
        query = query.where(offer.until_revision_id.is_(None))
    else:
        began, ended = aliased(revision), aliased(revision)
        query = (
            query.join(began, began.id == offer.since_revision_id)
            .outerjoin(ended, ended.id == offer.until_revision_id)
            .where(began.made_at <= at, or_(ended.id.is_(None), ended.made_at > at))
        )
    return Offers(
        Offer(*row)
        for part in in_lists(sorted(names))
        for row in session.execute(query.where(offer.name.in_(part)))
    )


def updates(session: Session, host: HostDetail) -> tuple[Update, ...] | None:
    """Return which packages of a host have a newer version on offer, whatever it is good for.

    None when no repository is known that offers any of its packages: nothing can be said then. One
    query.
    """
    on_offer = and_(
        offer.name == version.name,
        offer.manager == version.manager,
        offer.platform.in_(repositories_of(host.line.platform)),
        offer.until_revision_id.is_(None),
    )
    # An outer join begins with the host's packages, whatever a database thinks of the numbers.
    found = session.execute(
        select(*_SUBJECT, *_OFFER)
        .outerjoin(offer, on_offer)
        .where(among(session, version.id, host.installed.tolist()))
    )
    rows = [row for row in found if row[len(_SUBJECT)] is not None]
    if not rows:
        return None
    installed = {Subject(*row[: len(_SUBJECT)]) for row in rows}
    offers = {Offer(*row[len(_SUBJECT) :]) for row in rows}
    return Offers(offers).updates(installed, host.held)
