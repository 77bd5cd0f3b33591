"""Findings and advisories."""

from datetime import date
from typing import Any, Literal

from pydantic import Field

from patchmgr.db.queries import advisories as advisory_queries
from patchmgr.db.queries import explanations, flaws
from patchmgr.db.queries import findings as queries
from patchmgr.db.queries.explained import explanation_json
from patchmgr.db.queries.finding_filters import FindingFilter
from patchmgr.domain.facts import Installable
from patchmgr.domain.numbers import LARGEST_ID
from patchmgr.errors import NotFoundError
from web.api.routing import route
from web.api.values import (
    Document,
    Flag,
    In,
    Out,
    PageOf,
    Paging,
    Plain,
    SeverityWord,
    When,
    Words,
    page,
    severity,
)
from web.context import now, session


class Finding(Out):
    """A host, a package version and an advisory that is open there."""

    host: str
    platform: str
    manager: str
    package: str
    arch: str
    installed: str
    fixed: str
    status: str
    advisory: str
    cves: Words
    severity: SeverityWord
    kev: bool | None
    first_seen: When
    due: When | None
    exception: str = Field(description="Id and type of one that covers it: `12 false_positive`.")
    reason: str
    installable: Installable | None = Field(
        description="Whether the host's own repositories offer the fix; null: there is none."
    )


Sort = Literal[
    "host", "-host", "package", "-package", "advisory", "-advisory", "severity", "-severity", "due"
]


class FindingQuery(Paging):
    host: Plain = ""
    platform: Plain = ""
    environment: Plain = ""
    package: Plain = Field("", description="An installed package, or its source.")
    advisory: Plain = ""
    cve: Plain = ""
    status: Literal["", "affected", "no_fix", "undetermined"] = ""
    severity_at_least: SeverityWord = "unknown"
    kev: Literal["", "yes", "no"] = Field("", description="Known to be exploited, or not listed.")
    installable: Literal["", "yes", "no", "unknown"] = Field(
        "", description="Whether the host's own repositories offer the fix."
    )
    overdue: Flag = False
    revision: int | None = Field(
        None, ge=0, le=LARGEST_ID, description="Of advisories that this feed revision changed."
    )
    exception: Literal["", "open", "excepted"] = Field(
        "", description="Only what no exception covers, or what one does."
    )
    exception_id: int | None = Field(
        None, ge=0, le=LARGEST_ID, description="Only what the scope of this exception covers."
    )
    search: Plain = ""
    at: When | None = Field(None, description="As of this instant; by default now.")
    sort: Sort = Field("host", description="`-` descends; by due date the soonest come first.")


class Findings(PageOf[Finding]):
    """A page of findings, and since when they are known."""

    judged_since: When | None = Field(
        description="When the first scan was: what was open before is not known."
    )


class AtQuery(In):
    at: When | None = Field(None, description="As of this instant; by default now.")


class Advisory(Out):
    """A vendor's statement."""

    ref: str
    feed: str
    title: str
    severity: SeverityWord
    cves: Words
    published: When | None
    changed_at: When
    withdrawn_at: When | None
    url: str
    hosts: int = Field(description="With an open finding of it.")


class Fix(Out):
    """What an advisory says of a package on a platform."""

    platform: str
    package: str
    match: str
    status: str
    introduced: str
    fixed: str
    severity: SeverityWord
    reason: str
    since: When


class AdvisoryInFull(Out):
    advisory: Advisory
    first_seen: When
    fixes: list[Fix]


class Note(Out):
    """What a feed says of a CVE, and since which revision; null and empty where it does not."""

    feed: str
    revision: int
    revision_at: When
    kev: bool = False
    kev_added: date | None = None
    kev_due: date | None = Field(None, description="The day by which CISA wants it done.")
    kev_ransomware: bool | None = Field(None, description="Known use in ransomware campaigns.")
    kev_name: str = ""
    kev_action: str = ""
    epss: float | None = None
    epss_percentile: float | None = None
    cvss: float | None = None
    cvss_vector: str = ""
    cvss_source: str = ""
    cwes: list[str] = Field(default_factory=list)
    ssvc_exploitation: str = ""
    ssvc_automatable: str = ""
    ssvc_impact: str = ""
    rejected: bool = False


class Flaw(Out):
    """What is known of a CVE, and the advisories that name it."""

    cve: str
    kev: bool | None = Field(
        description="In the catalogue of known exploited vulnerabilities; null: none is loaded."
    )
    notes: list[Note]
    advisories: list[Advisory]


class AdvisoryQuery(Paging):
    search: Plain = Field("", description="Part of an id, CVE or title, or a package's name.")
    severity_at_least: SeverityWord = "unknown"
    feed: Plain = ""
    platform: Plain = ""
    affecting: Flag = Field(False, description="Only those with an open finding.")


@route("GET", "/findings", tag="findings", query=FindingQuery, answer=Findings)
def list_findings(query: FindingQuery) -> object:
    """List findings that are open, or were at an instant; by host, package and advisory."""
    filters = FindingFilter(
        host=query.host,
        platform=query.platform,
        environment=query.environment,
        package=query.package,
        advisory=query.advisory,
        cve=query.cve.upper(),
        status=query.status,
        severity_at_least=severity(query.severity_at_least) or None,
        kev=query.kev,
        installable=query.installable,
        overdue=query.overdue,
        revision=query.revision,
        exception=query.exception,
        exception_id=query.exception_id,
        search=query.search,
    )
    found = queries.listing(
        session(),
        filters,
        at=query.at,
        now=query.at or now(),
        sort=query.sort.removeprefix("-"),
        descending=query.sort.startswith("-"),
        limit=query.limit,
        cursor=query.cursor,
    )
    return page(found) | {"judged_since": queries.judged_since(session())}


@route(
    "GET",
    "/hosts/<hostname>/packages/<package>/why",
    tag="findings",
    query=AtQuery,
    answer=Document,
)
def explain_finding(hostname: str, package: str, query: AtQuery) -> dict[str, Any]:
    """Explain what was concluded about a package of a host, and from what."""
    found = explanations.explain(session(), hostname, package, at=query.at or now())
    return explanation_json(found)


@route("GET", "/cves/<cve>", tag="advisories", answer=Flaw)
def get_cve(cve: str) -> dict[str, Any]:
    """Get what catalogues and vendors say of a CVE."""
    name = cve.upper()
    notes = flaws.notes(session(), [name]).get(name, ())
    found = advisory_queries.by_cve(session(), name)
    if not found and not notes:
        raise NotFoundError("CVE", cve)
    return {
        "cve": name,
        "kev": flaws.is_listed(session(), notes),
        "notes": [flaws.plain(each) for each in notes],
        "advisories": found,
    }


@route("GET", "/advisories", tag="advisories", query=AdvisoryQuery, answer=PageOf[Advisory])
def list_advisories(query: AdvisoryQuery) -> object:
    """List advisories, the most severe first."""
    found = advisory_queries.listing(
        session(),
        search=query.search,
        severity_at_least=severity(query.severity_at_least),
        feed_name=query.feed,
        platform=query.platform,
        only_affecting=query.affecting,
        limit=query.limit,
        cursor=query.cursor,
    )
    return page(found)


@route("GET", "/advisories/<ref>", tag="advisories", answer=AdvisoryInFull)
def get_advisory(ref: str) -> object:
    """Get one advisory with all that it says."""
    found = advisory_queries.get(session(), ref)
    return {"advisory": found.line, "first_seen": found.first_seen, "fixes": found.fixes}
