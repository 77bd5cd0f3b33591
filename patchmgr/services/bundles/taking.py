"""Take a bundle: verify it, compare it with what is here, and apply all of it or nothing."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from patchmgr.config import Settings
from patchmgr.db import models
from patchmgr.db.session import Database
from patchmgr.domain.advisories import Advisory
from patchmgr.domain.flaws import FlawNote
from patchmgr.domain.lifecycle import Support
from patchmgr.domain.offers import Offer
from patchmgr.errors import ConflictError, InputError
from patchmgr.feeds import FEEDS
from patchmgr.feeds.bundle.lines import KINDS, Value
from patchmgr.feeds.bundle.manifest import Manifest, Part
from patchmgr.feeds.bundle.reading import Bundle
from patchmgr.feeds.crawl import Document, Harvest
from patchmgr.services import audit, feed_store
from patchmgr.services.bundles import trust
from patchmgr.services.feeds import ensure_feeds

AHEAD = timedelta(minutes=5)  # that the other machine's clock may be before ours
TOLD = 1_000  # values between two words about how far it is


@dataclass(frozen=True, slots=True)
class FeedChange:
    """What a bundle changes of a feed, or would."""

    feed: str
    was_as_of: datetime | None  # last good sync of what is here; None: none
    as_of: datetime  # of what the bundle brings
    new: int
    changed: int
    withdrawn: int
    unchanged: int
    counts: dict[str, int]  # values by kind


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a bundle."""

    manifest: Manifest
    fingerprint: str
    applied: bool
    feeds: tuple[FeedChange, ...]


@dataclass(frozen=True, slots=True)
class _Opened:
    """A bundle that is whole and trusted, and what is wanted of it."""

    bundle: Bundle
    manifest: Manifest
    fingerprint: str
    parts: tuple[Part, ...]


def take(
    db: Database,
    path: Path,
    *,
    settings: Settings,
    now: datetime,
    actor: str,
    key: str | None = None,
    trusting: str | None = None,
    names: Collection[str] = (),
    dry_run: bool = False,
    progress: Callable[[str], None] = lambda _stage: None,
) -> Taken:
    """Bring in the bundle at ``path``: all its feeds, or ``names``, in one transaction.

    ``key`` must have signed it, this time; ``trusting`` as well, and is remembered. Without either
    the key must be one that is. Raises `InputError` for what is damaged or no bundle,
    `ConflictError` for a key that is not trusted and for what is older than what is here.
    """
    try:
        with path.open("rb") as file:
            bundle = Bundle(file, str(path))
            fingerprint = trust.signed_by(bundle)
            for wanted in (key, trusting):
                if wanted is not None:
                    trust.require(bundle, fingerprint, key=wanted, home=settings.home)
            if key is None and trusting is None:
                trust.require(bundle, fingerprint, key=None, home=settings.home)
            progress("verifying")
            manifest = bundle.checked()
            opened = _Opened(bundle, manifest, fingerprint, _wanted(bundle, manifest, names))
            _require_past(opened, now)
            ensure_feeds(db)
            if dry_run:
                return Taken(manifest, fingerprint, False, _compared(db, opened, progress))
            if trusting is not None:
                trust.remember(db, fingerprint, home=settings.home, actor=actor, now=now)
            changes = _applied(db, opened, now=now, actor=actor, progress=progress)
            return Taken(manifest, fingerprint, True, changes)
    except OSError as error:
        raise InputError({"BUNDLE": f"{path}: {error.strerror}"}) from error


def _wanted(bundle: Bundle, manifest: Manifest, names: Collection[str]) -> tuple[Part, ...]:
    held = {part.name: part for part in manifest.feeds}
    if missing := sorted(set(names) - held.keys()):
        has = ", ".join(held) or "nothing"
        raise InputError({bundle.where: f"has no feed {missing[0]!r}; it has {has}"})
    parts = tuple(part for part in manifest.feeds if not names or part.name in names)
    for part in parts:
        if part.name not in FEEDS:
            raise InputError(
                {
                    bundle.where: f"has a feed {part.name!r} that this patchmgr does not know; "
                    "upgrade it, or name the others with --feed"
                }
            )
    return parts


