"""What the scan concluded: judged versions, exposed hosts, and how the fleet stood over time.

A finding is the join of an exposure (host x package version) and a judgement (package version x
advisory); it is never stored as a row of its own (ADR 0004).
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, SmallInteger, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from patchmgr.db.base import Base, Id, Name, Word


class UrgencyClass(Base):
    """What is known of an advisory's flaws as far as due dates can depend on it, each only once.

    A row is a `patchmgr.domain.flaws.Danger`: very many advisories are alike in it.
    """

    __tablename__ = "urgency_class"
    __table_args__ = (
        Index(
            "uq_urgency_class",
            *("kev", "ransomware", "exploitation", "automatable", "impact", "cvss", "epss"),
            unique=True,
        ),
    )

    id: Mapped[Id]
    kev: Mapped[Word]  # "yes", "no", "" not known, as the other words
    ransomware: Mapped[Word]
    exploitation: Mapped[Word]
    automatable: Mapped[Word]
    impact: Mapped[Word]
    cvss: Mapped[int] = mapped_column(SmallInteger)  # tenths
    epss: Mapped[int] = mapped_column(SmallInteger)  # thousandths


class Judgement(Base):
    """What an advisory means for a package version, while it means that."""

    __tablename__ = "judgement"
    __table_args__ = (
        Index("ix_judgement_package_version", "package_version_id", "until"),
        Index("ix_judgement_advisory", "advisory_id", "until"),
        Index("ix_judgement_class", "class_id", "until"),
    )

    id: Mapped[Id]
    package_version_id: Mapped[int] = mapped_column(ForeignKey("package_version.id"))
    advisory_id: Mapped[int] = mapped_column(ForeignKey("advisory.id"))
    fix_id: Mapped[int] = mapped_column(ForeignKey("fix.id"))  # the statement that decided
    status: Mapped[Word]  # one of patchmgr.domain.advisories.OPEN
    severity: Mapped[int] = mapped_column(SmallInteger)
    reason: Mapped[str]  # why undetermined or without a fix; "" when the comparison says it all
    # Other advisories of the same flaw that this one stands for, their ids separated by spaces.
    folded: Mapped[str] = mapped_column(Text)
    # When this package version was first judged so; a changed fix keeps it.
    first_seen: Mapped[datetime]
    published: Mapped[datetime | None]  # of the advisory, copied so that due dates need no join
    # Of the advisory's CVEs, as the scan knew them; None: nothing is known.
    class_id: Mapped[int | None] = mapped_column(ForeignKey("urgency_class.id"))
    since: Mapped[datetime]
    until: Mapped[datetime | None]  # exclusive; None: still so


class Exposure(Base):
    """A host has a package version that at least one judgement speaks of."""

    __tablename__ = "exposure"
    __table_args__ = (
        Index("ix_exposure_host", "host_id", "until"),
        Index(
            "ix_exposure_package_version",
            "package_version_id",
            "until",
            "candidate_id",
            "host_id",  # so that hosts are counted without a look at each exposure
            "since",  # and so as of any instant
        ),
        Index(
            "ix_exposure_ended",
            "until",
            sqlite_where=text("until IS NOT NULL"),
            postgresql_where=text("until IS NOT NULL"),
        ),
    )

    id: Mapped[Id]
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"))
    package_version_id: Mapped[int] = mapped_column(ForeignKey("package_version.id"))
    # When the host was first found exposed through this package: an update to a version that is
    # still vulnerable does not restart the clock.
    first_seen: Mapped[datetime]
    since: Mapped[datetime]
    until: Mapped[datetime | None]
    # What the host's repositories offer over it, as the last scan knew: None: not reported, 0:
    # nothing newer (hence no foreign key). Of an exposure that is over, as it was at its end.
    candidate_id: Mapped[int | None]


class HostCount(Base):
    """Open findings of a host, kept by the scan so that lists and totals are quick."""

    __tablename__ = "host_count"
    __table_args__ = (Index("ix_host_count_open", "open_findings"),)

    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"), primary_key=True)
    open_findings: Mapped[int]
    fixable: Mapped[int]  # of those, with status affected
    undetermined: Mapped[int]
    unknown: Mapped[int]  # by severity, each of patchmgr.domain.advisories.Severity
    negligible: Mapped[int]
    low: Mapped[int]
    medium: Mapped[int]
    high: Mapped[int]
    critical: Mapped[int]
    worst: Mapped[int] = mapped_column(SmallInteger)  # highest severity
    excepted: Mapped[int]  # covered by an exception
    # Of the fixable ones that no exception covers; None: none has a due date.
    earliest_due: Mapped[datetime | None]


class HostDue(Base):
    """How many open findings of a host are due at an instant: what is overdue is a sum of these.

    What an exception covers is not among them.
    """

    __tablename__ = "host_due"
    __table_args__ = (Index("ix_host_due_due", "due"),)

    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"), primary_key=True)
    due: Mapped[datetime] = mapped_column(primary_key=True)
    findings: Mapped[int]


class Policy(Base):
    """A version of an SLA policy: a decision table as data. Old versions stay."""

    __tablename__ = "policy"
    __table_args__ = (Index("uq_policy_name_version", "name", "version", unique=True),)

    id: Mapped[Id]
    name: Mapped[Name]
    version: Mapped[int]
    active: Mapped[bool]  # the one that gives findings their due dates
    table: Mapped[dict[str, Any]]  # patchmgr.domain.urgency, canonical form
    made_at: Mapped[datetime]
    made_by: Mapped[Name]


class ScanRun(Base):
    """One scan, and how far it has read: the next one starts from there."""

    __tablename__ = "scan_run"

    id: Mapped[Id]
    at: Mapped[datetime] = mapped_column(index=True)
    full: Mapped[bool]
    package_version_id: Mapped[int]  # highest judged
    feed_revision_id: Mapped[int]  # highest considered
    counts: Mapped[dict[str, Any]]  # hosts, versions, opened, closed, seconds


class Snapshot(Base):
    """How the fleet stood after a scan: the trend, and the tiles of the overview."""

    __tablename__ = "snapshot"

    id: Mapped[Id]
    at: Mapped[datetime] = mapped_column(index=True)
    hosts: Mapped[int]
    reporting: Mapped[int]  # hosts whose last inventory is recent enough
    judged: Mapped[int]  # reporting hosts whose platform has a feed
    compliant: Mapped[int]  # of the judged: nothing overdue, no reboot pending
    open_findings: Mapped[int]
    fixable: Mapped[int]
    overdue: Mapped[int]
    undetermined: Mapped[int]
    by_severity: Mapped[dict[str, Any]]
