"""Hosts, and what is installed on them: content-addressed sets of distinct package versions."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, Text, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from patchmgr.db.base import Base, Id, Name, Word, text_of


class Host(Base):
    """A managed machine. Kernel, reboot and held packages are facts of the host, not of its set."""

    __tablename__ = "host"
    __table_args__ = (Index("ix_host_platform_hostname", "platform", "hostname"),)

    id: Mapped[Id]
    hostname: Mapped[str] = mapped_column(text_of(253), unique=True)
    external_id: Mapped[str | None] = mapped_column(text_of(200), unique=True)
    os_id: Mapped[Word]
    os_release: Mapped[Word]
    platform: Mapped[Name]  # patchmgr.domain.packages.Platform; "" when unknown
    arch: Mapped[Word]
    environment: Mapped[Word] = mapped_column(index=True)
    site: Mapped[Word]
    owner: Mapped[Name]
    criticality: Mapped[Word]
    exposure: Mapped[Word]  # "public", "internal" or ""
    ring: Mapped[Word]
    window: Mapped[Name]  # maintenance windows, separated by ";"; "" when rules or plans decide
    tags: Mapped[list[str]]  # sorted, each "word" or "key=value"
    package_set_id: Mapped[int | None] = mapped_column(ForeignKey("package_set.id"), index=True)
    # The set that the last scan judged; differs from package_set_id, or is None, when the host
    # waits for the next scan (a new set, or a changed fact that due dates depend on).
    judged_set_id: Mapped[int | None]
    # The set that `Software` and `VersionCount` have the host with; None once it has retired.
    counted_set_id: Mapped[int | None]
    reported_at: Mapped[datetime | None]  # last inventory, changed or not
    running_kernel: Mapped[Name]
    reboot_pending: Mapped[bool]  # reported, by whatever source; False also where none did
    # Whether any source said if it waits for a reboot: "not reported" is not "no".
    reboot_reported: Mapped[bool] = mapped_column(server_default=false(), default=False)
    # What it last said of itself (patchmgr.db.models.facts), and when; None: nothing yet. Without
    # foreign keys: SQLite cannot give them to a table that others refer to.
    fact_set_id: Mapped[int | None]
    offer_set_id: Mapped[int | None]
    facts_at: Mapped[datetime | None]
    entitlements: Mapped[list[str]]  # sorted: "esm-apps", "eus"; what fixes it may get beside all
    held: Mapped[list[str]]  # names of packages that the host's administrator holds back
    source: Mapped[Word] = mapped_column(index=True)  # that an import named it by last; "" for none
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    retired_at: Mapped[datetime | None] = mapped_column(index=True)
    # What the machine said of itself last (patchmgr.domain.identity); "" when it did not say.
    machine_id: Mapped[Word] = mapped_column(server_default="", index=True)
    product_uuid: Mapped[Word] = mapped_column(server_default="", index=True)
    boot_id: Mapped[Word] = mapped_column(server_default="")
    reported_name: Mapped[str] = mapped_column(text_of(253), server_default="")
    first_address: Mapped[Word] = mapped_column(server_default="")
    last_address: Mapped[Word] = mapped_column(server_default="")
    # SHA-256 of the last report; None when what is stored did not come from one alone.
    report_digest: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    # Entries of its reports of which no package could be made, and of each format of report the
    # number and the first of them with why: {"cyclonedx": [3, ["perl 5: has no package URL"]]}.
    not_judged: Mapped[int] = mapped_column(server_default="0", default=0)
    not_judged_of: Mapped[dict[str, Any]] = mapped_column(server_default="{}", default=dict)

    package_set: Mapped["PackageSet | None"] = relationship(lazy="raise")


class PackageVersion(Base):
    """One distinct package version; it exists once however many hosts have it."""

    __tablename__ = "package_version"
    __table_args__ = (
        Index("ix_package_version_name", "name"),
        Index("ix_package_version_judged", "platform", "judged_source"),
        Index("ix_package_version_source", "judged_source"),
        Index("ix_package_version_manager", "manager"),
    )

    id: Mapped[Id]
    # As advisories judge it, with what its hosts are entitled to: "ubuntu:20.04/esm-infra".
    platform: Mapped[Name]
    manager: Mapped[Word]
    name: Mapped[Name]
    version: Mapped[Name]
    arch: Mapped[Word]
    module: Mapped[Name]  # name:stream that it was built for; "" when none, or not known
    origin: Mapped[Name]  # who built it, as the report says; "" when it does not say
    source: Mapped[Name]  # as reported; "" when the report does not say
    source_version: Mapped[Name]
    # The source that advisories speak of: the reported one, what a signed build was signed from,
    # or the package itself (patchmgr.domain.matching.judged).
    judged_source: Mapped[Name]
    judged_version: Mapped[Name]
    # SHA-256 of the identifying columns: platform to source_version, module and origin.
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)


class PackageSet(Base):
    """One distinct set of package versions, named by the SHA-256 of its members' digests."""

    __tablename__ = "package_set"

    id: Mapped[Id]
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    # patchmgr.db.package_sets: sorted package_version ids as little-endian uint32, either all of
    # them, or those beside the members of a base, and those of the base that it lacks.
    members: Mapped[bytes]
    base_id: Mapped[int | None] = mapped_column(ForeignKey("package_set.id"), index=True)
    lacks: Mapped[bytes]
    sketch: Mapped[bytes]  # of a set stored whole: tells which others it is like
    size: Mapped[int]  # members in all
    created_at: Mapped[datetime]


