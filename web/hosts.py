"""Fleet: the hosts, and each of them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from patchmgr.db.queries import facts, overview, past, windows
from patchmgr.db.queries import findings as finding_queries
from patchmgr.db.queries import hosts as queries
from patchmgr.db.queries.finding_filters import FindingFilter
from patchmgr.db.queries.finding_lines import FindingLine
from patchmgr.db.queries.hosts import HostFilter
from patchmgr.domain import host_facts
from patchmgr.domain.accounts import Role
from patchmgr.domain.advisories import Match, Severity, Status
from patchmgr.domain.facts import Installable
from patchmgr.domain.offers import Update
from patchmgr.domain.packages import SCHEME_OF_MANAGER
from patchmgr.domain.versions import SCHEMES
from patchmgr.domain.windows import next_opening
from web import choices, tables
from web.auth import requires
from web.context import now, session, settings
from web.machines import KINDS
from web.tables import Column, Fetched, Filter, Table, View, answer, plain

pages = Blueprint("hosts", __name__, url_prefix="/hosts")

HISTORY_SHOWN = 8  # changes; the page of the history has all
FINDINGS_SHOWN = 2000  # of one host; more than that is a page of its own

STATES = (
    ("overdue", "Overdue"),
    ("findings", "With findings"),
    ("clean", "Without findings"),
    ("silent", "Silent"),
    ("went_silent", "Went silent"),
    ("never", "Never reported"),
    ("no_platform", "Platform unknown"),
    ("reboot", "Reboot pending"),
)
HOSTS = Table(
    "hosts",
    (
        Column("hostname", "Host", sort=True),
        Column("platform", "Platform"),
        Column("environment", "Environment"),
        Column("worst", "Worst", sort=True, descending=True),
        Column("open_findings", "Findings", sort=True, descending=True, numeric=True),
        Column("fixable", "Fixable", numeric=True),
        Column("earliest_due", "Next due", sort=True),
        Column("reported_at", "Last report", sort=True),
        Column("reboot_pending", "Reboot", shown=False),
        Column("owner", "Owner"),
        Column("site", "Site", shown=False),
        Column("ring", "Ring", shown=False),
        Column("criticality", "Criticality", shown=False),
        Column("exposure", "Exposure", shown=False),
        Column("packages", "Packages", numeric=True, shown=False),
        Column("arch", "Architecture", shown=False),
        Column("tags", "Tags", shown=False),
    ),
    filters=(
        Filter("state", "State", STATES),
        Filter("platform", "Platform"),
        Filter("environment", "Environment"),
        Filter("owner", "Owner", is_choice=False),
        Filter("site", "Site", is_choice=False),
        Filter("ring", "Ring", is_choice=False),
        Filter("retired", "Retired", (("yes", "Retired hosts"),)),
    ),
    sort="hostname",
    search="Host name, owner or id",
)


@pages.get("")
@requires(Role.VIEWER)
def index() -> ResponseReturnValue:
    def fetch(view: View, limit: int, cursor: str | None) -> Fetched:
        filters = HostFilter(
            search=view.q,
            platform=view.get("platform"),
            environment=view.get("environment"),
            site=view.get("site"),
            owner=view.get("owner"),
            ring=view.get("ring"),
            state=view.get("state"),
            retired=bool(view.get("retired")),
        )
        found = queries.listing(
            session(),
            filters,
            now=now(),
            silent_days=settings().silent_days,
            sort=view.sort_key,
            descending=view.is_descending,
            limit=limit,
            cursor=cursor or "",
        )
        return Fetched.of(found)

    options = choices.of_hosts("platform", "environment")
    return answer(
        "hosts/list.html", HOSTS, fetch, options=options, silent_days=settings().silent_days
    )


@dataclass(frozen=True, slots=True)
class PackageFindings:
    """A host's findings in one source, or in one package where its vendor speaks of packages."""

    name: str
    packages: tuple[str, ...]  # the installed ones that it is about
    installed: str  # version of the source, or of the package
    fixed: str  # the highest fixed version: installing it closes all of them; "" without one
    worst: Severity
    due: datetime | None
    count: int
    reason: str
    installable: Installable | None  # of the highest fixed version
    exception: str  # the first one's label, where all of them are covered


def _offered_by(row: Update) -> str:
    return ", ".join(filter(None, (*row.suites, row.caution)))


GROUPS = Table(
    "packages",
    (
        Column("name", "Package"),
        Column("change", "Installed and fixed", value=lambda row: row.installed),
        Column("worst", "Worst"),
        Column("count", "Findings", numeric=True),
        Column("due", "Due"),
    ),
)
UPDATES = Table(
    "packages",
    (
        Column("package", "Package"),
        Column("change", "Installed and offered", value=lambda row: row.installed),
        Column("suites", "Offered by", value=_offered_by),
        Column("held", "Held"),
    ),
)
WAITING = Table(
    "packages",
    (
        Column("name", "Package"),
        Column("installed", "Installed"),
        Column("worst", "Worst"),
        Column("count", "Findings", numeric=True),
        Column("reason", "Why nothing can be done yet"),
    ),
)


