"""What a feed says, as stored: the difference to what it says now, and writing that difference.

A statement is never changed: the old one ends with the revision that brought the new one, so that
last quarter's verdict can still be explained.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session

from patchmgr.db import bulk, models
from patchmgr.db.base import to_micros
from patchmgr.db.queries import feed_contents
from patchmgr.domain.advisories import Advisory, Fix
from patchmgr.domain.versions import SCHEMES
from patchmgr.errors import VersionError
from patchmgr.feeds.crawl import Harvest, united

CHUNK = 500  # values in one IN (...)
_ADVISORY = (
    "title",
    "severity",
    "published",
    "url",
    "cves",
    "kind",
    "aliases",
    "content",
    "changed_at",
    "withdrawn_at",
)
_FIX = (
    "advisory_id",
    "platform",
    "package",
    "match",
    "scheme",
    "status",
    "introduced",
    "fixed",
    "severity",
    "reason",
    "last_affected",
    "arch",
    "module",
    "channel",
    "after",
    "fixed_key",
    "since_revision_id",
)
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Difference:
    """What has to be written so that the stored feed says what the vendor says now."""

    new: list[Advisory]
    changed: list[Advisory]
    withdrawn: list[int]  # ids
    ids: dict[str, int]  # of what is stored, by ref
    kept: list[int]  # ids of advisories that an odd record speaks of: they stay as they are
    contents: dict[str, bytes]  # digest of each advisory that stands after this, by ref
    before: int  # how many stand before

    def __bool__(self) -> bool:
        return bool(self.new or self.changed or self.withdrawn)

    @property
    def digest(self) -> str:
        """Return the SHA-256, hex, of what the feed says after this."""
        return digest_of_all(self.contents)

    @property
    def counts(self) -> dict[str, int]:
        """Return what the revision counts of the feed, but for its statements."""
        total = len(self.contents)
        changed = len(self.new) + len(self.changed)
        return {
            "advisories": total,
            "new": len(self.new),
            "changed": len(self.changed),
            "withdrawn": len(self.withdrawn),
            "unchanged": total - changed,
        }


def content_digest(advisory: Advisory) -> bytes:
    """Return the SHA-256 of what ``advisory`` says, whatever the order of its fixes."""
    digest = hashlib.sha256(
        _encode(
            (
                advisory.ref,
                advisory.cves,
                advisory.title,
                advisory.severity,
                advisory.published,
                advisory.url,
                advisory.kind,
                advisory.aliases,
            )
        )
    )
    for fix in sorted({_encode(fix) for fix in advisory.fixes}):
        digest.update(fix)
    return digest.digest()


def digest_of_all(contents: Mapping[str, bytes]) -> str:
    """Return the SHA-256, hex, of a feed whose advisories have ``contents`` by ref."""
    digest = hashlib.sha256()
    for ref in sorted(contents):
        digest.update(_encode(ref) + contents[ref])
    return digest.hexdigest()


def completed(session: Session, feed_id: int, harvest: Harvest) -> Harvest:
    """Return ``harvest`` with what is stored of the advisories that it tells only in part.

    The documents that told the rest of them have not been read again. Of a package that is told of
    now, what was stored is what this document said before, or another one says as well.
    """
    in_part = harvest.in_part & {each.ref for each in harvest.advisories} if harvest.stands else ()
    if not in_part:
        return harvest
    stored = {each.ref: each for each in feed_contents.advisories(session, feed_id, in_part)}
    return replace(
        harvest,
        advisories=tuple(
            united(_untold(stored[each.ref], each), each) if each.ref in stored else each
            for each in harvest.advisories
        ),
    )


def _untold(stored: Advisory, now: Advisory) -> Advisory:
    """Return ``stored`` without what it says of packages that ``now`` speaks of."""
    told = {_place(fix) for fix in now.fixes}
    return replace(stored, fixes=tuple(fix for fix in stored.fixes if _place(fix) not in told))


def _place(fix: Fix) -> tuple[str, ...]:
    return fix.platform, fix.channel, fix.module, fix.match, fix.package


def compare(session: Session, feed_id: int, harvest: Harvest) -> Difference:
    """Return how ``harvest`` differs from what is stored of the feed ``feed_id``."""
    advisory = models.Advisory
    contents = {each.ref: content_digest(each) for each in harvest.advisories}
    stored = {
        ref: (number, content, withdrawn_at is not None)
        for number, ref, content, withdrawn_at in session.execute(
            select(advisory.id, advisory.ref, advisory.content, advisory.withdrawn_at).where(
                advisory.feed_id == feed_id
            )
        )
    }
    standing_still = {ref for ref, (_, _, is_withdrawn) in stored.items() if not is_withdrawn}
    kept = standing_still & {aside.ref for aside in harvest.set_aside}
    untold = standing_still - contents.keys()
    kept |= untold if harvest.is_partial else untold & harvest.stands
    standing = contents | {ref: stored[ref][1] for ref in kept}
    return Difference(
        new=[each for each in harvest.advisories if each.ref not in stored],
        changed=[
            each
            for each in harvest.advisories
            if each.ref in stored
            and each.ref not in kept
            and (stored[each.ref][1] != contents[each.ref] or stored[each.ref][2])
        ],
        withdrawn=[
            number
            for ref, (number, _content, is_withdrawn) in stored.items()
            if not is_withdrawn and ref not in standing
        ],
        ids={ref: number for ref, (number, _content, _withdrawn) in stored.items()},
        kept=[stored[ref][0] for ref in kept],
        contents=standing,
        before=len(standing_still),
    )


def apply(
    session: Session, feed_id: int, revision_id: int, difference: Difference, now: datetime
) -> None:
    """Write ``difference`` as revision ``revision_id``, in the caller's transaction."""
    advisory, fix = models.Advisory, models.Fix
    at = to_micros(now)
    values = {each.ref: _values(each, difference.contents[each.ref], at) for each in difference.new}
    bulk.insert_raw(
        session,
        advisory,
        ("feed_id", "ref", "first_seen", *_ADVISORY),
        ((feed_id, ref, at, *row) for ref, row in values.items()),
    )
    ids = difference.ids
    if difference.new:
        found = session.execute(
            select(advisory.ref, advisory.id).where(advisory.feed_id == feed_id)
        )
        ids = dict(found.all())
    if difference.before:
        _remember_changes(session, revision_id, difference, ids)
    closed, opened = _changed_fixes(session, difference.changed, ids)
    if difference.changed:
        _update_advisories(session, difference, ids, now)
    for part in bulk.chunks(closed, CHUNK):
        session.execute(update(fix).where(fix.id.in_(part)).values(until_revision_id=revision_id))
    for part in bulk.chunks(difference.withdrawn, CHUNK):
        session.execute(update(advisory).where(advisory.id.in_(part)).values(withdrawn_at=now))
        session.execute(
            update(fix)
            .where(fix.advisory_id.in_(part), fix.until_revision_id.is_(None))
            .values(until_revision_id=revision_id),
        )
    opened += [(ids[each.ref], fix) for each in difference.new for fix in dict.fromkeys(each.fixes)]
    keys = _Keys()
    bulk.insert_raw(
        session,
        models.Fix,
        _FIX,
        ((number, *_fix_columns(each), keys.of(each), revision_id) for number, each in opened),
    )