def _require_past(opened: _Opened, now: datetime) -> None:
    """Raise `ConflictError` for a date to come: the feed would count as fresh for too long."""
    dates = [("the bundle was made", opened.manifest.made_at)]
    dates += [(f"its feed {part.name} is as of", part.as_of) for part in opened.parts]
    for what, at in dates:
        if at > now + AHEAD:
            raise ConflictError(
                f"{opened.bundle.where}: {what} {iso(at)}, but it is {iso(now)} here; "
                "one of the two machines has a wrong clock"
            )


def _compared(
    db: Database, opened: _Opened, progress: Callable[[str], None]
) -> tuple[FeedChange, ...]:
    with db.reading(snapshot=True) as session:
        before = _require_newer(session, opened)
        return tuple(
            _change(
                part,
                before[part.name],
                feed_store.difference(session, part.name, _harvest(opened, part, progress)),
            )
            for part in opened.parts
        )


def _applied(
    db: Database, opened: _Opened, *, now: datetime, actor: str, progress: Callable[[str], None]
) -> tuple[FeedChange, ...]:
    manifest, changes = opened.manifest, []
    with db.writing(alone=True) as session:
        session.scalars(select(models.Feed).order_by(models.Feed.id).with_for_update()).all()
        before = _require_newer(session, opened)
        for part in opened.parts:
            left_out = {
                "skipped": part.skipped,
                "set_aside": part.set_aside,
                "set_aside_examples": list(part.set_aside_examples),
            }
            result = feed_store.store(
                session,
                part.name,
                _harvest(opened, part, progress),
                now=now,
                actor=actor,
                carried=feed_store.Carried(part.as_of, manifest.made_at, left_out),
            )
            changes.append(_change(part, before[part.name], result.counts))
        audit.record(
            session,
            at=now,
            actor=actor,
            action="feeds.import",
            subject=Path(opened.bundle.where).name,
            details={
                "fingerprint": opened.fingerprint,
                "made_at": iso(manifest.made_at),
                "feeds": {
                    each.feed: {
                        "as_of": iso(each.as_of),
                        "new": each.new,
                        "changed": each.changed,
                        "withdrawn": each.withdrawn,
                    }
                    for each in changes
                },
            },
        )
    return tuple(changes)


def _require_newer(session: Session, opened: _Opened) -> dict[str, datetime | None]:
    """Return as of when each feed is here. Raises `ConflictError` if that is after the bundle's."""
    feed, older = models.Feed, []
    made_at = opened.manifest.made_at
    rows = {row.name: row for row in session.scalars(select(feed))}
    for part in opened.parts:
        row = rows[part.name]
        if row.succeeded_at is not None and part.as_of < row.succeeded_at:
            what = f"is as of {iso(part.as_of)}, what is here as of {iso(row.succeeded_at)}"
        elif row.bundled_at is not None and made_at < row.bundled_at:
            what = f"left on {iso(made_at)}, what is here came in a bundle of {iso(row.bundled_at)}"
        else:
            continue
        older.append(f"{opened.bundle.where}: older than what is here: feed {part.name} {what}")
    if older:
        remedy = (
            "nothing was changed: bring a newer bundle, or name with --feed which feeds to take"
        )
        raise ConflictError("\n".join([*older, remedy]))
    return {name: row.succeeded_at for name, row in rows.items()}


def _harvest(opened: _Opened, part: Part, progress: Callable[[str], None]) -> Harvest:
    by_kind: dict[type, list[Any]] = {kind: [] for kind in KINDS}
    for value in _told(opened.bundle.values(part), part, progress):
        by_kind[type(value)].append(value)
    progress(f"storing {part.name}")
    source = f"bundle of {iso(opened.manifest.made_at)} by {opened.fingerprint}, from {part.source}"
    return Harvest(
        tuple(by_kind[Advisory]),
        {source: Document(b"")},
        (),
        {},
        notes=tuple(by_kind[FlawNote]),
        offers=tuple(by_kind[Offer]),
        support=tuple(by_kind[Support]),
    )


def _told(values: Iterable[Value], part: Part, progress: Callable[[str], None]) -> Iterator[Value]:
    total = sum(part.counts.values())
    for number, value in enumerate(values):
        if number % TOLD == 0:
            progress(f"{part.name}: {number} of {total} read")
        yield value


def _change(part: Part, was: datetime | None, counts: Mapping[str, int]) -> FeedChange:
    return FeedChange(
        feed=part.name,
        was_as_of=was,
        as_of=part.as_of,
        counts=dict(part.counts),
        **{word: counts.get(word, 0) for word in ("new", "changed", "withdrawn", "unchanged")},
    )


def iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