@pages.get("/<name>")
@requires(Role.VIEWER)
def show(name: str) -> ResponseReturnValue:
    host = queries.get(session(), name)
    found = finding_queries.listing(
        session(),
        FindingFilter(host=host.line.hostname),
        now=now(),
        limit=FINDINGS_SHOWN,
        total=False,
    )
    groups = {
        status: by_source([line for line in found.lines if line.status == status])
        for status in (Status.AFFECTED, Status.NO_FIX, Status.UNDETERMINED)
    }
    since = now() - timedelta(days=settings().silent_days)
    named, window = windows.of_host(session(), host.line)
    said = facts.of_host(session(), host)
    newer = said.updates
    return render_template(
        "hosts/show.html",
        host=host.line,
        detail=host,
        is_silent=host.line.reported_at is None or host.line.reported_at < since,
        silent_days=settings().silent_days,
        total=host.line.open_findings if found.next else len(found.lines),
        fixable=plain(groups[Status.AFFECTED], GROUPS),
        unfixed=plain(groups[Status.NO_FIX], WAITING),
        unclear=plain(groups[Status.UNDETERMINED], WAITING),
        said=said,
        has_feed=host.has_feed,
        facts=host_facts.words(said.facts),
        updates=None if newer is None else plain(newer, UPDATES),
        history=past.timeline(session(), host.line.id, limit=HISTORY_SHOWN, total=False),
        work=overview.work_of(session(), host.line.id),
        named=named,
        window=window,
        opening=next_opening(window, now()) if window else None,
        machine=host.machine,
        conflict_kinds=KINDS,
    )


def by_source(lines: Sequence[FindingLine]) -> list[PackageFindings]:
    """Return a host's findings by what has to be updated, the most pressing first.

    Packages of one source are fixed together, so they stand together.
    """

    def subject(line: FindingLine) -> tuple[str, str, str]:
        if line.match == Match.SOURCE:
            return line.source, line.source_version, ""
        return line.package, line.installed, line.arch

    groups = []
    for (name, installed, _), same in groupby(sorted(lines, key=subject), key=subject):
        group = sorted(same, key=lambda line: -line.severity)
        first = group[0]
        groups.append(
            PackageFindings(
                name=name,
                packages=tuple(sorted({line.package for line in group})),
                installed=installed,
                fixed=highest(first.manager, {line.fixed for line in group if line.fixed}),
                worst=first.severity,
                due=min((x.due for x in group if x.due and not x.exception), default=None),
                count=len(group),
                reason=next((line.reason for line in group if line.reason), ""),
                installable=_least({line.installable for line in group}),
                exception=first.exception if all(line.exception for line in group) else "",
            )
        )
    return sorted(groups, key=lambda one: (one.due is None, one.due, -one.worst, one.name))


def _least(verdicts: Collection[Installable | None]) -> Installable | None:
    """Return the verdict for all of a group: none of it waits only when all can be installed."""
    worst = (Installable.NO, Installable.UNKNOWN, Installable.YES)
    return next((each for each in worst if each in verdicts), None)


def highest(manager: str, candidates: Collection[str]) -> str:
    """Return the highest of some versions as the manager's vendor sorts them; "" of none."""
    key = SCHEMES[SCHEME_OF_MANAGER[manager]]
    return max(candidates, key=key, default="")


PACKAGES = Table(
    "packages",
    (
        Column("name", "Package"),
        Column("version", "Version"),
        Column("arch", "Architecture"),
        Column("manager", "Manager", shown=False),
        Column("source", "Source"),
        Column("source_version", "Source version", shown=False),
    ),
    filters=(Filter("at", "As of", is_choice=False, is_time=True),),
    search="Package or source",
)


@pages.get("/<name>/packages")
@requires(Role.VIEWER)
def packages(name: str) -> ResponseReturnValue:
    """Show what is installed on a host, or was at an instant."""
    at = tables.read(PACKAGES, request.args).at()
    known = past.known(session(), name, at)
    found = past.installed(session(), known)

    def fetch(view: View, limit: int, cursor: str | None) -> Fetched:
        wanted = [p for p in found if view.q.lower() in f"{p.name} {p.source}".lower()]
        return Fetched.part(wanted, limit, cursor)

    kept = settings().history_since(now())
    not_kept = past.NOT_KEPT
    return answer("hosts/packages.html", PACKAGES, fetch, known=known, kept=kept, not_kept=not_kept)