def _remember_changes(
    session: Session, revision_id: int, difference: Difference, ids: Mapping[str, int]
) -> None:
    changes = {
        "new": [ids[each.ref] for each in difference.new],
        "changed": [ids[each.ref] for each in difference.changed],
        "withdrawn": difference.withdrawn,
    }
    bulk.insert_raw(
        session,
        models.AdvisoryChange,
        ("revision_id", "advisory_id", "change"),
        ((revision_id, number, how) for how, numbers in changes.items() for number in numbers),
    )


def _values(each: Advisory, content: bytes, at: int) -> tuple[Any, ...]:
    """Return the columns of `_ADVISORY`, raw."""
    published = None if each.published is None else to_micros(each.published)
    cves = " ".join(each.cves)
    return (
        each.title,
        int(each.severity),
        published,
        each.url,
        cves,
        each.kind.value,
        " ".join(each.aliases),
        content,
        at,
        None,
    )


def _update_advisories(
    session: Session, difference: Difference, ids: Mapping[str, int], now: datetime
) -> None:
    table = models.Advisory.__table__
    session.connection().execute(
        update(table)  # type: ignore[arg-type] # every model is one table
        .where(table.c.id == bindparam("b_id"))
        .values({name: bindparam(f"b_{name}") for name in _ADVISORY}),
        [
            {
                "b_id": ids[each.ref],
                "b_title": each.title,
                "b_severity": int(each.severity),
                "b_published": each.published,
                "b_url": each.url,
                "b_cves": " ".join(each.cves),
                "b_kind": each.kind.value,
                "b_aliases": " ".join(each.aliases),
                "b_content": difference.contents[each.ref],
                "b_changed_at": now,
                "b_withdrawn_at": None,
            }
            for each in difference.changed
        ],
    )


