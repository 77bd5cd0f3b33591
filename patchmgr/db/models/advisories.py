"""Feeds, their revisions, and what they brought: advisories with fixes, notes, offers, support."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, ForeignKey, Index, LargeBinary, SmallInteger, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from patchmgr.db.base import Base, Id, Name, Word


class Feed(Base):
    """One source of advisories, and how its last sync went."""

    __tablename__ = "feed"

    id: Mapped[Id]
    name: Mapped[Word] = mapped_column(unique=True)
    title: Mapped[Name]  # for people
    enabled: Mapped[bool]
    state: Mapped[Word]  # "never", "ok", "failed", "held"
    attempted_at: Mapped[datetime | None]
    # Last sync that ended well, changed or not; of content from a bundle, where that was made.
    succeeded_at: Mapped[datetime | None]
    bundled_at: Mapped[datetime | None]  # when the bundle was made that it comes from; None: synced
    error: Mapped[str] = mapped_column(Text)  # why the last attempt failed; "" when it did not
    revision_id: Mapped[int | None]  # current revision; no foreign key, the two would be a cycle
    # No host needs it, and no mirror is set: there is nothing to fetch.
    idle: Mapped[bool] = mapped_column(default=False)
    # That its last sync over the network started from.
    addresses: Mapped[list[str]] = mapped_column(default=list)
    # While held: kind ("advisories", "notes") -> [how many there are, how many there would be].
    held: Mapped[dict[str, Any]] = mapped_column(default=dict)
    # A person believes what it is held for.
    smaller_accepted: Mapped[bool] = mapped_column(default=False)
    # When the first of its documents stops being true, as the last good sync found it.
    expires_at: Mapped[datetime | None]
    # The newest package version that its last good sync knew of, where it keeps only what some
    # host has installed; 0 otherwise.
    known_version_id: Mapped[int] = mapped_column(default=0)


class FeedDocument(Base):
    """What a feed's address answered last: validators, so that an unchanged one costs a 304."""

    __tablename__ = "feed_document"
    __table_args__ = (UniqueConstraint("feed_id", "url"),)

    id: Mapped[Id]
    feed_id: Mapped[int] = mapped_column(ForeignKey("feed.id"))
    url: Mapped[str] = mapped_column(Text)
    etag: Mapped[str] = mapped_column(Text)
    last_modified: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(Text)  # SHA-256 of the body, hex


class FeedRevision(Base):
    """The content of a feed at one time. Findings name the revision that their fix came with."""

    __tablename__ = "feed_revision"

    id: Mapped[Id]
    feed_id: Mapped[int] = mapped_column(ForeignKey("feed.id"), index=True)
    digest: Mapped[Name]  # SHA-256 over the feed's advisories in canonical form, hex
    made_at: Mapped[datetime]
    source: Mapped[str] = mapped_column(Text)  # addresses or file names read
    counts: Mapped[dict[str, Any]]  # advisories, fixes, new, changed, withdrawn

    feed: Mapped[Feed] = relationship(lazy="raise")


class FeedSync(Base):
    """A sync that ended well, changed or not: whether a feed was stale at a past instant."""

    __tablename__ = "feed_sync"
    __table_args__ = (Index("ix_feed_sync_feed_at", "feed_id", "at"),)

    id: Mapped[Id]
    feed_id: Mapped[int] = mapped_column(ForeignKey("feed.id"))
    at: Mapped[datetime]
    as_of: Mapped[datetime | None]  # how fresh what came in a bundle was; None: as of ``at``


class Advisory(Base):
    """A vendor's statement as it stands now; withdrawn ones stay, with when."""

    __tablename__ = "advisory"
    __table_args__ = (UniqueConstraint("feed_id", "ref"), Index("ix_advisory_ref", "ref"))

    id: Mapped[Id]
    feed_id: Mapped[int] = mapped_column(ForeignKey("feed.id"))
    ref: Mapped[Name]
    title: Mapped[str] = mapped_column(Text)
    severity: Mapped[int] = mapped_column(SmallInteger, index=True)
    published: Mapped[datetime | None]
    url: Mapped[str] = mapped_column(Text)
    cves: Mapped[str] = mapped_column(Text)  # separated by spaces
    kind: Mapped[Word]  # patchmgr.domain.advisories.Kind
    aliases: Mapped[str] = mapped_column(Text)  # other ids, separated by spaces
    content: Mapped[bytes] = mapped_column(LargeBinary(32))  # SHA-256 of the advisory's content
    first_seen: Mapped[datetime]
    changed_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]

    feed: Mapped[Feed] = relationship(lazy="raise")


class AdvisoryChange(Base):
    """What a feed's revision did to an advisory; a feed's first one brought all it has, unsaid."""

    __tablename__ = "advisory_change"

    revision_id: Mapped[int] = mapped_column(ForeignKey("feed_revision.id"), primary_key=True)
    advisory_id: Mapped[int] = mapped_column(ForeignKey("advisory.id"), primary_key=True)
    change: Mapped[Word]  # "new", "changed", "withdrawn"


