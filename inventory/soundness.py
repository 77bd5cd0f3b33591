"""Whether stored packages are what they are named by: read by ``patchmgr db check``."""

import hashlib
from collections.abc import Iterator
from itertools import islice

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from inventory import sets
from patchmgr.db import models, package_sets
from patchmgr.db.bulk import chunks

BLOCK = 2_000  # sets looked at together, which bounds the memory of a large fleet
SHOWN = 5  # of each kind
REMEDY = "restore a backup"
_WIDTH = hashlib.sha256().digest_size


def wrong(session: Session) -> list[str]:
    """Return the versions and sets that are not what they are named by: a few of each kind."""
    digests, odd = _versions(session)
    return odd[:SHOWN] + list(islice(_sets(session, digests), SHOWN))


def _versions(session: Session) -> tuple[sets.Digests, list[str]]:
    """Return the stored digest of every version by its id, and what of them is wrong."""
    found, odd = {}, []
    for row in session.scalars(select(models.PackageVersion).order_by(models.PackageVersion.id)):
        found[row.id] = row.digest
        if sets.digest(row.platform, sets.package(row)) != row.digest:
            odd.append(f"package version {row.id} ({row.name}) is not what it was; {REMEDY}")
    digests = np.zeros((max(found, default=0) + 1, _WIDTH), np.uint8)
    for number, digest in found.items():
        digests[number] = np.frombuffer(digest[:_WIDTH].ljust(_WIDTH, b"\0"), np.uint8)
    return digests, odd


def _sets(session: Session, digests: sets.Digests) -> Iterator[str]:
    """Yield the sets whose members are not those that they are named by."""
    rank = np.empty(len(digests), np.intp)  # of a version, among all by digest
    rank[np.lexsort(digests.T[::-1])] = np.arange(len(digests))
    row = models.PackageSet
    for part in chunks(session.execute(select(row.id, row.digest, row.size)).all(), BLOCK):
        members = package_sets.members(session, [number for number, _, _ in part])
        for number, digest, size in part:
            ids = members[number]
            is_known = len(ids) == size and (not size or int(ids.max()) < len(digests))
            if not is_known or _name(digests, ids[np.argsort(rank[ids])]) != digest:
                yield f"package set {number} has other members than it is named by; {REMEDY}"


def _name(digests: sets.Digests, ordered: package_sets.Ids) -> bytes:
    return hashlib.sha256(digests[ordered].tobytes()).digest()
