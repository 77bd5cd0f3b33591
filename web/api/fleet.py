"""Hosts, their packages, and the reports they send."""

from typing import Literal

from flask import request
from pydantic import Field
from sqlalchemy.orm import Session

from inventory import bodies, documents, formats, submissions
from inventory.bodies import MEBIBYTE
from patchmgr.db.queries import facts
from patchmgr.db.queries import hosts as queries
from patchmgr.db.queries.hosts import HostDetail, HostFilter
from patchmgr.domain.accounts import Role
from patchmgr.domain.numbers import whole
from patchmgr.errors import InputError, NotFoundError
from patchmgr.services import jobs
from web.api import machines
from web.api.routing import Raw, actor, route
from web.api.values import In, Out, PageOf, Paging, Plain, SeverityWord, When, Words, page
from web.bodies import read
from web.context import db, now, session, settings, speaker_or_none

REPORT_MB = 32  # of a host's listing, unpacked


class Host(Out):
    """A managed machine."""

    id: int
    hostname: str
    external_id: str
    platform: str
    arch: str
    environment: str
    site: str
    owner: str
    criticality: str
    exposure: str
    ring: str
    window: str
    tags: Words
    packages: int
    reported_at: When | None
    reboot_pending: bool
    reboot_reported: bool = Field(description="False: nobody said whether it waits for one.")
    retired_at: When | None
    open_findings: int
    fixable: int
    worst: SeverityWord
    earliest_due: When | None


class Update(Out):
    """A package that repositories offer in a newer version than the host has."""

    package: str
    arch: str
    manager: str
    source: str
    installed: str
    offered: str
    suites: Words = Field(description="Those that offer it, such as `bookworm-security`.")
    held: bool = Field(description="Whether the host's administrator holds the package back.")
    phased: int = Field(
        description="Percent of the hosts that are offered it so far. Below 100 it may not be"
        " offered to this host yet: only the host's own apt can tell."
    )


class Subscription(Out):
    """How Ubuntu Pro stands on a machine."""

    attached: bool
    services: dict[str, str]


class Pin(Out):
    """A version that a repository of the host has, and that a pin keeps back."""

    package: str
    arch: str
    version: str
    by: str


class Repositories(Out):
    covered: Words = Field(description="The package managers whose repositories were reported.")


class Facts(Out):
    """What a host said of itself beside its packages; null: not reported."""

    reported_at: When | None
    running_kernel: str | None
    newest_kernel: str | None = Field(description="Of the line that runs.")
    kernels: list[str] | None = Field(description="Installed releases.")
    reboot_pending: bool | None
    reboot_reasons: list[str]
    services: list[str] | None = Field(description="That still use replaced files.")
    sessions: list[str] | None
    containers: list[str] | None
    holds: list[str] | None
    version_locks: list[str] | None
    modules: list[str] | None = Field(description="Enabled streams, `nodejs:18`.")
    pro: Subscription | None
    pins: list[Pin] | None
    repositories: Repositories | None
    unreadable: dict[str, str] = Field(description="Section of the report -> why it was not read.")


class HostInFull(Out):
    """A managed machine with the facts that lists leave out."""

    host: Host
    running_kernel: str
    entitlements: Words
    held: Words
    has_feed: bool = Field(
        description="Whether a feed speaks of its platform. If not, no finding means nothing."
    )
    created_at: When
    updated_at: When
    findings_by_severity: dict[str, int]
    facts: Facts
    conflicts: list[machines.Conflict] = Field(
        description="Machines that were refused, because they may be this host or another one."
    )
    not_judged: int = Field(description="Entries of its reports that name no package to judge.")
    not_judged_why: dict[str, Words] = Field(description="Format of the report -> the first.")
    updates: list[Update] | None = Field(
        description=(
            "By its own repositories where it reported them; `null`: not known, and no repository "
            "was read that offers its packages."
        )
    )


class Package(Out):
    """An installed package version."""

    manager: str
    name: str
    version: str
    arch: str
    source: str
    source_version: str


class HostQuery(Paging):
    search: Plain = Field("", description="Part of a host name, owner or external id.")
    platform: Plain = ""
    environment: Plain = ""
    site: Plain = ""
    owner: Plain = ""
    ring: Plain = ""
    state: Literal[
        "",
        "overdue",
        "silent",
        "went_silent",
        "never",
        "no_platform",
        "reboot",
        "findings",
        "clean",
    ] = ""
    sort: Literal["hostname", "open_findings", "worst", "earliest_due", "reported_at"] = "hostname"


class ReportQuery(In):
    format: Plain = Field(
        "",
        description="What kind of listing it is; recognised when left out.",
        json_schema_extra={"enum": ["", *formats.FORMATS]},
    )
    os: Plain = Field(
        "",
        description="`ID:RELEASE` of os-release; may be left out for a known host, and where the "
        "report says it itself.",
    )
    digest: str = Field(
        "",
        pattern=r"^([0-9a-f]{64})?$",
        description=(
            "SHA-256 of the report as a host sends it by itself. With it and without a body, a "
            "host asks whether the report is known."
        ),
    )


