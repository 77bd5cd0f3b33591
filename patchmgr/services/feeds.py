"""The feeds there are for this fleet: which it needs, where each is fetched, which are idle.

A feed is idle when no host needs it and no mirror of it is set: there is nothing to fetch, and
nothing is wrong with that. `look` writes it down where it changes, for the pages that show it.
"""

from datetime import datetime
from itertools import chain
from pathlib import Path

from sqlalchemy import exists, literal, select, union_all
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from patchmgr import config
from patchmgr.config import Settings
from patchmgr.db import models
from patchmgr.db.session import Database
from patchmgr.domain.matching import platforms_of
from patchmgr.domain.packages import ECOSYSTEMS
from patchmgr.errors import ConflictError, InputError, NotFoundError
from patchmgr.feeds import FEEDS
from patchmgr.feeds.base import Feed
from patchmgr.feeds.keys import APK_KEY, Keys
from patchmgr.feeds.unpack import MIB
from patchmgr.services import audit, jobs

KEYRING_TYPES = (".asc", ".gpg", ".pgp")
OTHER_KEY_TYPES = (*KEYRING_TYPES, APK_KEY)
# Of a directory that nobody chose, those of distributions; others there are for other archives.
DISTRIBUTIONS = ("debian-archive-", "ubuntu-archive-")
REMOVED = "removed"  # in the names of keyrings of keys that are not to be trusted any more
MOST_KEYS = 64 * MIB  # bytes of all keyrings; those of Debian and Ubuntu together are under one


def named(name: str) -> Feed:
    """Return the feed called ``name``. Raises `InputError` naming those that exist."""
    if name not in FEEDS:
        raise InputError(f"no feed {name!r}; known: {', '.join(sorted(FEEDS))}")
    return FEEDS[name]


def ensure_feeds(db: Database) -> None:
    """Make a row for each feed that has none yet."""
    with db.reading() as session:
        known = set(session.scalars(select(models.Feed.name)))
    if known >= set(FEEDS):
        return
    insert_new = sqlite_insert if db.is_sqlite else postgresql_insert
    with db.writing() as session:
        session.execute(
            insert_new(models.Feed).on_conflict_do_nothing(),  # another process may be as quick
            [
                {
                    "name": name,
                    "title": feed.title,
                    "enabled": feed.by_default,
                    "state": "never",
                    "error": "",
                }
                for name, feed in FEEDS.items()
            ],
        )


def look(db: Database, settings: Settings) -> None:
    """Make a row for each feed, and write down which are idle for the fleet as it is now."""
    ensure_feeds(db)
    mark_idle(db, settings)


def mark_idle(db: Database, settings: Settings) -> None:
    """Write down which of the known feeds are idle; costs nothing when none moved."""
    with db.reading() as session:
        platforms = fleet(session)
        known = dict(session.execute(select(models.Feed.name, models.Feed.idle)).all())
    idle = {
        name: not addresses(FEEDS[name], settings, platforms) for name in known if name in FEEDS
    }
    if all(known[name] is now for name, now in idle.items()):
        return
    with db.writing() as session:
        for row in session.scalars(select(models.Feed).where(models.Feed.name.in_(idle))):
            row.idle = idle[row.name]


def fleet(session: Session) -> frozenset[str]:
    """Return the platforms that advisories for this fleet may be written for. Two queries."""
    host, version = models.Host, models.PackageVersion
    systems = session.scalars(
        select(host.platform).where(host.retired_at.is_(None), host.platform != "").distinct()
    )
    found = {each for platform in systems for each in platforms_of(platform)}
    present = union_all(
        *(
            select(literal(each)).where(exists().where(version.manager == each))
            for each in sorted(ECOSYSTEMS)
        )
    )
    return frozenset(found | set(session.scalars(present)))


def addresses(feed: Feed, settings: Settings, platforms: frozenset[str]) -> tuple[str, ...]:
    """Return where ``feed`` is fetched: its mirror, or of the vendor's what the fleet needs.

    What is not synced unless somebody asks for it is fetched whole.
    """
    mirror = settings.mirrors.get(feed.name, ())
    asked_for = () if feed.by_default else feed.start
    return mirror or feed.addresses(platforms) or asked_for


