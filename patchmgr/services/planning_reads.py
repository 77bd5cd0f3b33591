"""What planning reads: the open findings that are asked for, the hosts that have them."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.bulk import in_lists
from patchmgr.db.queries import covering, flaws, offers
from patchmgr.domain.advisories import Fix, Kind, Match, Severity, Status
from patchmgr.domain.criteria import Facts
from patchmgr.domain.flaws import NOTHING_KNOWN
from patchmgr.domain.matching import NAMES, Subject
from patchmgr.domain.offers import Offers, Supply, shared_out
from patchmgr.domain.packages import channels, release_of
from patchmgr.domain.plans import Finding, Selection, Statement
from patchmgr.domain.proposing import EXCEPTED
from patchmgr.errors import NotFoundError
from patchmgr.services import selecting
from patchmgr.services.own_offers import OwnOffers
from patchmgr.services.selecting import Said


def check(session: Session, selection: Selection) -> None:
    version, advisory = models.PackageVersion, models.Advisory
    for ref in selection.advisories:
        if session.scalar(select(advisory.id).where(advisory.ref == ref).limit(1)) is None:
            raise NotFoundError("advisory", ref)
    for cve in selection.cves:
        named = or_(advisory.ref == cve, (" " + advisory.cves + " ").contains(f" {cve} "))
        if session.scalar(select(advisory.id).where(named).limit(1)) is None:
            raise NotFoundError("CVE", cve)
    for name in selection.packages:
        named = or_(version.name == name, version.judged_source == name)
        if session.scalar(select(version.id).where(named).limit(1)) is None:
            raise NotFoundError("package", name)


def statements(
    session: Session, selection: Selection, now: datetime
) -> tuple[list[Statement], dict[tuple[int, str], Said]]:
    """Return the open statements about every source that the selection touches."""
    version, judgement = models.PackageVersion, models.Judgement
    advisory, fix = models.Advisory, models.Fix
    query = (
        select(
            version.id,
            version.platform,
            version.manager,
            version.name,
            version.arch,
            version.version,
            version.judged_source,
            version.judged_version,
            judgement.status,
            fix.fixed,
            fix.match,
            advisory.ref,
            judgement.severity,
            advisory.cves,
            judgement.published,
            judgement.first_seen,
            fix.channel,
            judgement.class_id,
            fix.package,
            version.module,
            version.origin,
            advisory.kind,
        )
        .select_from(judgement)
        .join(version, version.id == judgement.package_version_id)
        .join(advisory, advisory.id == judgement.advisory_id)
        .join(fix, fix.id == judgement.fix_id)
        .where(judgement.until.is_(None))
        .order_by(version.id, advisory.ref)
    )
    found: list[Statement] = []
    said: dict[tuple[int, str], Said] = {}
    dangers = flaws.classes(session)
    rows: Sequence[Any] = session.execute(query).all()
    known = offers.of_packages(session, {row[1] for row in rows}, {row[3] for row in rows})
    judge = selecting.judge(session, selection, (row[13] for row in rows), now)
    for row in rows:
        number, platform, manager, name, arch, installed, source, source_version = row[:8]
        status, fixed, match, ref, rated, cves, published, first_seen, channel, kind = row[8:18]
        severity = Severity(rated)
        selected = selection.covers(ref, cves.split(), (name, source), severity)
        if selected and judge is not None:
            facts = Facts(
                severity, Kind(row[21]), (name, source), published, first_seen, NOTHING_KNOWN
            )
            selected = judge.admits((number, ref), facts, cves.split())
        supply = _supply(row, known)
        found.append(
            Statement(
                number,
                release_of(platform),
                manager,
                name,
                arch,
                installed,
                source,
                source_version,
                Status(status),
                fixed,
                Match(match),
                ref,
                severity,
                selected,
                needs="" if channel in channels(platform) else NAMES.get(channel, ""),
                # A repository that is not known may have anything.
                is_offered=supply is None or bool(supply.suites),
                phased=(
                    shared_out(name, supply.version, supply.phased)
                    if supply and not supply.is_for_all
                    else ""
                ),
            )
        )
        said[number, ref] = Said(published, first_seen, dangers.get(kind, NOTHING_KNOWN))
    found = selecting.only_due(session, judge, found, said)
    concerned = {(one.platform, one.source) for one in found if one.selected}
    return [one for one in found if (one.platform, one.source) in concerned], said


def _supply(row: Any, known: Offers) -> Supply | None:
    """Return whether known repositories have the fix of a statement; None: that cannot be told."""
    _, platform, manager, name, arch, installed, source, source_version = row[:8]
    status, fixed, match, *_, channel, _, package, module, origin = row[8:21]
    if status != Status.AFFECTED:
        return None
    subject = Subject(
        platform, manager, name, installed, source, source_version, arch, module, origin
    )
    fix = Fix(platform, package, Match(match), Status.AFFECTED, fixed, channel=channel)
    return known.supply(subject, fix)


def hosts(session: Session, names: Collection[str]) -> dict[int, models.Host]:
    query = select(models.Host).where(models.Host.retired_at.is_(None))
    hosts = {row.id: row for row in session.scalars(query)}
    if not names:
        return hosts
    by_name = {row.hostname.lower(): row for row in hosts.values()}
    for name in names:
        if name.lower() not in by_name:
            raise NotFoundError("host", name)
    return {by_name[name.lower()].id: by_name[name.lower()] for name in names}


def names(session: Session, asked: Collection[str]) -> set[str]:
    """Return which of the names ``asked``, in lower case, are those of hosts of the fleet."""
    name = func.lower(models.Host.hostname)
    return {
        found
        for part in in_lists(sorted(asked))
        for found in session.scalars(
            select(name).where(models.Host.retired_at.is_(None), name.in_(part))
        )
    }


def exposed(
    session: Session, versions: Collection[int], hosts: Collection[int]
) -> tuple[dict[int, list[int]], OwnOffers]:
    """Return which of ``versions`` each host has, and what its repositories have over them."""
    exposure = models.Exposure
    found: dict[int, list[int]] = defaultdict(list)
    offered: dict[int, dict[int, int]] = defaultdict(dict)
    for part in in_lists(sorted(versions)):
        for host, number, candidate in session.execute(
            select(exposure.host_id, exposure.package_version_id, exposure.candidate_id).where(
                exposure.until.is_(None), exposure.package_version_id.in_(part)
            )
        ):
            if host in hosts:
                found[host].append(number)
                if candidate is not None:
                    offered[host][number] = candidate
    return found, offered


def excepted(
    session: Session, versions: Collection[int], now: datetime
) -> dict[int, dict[Finding, str]]:
    """Return what exceptions cover on each host, and by which one."""
    found: dict[int, dict[Finding, str]] = defaultdict(dict)
    for one in covering.covered_findings(session, versions, now):
        found[one.host_id][one.package_version_id, one.advisory] = EXCEPTED.format(one.label)
    return found
