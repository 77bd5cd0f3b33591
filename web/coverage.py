"""Coverage: what the service cannot judge, so that nobody takes silence for safety."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from patchmgr.db.queries import coverage as queries
from patchmgr.db.queries import identity
from patchmgr.domain.accounts import Role
from patchmgr.services.feeds import would_speak_of
from web.auth import requires
from web.context import now, session, settings
from web.machines import CONFLICTS, KINDS
from web.tables import Column, Table, plain

pages = Blueprint("coverage", __name__, url_prefix="/coverage")

PLATFORMS = Table(
    "platforms",
    (
        Column("platform", "Platform"),
        Column("has_feed", "Advisories"),
        Column("hosts", "Hosts", numeric=True),
        Column("reporting", "Reporting", numeric=True),
    ),
)
SILENT = Table(
    "silent",
    (
        Column("hostname", "Host"),
        Column("platform", "Platform"),
        Column("owner", "Owner", shown=False),
        Column("reported_at", "Last report"),
        Column("silent_since", "Silent since"),
    ),
)
UNCLEAR = Table(
    "unclear",
    (
        Column("package", "Package"),
        Column("version", "Version"),
        Column("platform", "Platform"),
        Column("reason", "Why it cannot be told"),
        Column("advisories", "Advisories", numeric=True),
    ),
)


RELEASES = Table(
    "releases",
    (
        Column("platform", "Release"),
        Column("since", "Standard support ended", value=lambda row: row.ending.since),
        Column("extensions", "Carried on"),
        Column("hosts", "Hosts", numeric=True),
        Column("uncovered", "Without fixes", numeric=True),
    ),
)
UNSUPPORTED = Table(
    "unsupported",
    (
        Column("package", "Source package"),
        Column("platform", "Release"),
        Column("why", "What its vendor says"),
        Column("hosts", "Hosts", numeric=True),
    ),
)


LEFT = Table(
    "left",
    (
        Column("hostname", "Host"),
        Column("platform", "Platform"),
        Column("of", "Reports", value=lambda row: ", ".join(row.of)),
        Column("why", "Why", value=lambda row: "; ".join(row.why)),
        Column("entries", "Entries", numeric=True),
    ),
)


@pages.get("")
@requires(Role.VIEWER)
def index() -> ResponseReturnValue:
    found = queries.coverage(
        session(),
        now=now(),
        silent_days=settings().silent_days,
        stale_hours=settings().stale_feed_hours,
    )
    return render_template(
        "coverage/index.html",
        found=found,
        would_speak_of=would_speak_of,
        silent_days=settings().silent_days,
        stale_hours=settings().stale_feed_hours,
        platforms=plain(found.platforms, PLATFORMS),
        silent=plain(found.silent, SILENT),
        unclear=plain(found.unclear, UNCLEAR),
        left=plain(found.left, LEFT),
        releases=plain(found.releases, RELEASES),
        unsupported=plain(found.unsupported, UNSUPPORTED),
        conflicts=plain(identity.conflicts(session()) if found.refused else [], CONFLICTS),
        kinds=KINDS,
    )