class Fix(Base):
    """One statement of an advisory, immutable, valid from one feed revision until another.

    A changed statement is a new row, so that last quarter's verdict can still be explained.
    """

    __tablename__ = "fix"
    __table_args__ = (
        Index("ix_fix_subject", "platform", "package", "match"),
        Index("ix_fix_advisory", "advisory_id", "platform", "until_revision_id"),
        Index("ix_fix_since_revision", "since_revision_id"),
        Index("ix_fix_until_revision", "until_revision_id"),
    )

    id: Mapped[Id]
    advisory_id: Mapped[int] = mapped_column(ForeignKey("advisory.id"))
    platform: Mapped[Name]
    package: Mapped[Name]
    match: Mapped[Word]  # patchmgr.domain.advisories.Match
    scheme: Mapped[Word]
    status: Mapped[Word]  # patchmgr.domain.advisories.Status
    introduced: Mapped[Name]
    fixed: Mapped[Name]
    last_affected: Mapped[Name]
    fixed_key: Mapped[bytes | None]  # None: no fixed version, or one that cannot be read
    arch: Mapped[str] = mapped_column(Text)  # architectures separated by spaces; "" for all
    module: Mapped[Name]  # name:stream of a modular build
    channel: Mapped[Word]  # what a host must be entitled to, such as "esm-infra"
    after: Mapped[Word]  # "reboot", "relogin" or "restart"
    severity: Mapped[int] = mapped_column(SmallInteger)
    reason: Mapped[str] = mapped_column(Text)
    since_revision_id: Mapped[int] = mapped_column(ForeignKey("feed_revision.id"))
    until_revision_id: Mapped[int | None] = mapped_column(ForeignKey("feed_revision.id"))

    advisory: Mapped[Advisory] = relationship(lazy="raise")
    since_revision: Mapped[FeedRevision] = relationship(
        lazy="raise", foreign_keys=[since_revision_id]
    )


class FlawNote(Base):
    """What a feed says of a CVE, immutable, valid from one feed revision until another."""

    __tablename__ = "flaw_note"
    __table_args__ = (
        Index("ix_flaw_note_cve", "cve", "until_revision_id"),
        Index("ix_flaw_note_feed", "feed_id", "until_revision_id"),
        Index("ix_flaw_note_since_revision", "since_revision_id"),
        Index("ix_flaw_note_until_revision", "until_revision_id"),
    )

    id: Mapped[Id]
    feed_id: Mapped[int] = mapped_column(ForeignKey("feed.id"))
    cve: Mapped[Word]
    said: Mapped[dict[str, Any]]  # as `patchmgr.domain.flaws.said` writes it: only what is said
    since_revision_id: Mapped[int] = mapped_column(ForeignKey("feed_revision.id"))
    until_revision_id: Mapped[int | None] = mapped_column(ForeignKey("feed_revision.id"))


class Offer(Base):
    """What a repository has to install, immutable, valid from one feed revision until another."""

    __tablename__ = "offer"
    __table_args__ = (
        Index("ix_offer_package", "name", "platform", "until_revision_id"),
        Index("ix_offer_feed", "feed_id", "until_revision_id"),
        Index("ix_offer_since_revision", "since_revision_id"),
        Index("ix_offer_until_revision", "until_revision_id"),
    )

    id: Mapped[Id]
    feed_id: Mapped[int] = mapped_column(ForeignKey("feed.id"))
    platform: Mapped[Name]
    suite: Mapped[Name]
    manager: Mapped[Word]
    name: Mapped[Name]
    arch: Mapped[Word]
    version: Mapped[Name]
    version_key: Mapped[bytes | None]  # None: it cannot be read
    source: Mapped[Name]
    source_version: Mapped[Name]
    module: Mapped[Name]  # name:stream
    phased: Mapped[int]  # percent of the hosts that are offered it
    since_revision_id: Mapped[int] = mapped_column(ForeignKey("feed_revision.id"))
    until_revision_id: Mapped[int | None] = mapped_column(ForeignKey("feed_revision.id"))


class Support(Base):
    """Until when a release or a package gets updates, valid from one revision until another."""

    __tablename__ = "support"
    __table_args__ = (
        Index("ix_support_feed", "feed_id", "until_revision_id"),
        Index("ix_support_since_revision", "since_revision_id"),
        Index("ix_support_until_revision", "until_revision_id"),
    )

    id: Mapped[Id]
    feed_id: Mapped[int] = mapped_column(ForeignKey("feed.id"))
    platform: Mapped[Name]
    package: Mapped[Name]  # source package; "" for the release itself
    level: Mapped[Word]
    until: Mapped[date | None] = mapped_column(Date)  # the first day without
    note: Mapped[str] = mapped_column(Text)
    since_revision_id: Mapped[int] = mapped_column(ForeignKey("feed_revision.id"))
    until_revision_id: Mapped[int | None] = mapped_column(ForeignKey("feed_revision.id"))
