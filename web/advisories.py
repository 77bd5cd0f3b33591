"""Advisories: what vendors say, per platform and package, and which hosts it concerns."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from patchmgr.db.queries import advisories as queries
from patchmgr.db.queries import feeds, flaws
from patchmgr.domain.accounts import Role
from patchmgr.domain.advisories import Severity
from patchmgr.errors import NotFoundError
from web import choices
from web.auth import requires
from web.context import now, session
from web.tables import Column, Fetched, Filter, Table, View, answer, plain

pages = Blueprint("advisories", __name__)

ADVISORIES = Table(
    "advisories",
    (
        Column("ref", "Advisory", sort=True, one_way=True),
        Column("title", "Title"),
        Column("severity", "Severity", sort=True, descending=True, one_way=True),
        Column("hosts", "Hosts", numeric=True),
        Column("published", "Published", sort=True, descending=True, one_way=True),
        Column("feed", "Feed"),
        Column("cves", "CVEs", shown=False),
        Column("changed_at", "Changed", shown=False),
        Column("url", "Source", shown=False),
    ),
    filters=(
        Filter("affecting", "Fleet", (("yes", "Concerns our hosts"),)),
        Filter("severity", "Severity", choices.AT_LEAST),
        Filter("platform", "Platform"),
        Filter("feed", "Feed"),
        Filter("withdrawn", "Withdrawn", (("yes", "Withdrawn ones"),)),
    ),
    sort="severity",
    search="Advisory, CVE, title or package",
)
FIXES = Table(
    "statements",
    (
        Column("package", "Package"),
        Column("platform", "Platform"),
        Column("status", "Status"),
        Column("fixed", "Fixed in"),
        Column("severity", "Severity"),
        Column("reason", "Vendor's reason"),
        Column("since", "Since"),
    ),
)
AFFECTED = Table(
    "affected",
    (
        Column("host", "Host"),
        Column("platform", "Platform"),
        Column("environment", "Environment"),
        Column("package", "Package"),
        Column("installed", "Installed"),
        Column("fixed", "Fixed in"),
        Column("status", "Status"),
        Column("first_seen", "First seen"),
    ),
)
OF_CVE = Table(
    "advisories",
    (
        Column("ref", "Advisory"),
        Column("feed", "Feed"),
        Column("title", "Title"),
        Column("severity", "Severity"),
        Column("hosts", "Hosts", numeric=True),
        Column("published", "Published"),
    ),
)


@pages.get("/advisories")
@requires(Role.VIEWER)
def index() -> ResponseReturnValue:
    def fetch(view: View, limit: int, cursor: str | None) -> Fetched:
        found = queries.listing(
            session(),
            search=view.q,
            severity_at_least=choices.severity(view.get("severity")) or Severity.UNKNOWN,
            feed_name=view.get("feed"),
            platform=view.get("platform"),
            only_affecting=bool(view.get("affecting")),
            withdrawn=bool(view.get("withdrawn")),
            sort=view.sort_key,
            limit=limit,
            cursor=cursor or "",
        )
        return Fetched.of(found)

    statuses = feeds.listing(session(), now=now())
    platforms = sorted({name for each in statuses for name in each.counts.get("platforms", ())})
    options = {
        "feed": [(each.name, each.title or each.name) for each in statuses],
        "platform": [(name, name) for name in platforms],
    }
    return answer("advisories/list.html", ADVISORIES, fetch, options=options)


@pages.get("/advisories/<path:ref>")
@requires(Role.VIEWER)
def show(ref: str) -> ResponseReturnValue:
    detail = queries.get(session(), ref)

    def fetch(_view: View, limit: int, cursor: str | None) -> Fetched:
        found = queries.affected(session(), detail.line.id, limit=limit, cursor=cursor or "")
        return Fetched.of(found)

    return answer(
        "advisories/show.html",
        AFFECTED,
        fetch,
        advisory=detail.line,
        detail=detail,
        fixes=plain(detail.fixes, FIXES),
        past=plain(detail.past, FIXES),
    )


@pages.get("/cves/<name>")
@requires(Role.VIEWER)
def cve(name: str) -> ResponseReturnValue:
    """Show what is known of a CVE, and every advisory that names it. Raises `NotFoundError`."""
    cve = name.upper()
    found = queries.by_cve(session(), cve)
    notes = flaws.notes(session(), [cve]).get(cve, ())
    if not found and not notes:
        raise NotFoundError("advisory that names", name)
    return render_template(
        "advisories/cve.html",
        name=cve,
        listing=plain(found, OF_CVE),
        notes=notes,
        words=flaws.words,
        exploited=flaws.is_listed(session(), notes),
    )
