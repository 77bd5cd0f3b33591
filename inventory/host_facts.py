"""Storing what a host says beside its packages, in the caller's transaction.

What many hosts say alike is stored once, under the digest of its content (ADR 0003).
"""

import hashlib
import json
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from inventory import offers
from inventory.sections import Report
from patchmgr.db import models
from patchmgr.db.base import Base
from patchmgr.db.bulk import by_digest, insert_new
from patchmgr.db.package_sets import MEMBER
from patchmgr.domain.facts import Candidate, Offered
from patchmgr.domain.matching import NAMES
from patchmgr.domain.packages import SCHEME_OF_MANAGER, Platform
from patchmgr.domain.versions import SCHEMES
from patchmgr.errors import VersionError

# What Ubuntu Pro entitles to and advisories speak of; other entitlements come from elsewhere.
PRO = frozenset(name for name in NAMES if name.startswith("esm-"))


def entitle(host: models.Host, report: Report) -> None:
    """Let ``host`` be entitled to what its subscription says; without one said, as it was."""
    if report.facts.pro is None:
        return
    on = {name for name, status in report.facts.pro.services.items() if status == "enabled"}
    host.entitlements = sorted((set(host.entitlements) - PRO) | (on & PRO))


def store(session: Session, host: models.Host, report: Report, now: datetime) -> list[str]:
    """Let ``host`` be as ``report`` says; return what changed, in a person's words.

    What the report does not say is not known any more, but for the running kernel and the
    architecture, which an import may have told.
    """
    facts, changed = report.facts, []
    fact_set = _fact_set(session, facts.to_json(), now)
    if host.fact_set_id != fact_set:
        host.fact_set_id = fact_set
        changed.append("facts")
    host.reboot_pending = bool(facts.reboot.pending)
    host.reboot_reported = facts.reboot.pending is not None
    host.facts_at = now
    if not host.arch:
        host.arch = report.machine
    if report.running_kernel and report.running_kernel != host.running_kernel:
        host.running_kernel = report.running_kernel
        host.judged_set_id = None  # which of its kernels count
        changed.append("running kernel")
    said = offers.offered(report.answers, report.listing.packages, Platform(host.platform))
    offer_set = None if said is None else _offer_set(session, said, now)
    if host.offer_set_id != offer_set:
        host.offer_set_id = offer_set
        host.judged_set_id = None  # what of its exposures can be installed
        changed.append("what its repositories offer")
    if changed:
        host.updated_at = now
    return changed


def _fact_set(session: Session, content: dict[str, Any], now: datetime) -> int:
    digest = _digest(content)
    row = {"digest": digest, "content": content, "created_at": now}
    return _ids(session, models.FactSet, {digest: row})[digest]


def _offer_set(session: Session, said: Offered, now: datetime) -> int:
    rows = {row["digest"]: row for row in map(_row, said.candidates)}
    members = np.sort(
        np.fromiter(_ids(session, models.Candidate, rows).values(), MEMBER, len(rows))
    )
    everything, named = sorted(said.everything), sorted(map(list, said.named))
    # By the digests of its candidates, not their ids: so it has one name in every database.
    digest = _digest([everything, named, sorted(each.hex() for each in rows)])
    row = {
        "digest": digest,
        "everything": everything,
        "named": named,
        "members": members.tobytes(),
        "created_at": now,
    }
    return _ids(session, models.OfferSet, {digest: row})[digest]


def _row(candidate: Candidate) -> dict[str, Any]:
    columns = {
        "manager": candidate.manager,
        "name": candidate.name,
        "arch": candidate.arch,
        "version": candidate.version,
        "judged_version": candidate.judged_version,
        "suites": " ".join(candidate.suites),
        "phased": candidate.phased,
        "withheld": candidate.withheld,
        "pin": candidate.pin,
    }
    return {
        "digest": _digest(columns),
        **columns,
        "version_key": _key(candidate.manager, candidate.version),
        "judged_key": _key(candidate.manager, candidate.judged_version),
    }


def _key(manager: str, version: str) -> bytes | None:
    try:
        return SCHEMES[SCHEME_OF_MANAGER[manager]](version) if version else None
    except VersionError:
        return None


def _digest(content: Any) -> bytes:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()


def _ids(
    session: Session, model: type[Base], rows: dict[bytes, dict[str, Any]]
) -> dict[bytes, int]:
    """Return the id of each row by its digest, storing those that are new."""
    known = by_digest(session, model, rows)
    if missing := rows.keys() - known.keys():
        insert_new(session, model, [rows[digest] for digest in sorted(missing)])
        known |= by_digest(session, model, missing)
    return known