class Software(Base):
    """How many hosts have a package in any version, now; no row where none has (ADR 0008)."""

    __tablename__ = "software"
    __table_args__ = (Index("ix_software_name", "name", "manager"),)

    platform: Mapped[Name] = mapped_column(primary_key=True)  # as of `PackageVersion`
    manager: Mapped[Word] = mapped_column(primary_key=True)
    name: Mapped[Name] = mapped_column(primary_key=True)
    hosts: Mapped[int]


class VersionCount(Base):
    """How many hosts have a package version, now; no row where none has (ADR 0008)."""

    __tablename__ = "version_count"

    package_version_id: Mapped[int] = mapped_column(
        ForeignKey("package_version.id"), primary_key=True, autoincrement=False
    )
    hosts: Mapped[int]


class HostPackageSet(Base):
    """What a host ran, from when until when: the whole history."""

    __tablename__ = "host_package_set"
    __table_args__ = (Index("ix_host_package_set_host_since", "host_id", "since"),)

    id: Mapped[Id]
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"))
    package_set_id: Mapped[int] = mapped_column(ForeignKey("package_set.id"), index=True)
    since: Mapped[datetime]
    until: Mapped[datetime | None]  # exclusive; None: still so

    package_set: Mapped[PackageSet] = relationship(lazy="raise")


class HostFact(Base):
    """What was known of a host beside its packages, from when until when, as scans found it.

    `Host` says how things are now; a report for last quarter asks how they were. A host has no
    open row after it was retired.
    """

    __tablename__ = "host_fact"
    __table_args__ = (
        Index("ix_host_fact_host_until", "host_id", "until"),
        Index("ix_host_fact_since", "since"),
    )

    id: Mapped[Id]
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"))
    hostname: Mapped[str] = mapped_column(text_of(253))
    platform: Mapped[Name]
    environment: Mapped[Word]
    site: Mapped[Word]
    owner: Mapped[Name]
    criticality: Mapped[Word]
    exposure: Mapped[Word]
    reboot_pending: Mapped[bool]
    reported: Mapped[bool]  # it had sent an inventory
    silent_since: Mapped[datetime | None]  # its last inventory, when that was too long ago
    since: Mapped[datetime]
    until: Mapped[datetime | None]  # exclusive; None: still so


class HostIdentity(Base):
    """What a host's machine said of itself, from when on: each time that it said something else."""

    __tablename__ = "host_identity"

    id: Mapped[Id]
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"), index=True)
    hostname: Mapped[str] = mapped_column(text_of(253))
    machine_id: Mapped[Word]
    product_uuid: Mapped[Word]
    boot_id: Mapped[Word]
    since: Mapped[datetime]
    changes: Mapped[list[str]]  # patchmgr.domain.identity.Change
    settled: Mapped[bool]  # a person has said that this was the same machine


