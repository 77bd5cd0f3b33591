"""What stored statements tell of module streams, per platform."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, aliased

from patchmgr.db import models
from patchmgr.domain.modules import Catalogue, Modular

fix, revision = models.Fix, models.FeedRevision


def catalogues(
    session: Session, platforms: Collection[str], at: datetime | None = None
) -> Mapping[str, Catalogue]:
    """Return the catalogue of each of ``platforms`` that has modules, now or as of ``at``."""
    query = select(fix.platform, fix.package, fix.fixed, fix.module).where(
        fix.module != "", fix.platform.in_(sorted(platforms))
    )
    if at is None:
        query = query.where(fix.until_revision_id.is_(None))
    else:
        began, ended = aliased(revision), aliased(revision)
        query = (
            query.join(began, began.id == fix.since_revision_id)
            .outerjoin(ended, ended.id == fix.until_revision_id)
            .where(began.made_at <= at, or_(ended.id.is_(None), ended.made_at > at))
        )
    said: dict[str, set[Modular]] = defaultdict(set)
    for platform, package, fixed, module in session.execute(query.distinct()):
        said[platform].add((package, fixed, module))
    return {platform: Catalogue.of(statements) for platform, statements in said.items()}