def without_address(feed: Feed) -> str:
    """Return why there is nothing to fetch of ``feed``, and what to do."""
    setting = f"{config.PREFIX}{feed.name.replace('-', '_').upper()}_URL"
    return f"{wakes(feed.name)}, so there is nothing to fetch; give --from FILE or set {setting}"


def wakes(name: str) -> str:
    """Return for people why the feed is idle when it is, and what would wake it."""
    feed = FEEDS.get(name)
    if feed is None or not feed.serves:
        return "it has no address of its own"
    return f"no host needs it: it is for {', '.join(feed.serves)}"


def would_speak_of(platform: str) -> tuple[str, ...]:
    """Return the feeds that have advisories for ``platform``, by name, whether read or not."""
    systems = {each.partition(":")[0] for each in platforms_of(platform)} if platform else set()
    return tuple(
        name
        for name, feed in sorted(FEEDS.items())
        if feed.judges and systems.intersection(feed.serves)
    )


def equipped(feed: Feed, settings: Settings) -> Feed:
    """Return ``feed`` with the keys that it verifies signatures with, if it does.

    Those in the directory itself are of apt's archives; a directory below it that is named after
    an ID of os-release has those of that vendor's other repositories. Raises `InputError` when they
    cannot be read.
    """
    if not feed.is_signed:
        return feed
    chosen = settings.archive_keys
    folder = Path(chosen).expanduser() if chosen else config.KEYRINGS
    if not chosen and not folder.is_dir():
        return feed
    try:
        files = sorted(file for file in folder.iterdir() if file.suffix in KEYRING_TYPES)
        vendors = sorted(each for each in folder.iterdir() if each.is_dir()) if chosen else []
        if not chosen:
            files = [each for each in files if _is_of_a_distribution(each.name)]
        own = {
            each.name: sorted(file for file in each.iterdir() if file.suffix in OTHER_KEY_TYPES)
            for each in vendors
        }
        if sum(file.stat().st_size for file in chain(files, *own.values())) > MOST_KEYS:
            raise InputError({f"{config.PREFIX}ARCHIVE_KEYS": f"{folder} is too large for keys"})
        return feed.trusting(
            Keys(
                tuple(file.read_bytes() for file in files),
                {
                    name: {file.name: file.read_bytes() for file in found}
                    for name, found in own.items()
                },
            )
        )
    except OSError as error:
        where = error.filename or folder
        raise InputError({f"{config.PREFIX}ARCHIVE_KEYS": f"{where}: {error.strerror}"}) from error


def _is_of_a_distribution(name: str) -> bool:
    return name.startswith(DISTRIBUTIONS) and REMOVED not in name


def switch(db: Database, name: str, *, on: bool, actor: str, now: datetime) -> None:
    """Let the schedule sync a feed, or not; what it said stays. Raises `InputError`."""
    named(name)
    ensure_feeds(db)
    with db.writing() as session:
        row = locked(session, name)
        if row.enabled is on:
            return
        row.enabled = on
        audit.record(
            session,
            at=now,
            actor=actor,
            action="feed.enable" if on else "feed.disable",
            subject=f"feed {name}",
        )


def accept_smaller(db: Database, name: str, *, actor: str, now: datetime) -> int:
    """Believe what a feed is held for, and ask for its sync; return the id of that run.

    A feed that has become smaller still by then is held again. Raises `ConflictError` when it is
    not held, `NotFoundError` for an unknown name.
    """
    if name not in FEEDS:
        raise NotFoundError("feed", name)
    ensure_feeds(db)
    with db.writing() as session:
        row = locked(session, name)
        if row.state != "held":
            raise ConflictError(f"feed {name} is not held: there is nothing to confirm")
        row.smaller_accepted = True
        audit.record(
            session,
            at=now,
            actor=actor,
            action="feed.accept-smaller",
            subject=f"feed {name}",
            details=dict(row.held),
        )
        return jobs.want(session, f"sync:{name}", now=now)


def locked(session: Session, name: str) -> models.Feed:
    """Return the feed's row, locked: two syncs of one feed store one after the other."""
    return session.scalars(
        select(models.Feed).where(models.Feed.name == name).with_for_update()
    ).one()