class IdentityConflict(Base):
    """A machine that was refused, because it may be another one than the host it looks like."""

    __tablename__ = "identity_conflict"

    id: Mapped[Id]
    # patchmgr.domain.identity.Identity.key: what a person's word about the machine is tied to.
    key: Mapped[bytes] = mapped_column(LargeBinary(32), index=True)
    kind: Mapped[Word]  # patchmgr.domain.identity.Kind
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"), index=True)  # the known host
    hostname: Mapped[str] = mapped_column(text_of(253))  # this and the next: what was said
    machine_id: Mapped[Word]
    product_uuid: Mapped[Word]
    boot_id: Mapped[Word]
    address: Mapped[Word]
    why: Mapped[str] = mapped_column(Text)
    # "open"; "same", "new" or "dismissed", as a person decided; "used" when the machine has come in
    # by that word.
    state: Mapped[Word] = mapped_column(index=True)
    times: Mapped[int]  # how often it was refused
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    new_name: Mapped[str] = mapped_column(text_of(253))  # of a new host; "" for what it says itself
    resolved_by: Mapped[Name]
    resolved_at: Mapped[datetime | None]


class Import(Base):
    """A file brought in through the browser or the API: kept until decided on, then as record.

    ``waiting`` to be looked into, ``checking``, ``previewed`` (a person decides), ``confirmed``,
    ``applying``, ``applied``; or ``discarded``; or ``interrupted``, which can be taken up again.
    """

    __tablename__ = "import"

    id: Mapped[Id]
    kind: Mapped[Word]  # "hosts" or "packages"
    mode: Mapped[Word]  # "snapshot" or "merge" for packages; "" for hosts
    filename: Mapped[Name]  # as the uploader named it; shown, never used as a path
    stored: Mapped[Name]  # name inside the home's uploads folder, chosen by us
    state: Mapped[Word] = mapped_column(index=True)
    source: Mapped[Word]  # whose export it is; "" when nobody said
    mapping: Mapped[dict[str, Any]]  # column of the file -> column of ours
    options: Mapped[dict[str, Any]]  # how to read it, and what to do with what it lacks
    preview: Mapped[dict[str, Any]]  # counts, examples and the first rejects
    size: Mapped[int] = mapped_column(BigInteger)  # bytes
    progress: Mapped[int]  # percent of the file that the step under way has read
    attempts: Mapped[int]  # at the step under way
    uploaded_by: Mapped[Name]
    uploaded_at: Mapped[datetime]
    confirmed_by: Mapped[Name]
    finished_at: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(Text)  # why the last attempt changed nothing


class Upload(Base):
    """A file that arrives in pieces; what has come of it is kept until it is whole, and an import.

    The file may be longer than ``received``: what is beyond was written and not acknowledged.
    """

    __tablename__ = "upload"

    id: Mapped[Id]
    wish: Mapped[dict[str, Any]]  # what its uploader said of it, as an import keeps it
    filename: Mapped[Name]  # as the uploader named it; shown, never used as a path
    stored: Mapped[Name]  # name inside the home's uploads folder, chosen by us
    size: Mapped[int] = mapped_column(BigInteger)  # bytes, of the whole file
    modified: Mapped[int] = mapped_column(BigInteger)  # ms since 1970, as its uploader's disk says
    piece: Mapped[int]  # bytes of each piece but the last
    received: Mapped[int] = mapped_column(BigInteger)  # bytes
    digest: Mapped[Word]  # of the pieces received, see `inventory.pieces`
    uploaded_by: Mapped[Name]
    begun_at: Mapped[datetime]
    heard_at: Mapped[datetime]  # when the last piece came
    import_id: Mapped[int | None] = mapped_column(ForeignKey("import.id"))  # once it is whole


class ImportSource(Base):
    """How the files of one source are read, so that it need not be said each time."""

    __tablename__ = "import_source"

    name: Mapped[Word] = mapped_column(primary_key=True)
    kind: Mapped[Word]  # "hosts" or "packages"
    mapping: Mapped[dict[str, Any]]  # column of the file -> column of ours
    preset: Mapped[Word]  # of inventory.presets; "" to recognise it, "none"
    encoding: Mapped[Word]  # "" to recognise it
    saved_by: Mapped[Name]
    saved_at: Mapped[datetime]