def _changed_fixes(
    session: Session, changed: Sequence[Advisory], ids: Mapping[str, int]
) -> tuple[list[int], list[tuple[int, Fix]]]:
    """Return the ids of statements that no longer hold, and (advisory id, new statement)."""
    fix = models.Fix
    columns = [getattr(fix, name) for name in _FIX[1:15]]
    closed, opened = [], []
    for part in bulk.chunks(changed, CHUNK):
        stored: dict[int, dict[tuple[Any, ...], int]] = {ids[each.ref]: {} for each in part}
        for number, advisory_id, *values in session.execute(
            select(fix.id, fix.advisory_id, *columns).where(
                fix.advisory_id.in_(stored), fix.until_revision_id.is_(None)
            )
        ):
            stored[advisory_id][tuple(values)] = number
        for each in part:
            open_now = stored[ids[each.ref]]
            wanted = {_fix_columns(fix): fix for fix in each.fixes}
            closed += [number for values, number in open_now.items() if values not in wanted]
            opened += [
                (ids[each.ref], fix) for values, fix in wanted.items() if values not in open_now
            ]
    return closed, opened


def _fix_columns(fix: Fix) -> tuple[Any, ...]:
    """Return the columns of `_FIX` that a statement is made of."""
    return (
        fix.platform,
        fix.package,
        fix.match.value,
        fix.scheme,
        fix.status.value,
        fix.introduced,
        fix.fixed,
        int(fix.severity),
        fix.reason,
        fix.last_affected,
        fix.arch,
        fix.module,
        fix.channel,
        fix.after,
    )


class _Keys:
    """Sort keys of fixed versions; the same version fixes many flaws."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], bytes | None] = {}

    def of(self, fix: Fix) -> bytes | None:
        """Return the key of the fixed version; None without one, or with one we cannot read."""
        at = fix.scheme, fix.fixed
        if at not in self._known:
            try:
                self._known[at] = SCHEMES[fix.scheme](fix.fixed) if fix.fixed else None
            except (VersionError, KeyError):
                self._known[at] = None
        return self._known[at]


def statements_by_platform(
    session: Session, harvest: Harvest, kept: Iterable[int]
) -> dict[str, int]:
    """Return how many statements there are about each platform."""
    fix = models.Fix
    found: Counter[str] = Counter()
    stays = set(kept)
    kept_refs = set()
    for part in bulk.chunks(stays, CHUNK):
        kept_refs |= set(
            session.scalars(select(models.Advisory.ref).where(models.Advisory.id.in_(part)))
        )
        for platform, count in session.execute(
            select(fix.platform, func.count())
            .where(fix.advisory_id.in_(part), fix.until_revision_id.is_(None))
            .group_by(fix.platform)
        ):
            found[platform] += count
    for each in harvest.advisories:
        if each.ref not in kept_refs:
            found.update(fix.platform for fix in dict.fromkeys(each.fixes))
    return dict(sorted(found.items()))