class ReportTaken(Out):
    """What a host's report changed."""

    host: str
    changed: bool = Field(description="False: the report says what was known already.")
    wanted: bool = Field(
        False, description="True: nothing was stored, the digest is not known; send the report."
    )
    packages: int
    packages_added: int
    packages_removed: int
    format: str = Field(description="As it was named, or recognised.")
    not_judged: int = Field(description="Entries that name no package which could be judged.")
    not_judged_why: Words = Field(description="The first of them, each with why.")
    notes: Words = Field(description="What limits how far the report can be judged.")
    unreadable: dict[str, str] = Field(
        description="Section of a whole report -> why it was not read; what it says is not known."
    )


@route("GET", "/hosts", tag="hosts", query=HostQuery, answer=PageOf[Host])
def list_hosts(query: HostQuery) -> object:
    """List hosts."""
    filters = HostFilter(
        search=query.search,
        platform=query.platform,
        environment=query.environment,
        site=query.site,
        owner=query.owner,
        ring=query.ring,
        state=query.state,
    )
    found = queries.listing(
        session(),
        filters,
        now=now(),
        silent_days=settings().silent_days,
        sort=query.sort,
        descending=query.sort in ("open_findings", "worst"),
        limit=query.limit,
        cursor=query.cursor,
    )
    return page(found)


@route("GET", "/hosts/<hostname>", tag="hosts", answer=HostInFull)
def get_host(hostname: str) -> object:
    """Get one host.

    By its name, or by its id where no host is called so.
    """
    found = _known(session(), hostname)
    said = facts.of_host(session(), found)
    return {
        "host": found.line,
        "running_kernel": found.running_kernel,
        "entitlements": list(found.entitlements),
        "held": found.held,
        "has_feed": found.has_feed,
        "created_at": found.created_at,
        "updated_at": found.updated_at,
        "findings_by_severity": found.by_severity,
        "facts": facts.facts_json(found, said),
        "conflicts": found.machine.conflicts,
        "not_judged": found.not_judged,
        "not_judged_why": {of: first for of, (_, first) in found.not_judged_of.items()},
        "updates": said.updates,
    }


@route("GET", "/hosts/<hostname>/packages", tag="hosts", answer=list[Package])
def list_packages(hostname: str) -> object:
    """List what is installed on a host."""
    set_id = _known(session(), hostname).package_set_id
    return queries.packages(session(), set_id) if set_id else []


@route(
    "POST",
    "/hosts/<hostname>/reports",
    tag="hosts",
    role=Role.OPERATOR,
    query=ReportQuery,
    headers={"Content-Encoding": "`gzip`, or nothing."},
    raw=Raw(
        ("text/plain", "application/json", "application/xml", "application/octet-stream"),
        "The listing as the host prints it, a document that lists what is installed, or the "
        "collector's report (docs/collector.md).",
        is_required=False,
    ),
    answer=ReportTaken,
    takes_hosts=True,
)
def submit_report(hostname: str, query: ReportQuery) -> object:
    """Send what is installed on a host.

    An unchanged report says so and costs no scan; a host not seen before joins the inventory. A
    known host may be meant by its id, where `os` is left out. A host with a token of its own sends
    the collector's report, as JSON, and asks with its digest first.
    """
    body = _unpacked()
    if speaker_or_none() or query.digest or (not query.format and documents.recognises(body)):
        return machines.take_report(hostname, query.digest, body)
    if whole(hostname) is not None and not query.os:
        with db().reading() as reading:
            hostname = _known(reading, hostname).line.hostname
    made = submissions.submit_report(
        db(),
        host=hostname,
        os=query.os,
        format=query.format,
        text=bodies.text(body, most=REPORT_MB * MEBIBYTE, name="body"),
        actor=actor(),
        now=now(),
    )
    changed = bool(made.new or made.changed)
    if changed:
        with db().writing() as writing:
            jobs.want(writing, "scan", now=now())
    return {
        "host": hostname,
        "changed": changed,
        "packages": made.rows,
        "packages_added": made.added,
        "packages_removed": made.removed,
        "format": made.format,
        "not_judged": made.not_judged,
        "not_judged_why": made.not_judged_why,
        "notes": made.notes,
        "unreadable": dict(made.unreadable),
    }


def _known(reading: Session, name: str) -> HostDetail:
    """Return the host called ``name``, else the one with that id. Raises `NotFoundError`."""
    try:
        return queries.get(reading, name)
    except NotFoundError:
        if (number := whole(name)) is None:
            raise
    return queries.get(reading, number)


def _unpacked() -> bytes:
    """Return the body, unpacked, no more than a listing can be. Raises `InputError`."""
    most = REPORT_MB * MEBIBYTE
    match request.headers.get("Content-Encoding", "identity").strip().lower():
        case "identity" | "":
            body = read(most)
        case "gzip":
            body = bodies.gunzip(read(most), most=most, name="body")
        case other:
            raise InputError({"Content-Encoding": f"{other[:40]!r} is not gzip"})
    if len(body) > most:
        raise InputError({"body": f"is larger than {REPORT_MB} MiB"})
    return body
