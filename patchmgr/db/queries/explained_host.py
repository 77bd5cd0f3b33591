"""What a package on a host is explained by: the host as it was at an instant, and its packages."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from patchmgr.db import models, package_sets
from patchmgr.db.queries import own_offers
from patchmgr.db.queries.covering import Heeded
from patchmgr.db.queries.finding_due import Dating
from patchmgr.db.queries.instants import held
from patchmgr.db.queries.modules import catalogues
from patchmgr.db.queries.own_offers import OwnOffers
from patchmgr.domain.facts import Offered
from patchmgr.domain.kernels import Kernel, idle, kernel_of
from patchmgr.domain.matching import platforms_of
from patchmgr.domain.modules import Catalogue, is_modular
from patchmgr.domain.offers import Offers
from patchmgr.errors import NotFoundError

host, version = models.Host, models.PackageVersion


@dataclass(frozen=True, slots=True)
class At:
    """A host at an instant, and what its packages are explained by."""

    session: Session
    on: models.Host
    at: datetime
    dating: Dating
    heed: Heeded
    known: Offers
    modules: Mapping[str, Catalogue]
    offered: Offered | None  # by the host's own repositories; None: not reported
    idle: Mapping[int, str]  # package versions that do not count on this host, and why


def host_then(
    session: Session, name: str, at: datetime
) -> tuple[models.Host, frozenset[int], OwnOffers | None]:
    """Return the host ``name``, the ids of the package versions that it had at ``at``, and offers.

    What its repositories offered before what they do now is not remembered.
    """
    history, package_set, base = models.HostPackageSet, models.PackageSet, package_sets.base
    # As one value, for PostgreSQL does not know how few hosts have one lower-case name.
    named = select(host.id).where(func.lower(host.hostname) == name.lower()).limit(1)
    found = session.execute(
        select(host, *own_offers.COLUMNS, *package_sets.WHOLE)
        .outerjoin(models.OfferSet, models.OfferSet.id == host.offer_set_id)
        .outerjoin(history, and_(history.host_id == host.id, held(history, at)))
        .outerjoin(package_set, package_set.id == history.package_set_id)
        .outerjoin(base, base.id == package_set.base_id)
        .where(host.id == named.scalar_subquery())
        .order_by(history.since.desc())
        .limit(1)
    ).first()
    if found is None:
        raise NotFoundError("host", name)
    row, *own, more, lacks, of_base = found
    is_known = row.facts_at is not None and row.facts_at <= at
    offered = own_offers.own(own) if is_known else None
    return row, frozenset(package_sets.whole(more, lacks, of_base).tolist()), offered


def installed_versions(
    session: Session, here: frozenset[int], package: str
) -> list[models.PackageVersion]:
    """Return those of the versions ``here`` that are called ``package``, else built from it."""
    if not here:
        return []
    candidates = session.scalars(
        select(version)
        .where(or_(version.name == package, version.judged_source == package))
        .order_by(version.name, version.arch, version.id)
    ).all()
    inside = [each for each in candidates if each.id in here]
    return [each for each in inside if each.name == package] or inside


def own_offered(
    session: Session, own: OwnOffers | None, versions: Sequence[models.PackageVersion]
) -> Offered | None:
    """Return what the host's repositories offer over ``versions``; None: not reported of any."""
    if own is None or not any(own.covered.covers(each.manager, each.name) for each in versions):
        return None
    found = own_offers.candidates(session, own, {each.name for each in versions})
    return replace(own.covered, candidates=frozenset(found))


def known_modules(
    session: Session, versions: Iterable[models.PackageVersion], at: datetime
) -> Mapping[str, Catalogue]:
    """Return what there is to know of module streams, where a build of one asks for it."""
    platforms = {
        name
        for each in versions
        if each.manager == "rpm" and is_modular(each.version)
        for name in platforms_of(each.platform, each.manager)
    }
    return catalogues(session, platforms, at) if platforms else {}


def idle_kernels(
    session: Session,
    on: models.Host,
    members: frozenset[int],
    versions: Sequence[models.PackageVersion],
    at: datetime,
) -> dict[int, str]:
    """Return which of ``versions`` are kernels that neither run nor boot next, and why that is so.

    By the kernel that runs now: what ran at another instant is not remembered.
    """
    asked = {each.id for each in versions if _kernel(each) is not None}
    if not asked or not on.running_kernel:
        return {}
    likely = or_(version.name.like("linux-%"), version.name.like("kernel%"))
    kernels = {
        each.id: kernel
        for each in session.scalars(select(version).where(likely))
        if each.id in members and (kernel := _kernel(each)) is not None
    }
    why = f"installed, neither running ({on.running_kernel} is) nor next to boot"
    if on.reported_at is not None and at < on.reported_at:
        why += "; that goes by the kernel that runs today, for earlier ones are not remembered"
    return dict.fromkeys(asked & idle(on.running_kernel, kernels), why)


def _kernel(row: models.PackageVersion) -> Kernel | None:
    return kernel_of(row.manager, row.name, row.version, row.arch)
