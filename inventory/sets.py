"""Storing package sets: each distinct version once, each distinct set once (ADR 0003).

A version's digest is SHA-256 over its identifying columns, a set's over its members' digests in
their order; so equal content has one name in every database. How a set's members are kept is
`patchmgr.db.package_sets`'.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.bulk import by_digest, chunks, in_lists, insert_new
from patchmgr.db.package_sets import Bases, Form, Ids, Near
from patchmgr.domain.packages import Package, Platform
from patchmgr.domain.signed import judged_source

Digests = npt.NDArray[np.uint8]  # one row of 32 bytes a package

Positions = npt.NDArray[np.intp]  # among packages that were given together

TOGETHER = 5_000  # sets stored together, which bounds the memory of a large fleet
LOOKED_UP = 2_000  # digests up to which asking for each beats reading a platform's all
_FIELDS = attrgetter(*(each.name for each in fields(Package)))
_SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class Encoded:
    """Packages of one platform as the database knows them, in the order they were given."""

    ids: Ids
    digests: Digests


def encode(session: Session, platform: Platform, packages: Sequence[Package]) -> Encoded:
    """Return ids and digests of ``packages``, storing those never seen on ``platform``."""
    digests = [digest(platform, package) for package in packages]
    known = _known_versions(session, platform, digests)
    missing = {
        digest: package
        for digest, package in zip(digests, packages, strict=True)
        if digest not in known
    }
    if missing:
        # In one order, whoever stores them: two at once cannot wait in a ring for each other.
        in_order = sorted(missing.items(), key=lambda each: _FIELDS(each[1]))
        rows = [_row(platform, package, digest) for digest, package in in_order]
        insert_new(session, models.PackageVersion, rows)
        known |= _known_versions(session, platform, list(missing))
    return Encoded(
        np.fromiter((known[digest] for digest in digests), np.uint32, len(digests)),
        np.frombuffer(b"".join(digests), np.uint8).reshape(-1, hashlib.sha256().digest_size),
    )


def store(
    session: Session,
    encoded: Encoded,
    members: Iterable[Positions],
    now: datetime,
    *,
    near: Near | None = None,
) -> list[int]:
    """Return the id of each set, storing the new ones.

    Each of ``members`` holds positions in ``encoded``, in any order and with repeats; some are
    taken at a time, so that those of a whole fleet never stand in memory. A set that is ``near`` to
    a known one is stored without a look at all the others.
    """
    place = np.empty(len(encoded.ids), np.intp)
    place[np.lexsort(encoded.digests.T[::-1])] = np.arange(len(encoded.ids))
    bases: Bases | None = None
    found: list[int] = []
    for some in chunks(members, TOGETHER):
        by_digest: dict[bytes, Positions] = {}
        names = []
        for positions in some:
            distinct = without_repeats(positions)
            ordered = distinct[np.argsort(place[distinct])]
            name = hashlib.sha256(encoded.digests[ordered].tobytes()).digest()
            by_digest[name] = distinct
            names.append(name)
        known = _known_sets(session, list(by_digest))
        new = {name: encoded.ids[each] for name, each in by_digest.items() if name not in known}
        if left := _but_near(session, new, near, now):
            bases = bases or Bases(session)
            _store_new(session, left, bases, now)
        if new:
            known |= _known_sets(session, list(new))
        found += [known[name] for name in names]
    return found


def _but_near(
    session: Session, new: Mapping[bytes, Ids], near: Near | None, now: datetime
) -> dict[bytes, Ids]:
    """Store the sets that are ``near``, and return the others."""
    forms = {} if near is None else {name: near.form(ids) for name, ids in new.items()}
    rows = [
        _set_row(name, form, form.base, len(new[name]), now) for name, form in forms.items() if form
    ]
    insert_new(session, models.PackageSet, rows)
    return {name: ids for name, ids in new.items() if not forms.get(name)}


def _store_new(session: Session, new: Mapping[bytes, Ids], bases: Bases, now: datetime) -> None:
    """Store sets by name, each whole or by what it differs in from one that is like it."""
    forms = {name: bases.form(ids) for name, ids in new.items()}
    whole = [name for name, form in forms.items() if form.base is None]
    differing = [name for name, form in forms.items() if form.base is not None]
    for names in (whole, differing):
        rows = [
            _set_row(
                name,
                forms[name],
                None if (base := forms[name].base) is None else bases.ids[base],
                len(new[name]),
                now,
            )
            for name in names
        ]
        insert_new(session, models.PackageSet, rows)
        if names is whole:
            known = _known_sets(session, whole)
            bases.stored([known[name] for name in whole])


def _set_row(
    name: bytes, form: Form, base_id: int | None, size: int, now: datetime
) -> dict[str, Any]:
    return {
        "digest": name,
        "members": form.members,
        "base_id": base_id,
        "lacks": form.lacks,
        "sketch": form.sketch,
        "size": size,
        "created_at": now,
    }


def packages_of(session: Session, members: Ids) -> list[models.PackageVersion]:
    """Return the versions of a set, in the order of its members."""
    found: dict[int, models.PackageVersion] = {}
    for part in in_lists(members.tolist()):
        rows = session.scalars(
            select(models.PackageVersion).where(models.PackageVersion.id.in_(part))
        )
        found.update((row.id, row) for row in rows)
    return [found[member] for member in members.tolist()]


def without_repeats(positions: Positions) -> Positions:
    """Return ``positions`` sorted, each once. Quicker than `numpy.unique` for a host's few."""
    ordered = np.sort(positions)
    if len(ordered) < 2:  # nothing to compare
        return ordered
    first: npt.NDArray[np.bool_] = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    return ordered[first]


def package(row: models.PackageVersion) -> Package:
    """Return a stored version as a value."""
    return Package(
        row.manager,
        row.name,
        row.version,
        row.arch,
        row.source,
        row.source_version,
        row.module,
        row.origin,
    )


@lru_cache(maxsize=1 << 16)  # hosts of a fleet have most of their packages in common
def digest(platform: Platform, package: Package) -> bytes:
    """Return what names a package of a platform."""
    fields = (
        platform,
        package.manager,
        package.name,
        package.version,
        package.arch,
        package.source,
        package.source_version,
        *((package.module, package.origin) if package.module or package.origin else ()),
    )
    return hashlib.sha256(_SEPARATOR.join(fields).encode()).digest()


def _row(platform: Platform, package: Package, digest: bytes) -> dict[str, Any]:
    source, version = judged_source(
        package.manager,
        platform,
        package.name,
        package.version,
        package.source,
        package.source_version,
    )
    return {
        "platform": platform,
        "manager": package.manager,
        "name": package.name,
        "version": package.version,
        "arch": package.arch,
        "module": package.module,
        "origin": package.origin,
        "source": package.source,
        "source_version": package.source_version,
        "judged_source": source,
        "judged_version": version,
        "digest": digest,
    }


def _known_versions(
    session: Session, platform: Platform, digests: Sequence[bytes]
) -> dict[bytes, int]:
    version = models.PackageVersion
    if len(digests) <= LOOKED_UP:
        return by_digest(session, version, digests)
    query = select(version.digest, version.id).where(version.platform == platform)
    return {bytes(digest): number for digest, number in session.execute(query)}


def _known_sets(session: Session, digests: Sequence[bytes]) -> dict[bytes, int]:
    return by_digest(session, models.PackageSet, digests)
