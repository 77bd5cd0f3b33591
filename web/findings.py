"""Findings: what is open where, and why."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlencode

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from patchmgr.db.queries import explained, explanations, flaws
from patchmgr.db.queries import findings as queries
from patchmgr.db.queries.finding_filters import FindingFilter
from patchmgr.domain.accounts import Role
from patchmgr.domain.advisories import Status
from patchmgr.domain.exceptions import Scope, Type
from patchmgr.domain.facts import Installable
from patchmgr.domain.numbers import whole
from patchmgr.domain.urgency import word_of
from patchmgr.errors import InputError
from web import choices, exceptions, times
from web.auth import requires
from web.context import now, session, settings
from web.tables import Column, Fetched, Filter, Table, View, answer

pages = Blueprint("findings", __name__, url_prefix="/findings")

FINDINGS = Table(
    "findings",
    (
        Column("host", "Host", sort=True),
        Column("package", "Package", sort=True),
        Column("installed", "Installed"),
        Column("fixed", "Fixed in"),
        Column("status", "Status"),
        Column("severity", "Severity", sort=True, descending=True),
        Column("advisory", "Advisory", sort=True),
        Column("due", "Due", sort=True, one_way=True),
        Column("installable", "Can be installed", shown=False),
        Column("kev", "Known exploited", lambda row: word_of(row.kev), shown=False),
        Column("cves", "CVEs", shown=False),
        Column("first_seen", "First seen", shown=False),
        Column("platform", "Platform", shown=False),
        Column("arch", "Architecture", shown=False),
        Column("manager", "Manager", shown=False),
        Column("exception", "Exception", shown=False),
        Column("reason", "Reason", shown=False),
    ),
    filters=(
        Filter("severity", "Severity", choices.SEVERITIES),
        Filter("status", "Status", choices.STATUSES),
        Filter("kev", "Known exploited", (("yes", "Exploited"), ("no", "Not listed"))),
        Filter("installable", "Offered to the host", choices.INSTALLABLE),
        Filter("overdue", "Due date", (("yes", "Overdue"),)),
        Filter("exception", "Exception", (("open", "Not excepted"), ("excepted", "Excepted"))),
        Filter("platform", "Platform"),
        Filter("environment", "Environment"),
        Filter("host", "Host", is_choice=False),
        Filter("package", "Package", is_choice=False),
        Filter("advisory", "Advisory", is_choice=False),
        Filter("cve", "CVE", is_choice=False),
        Filter("revision", "Brought or changed by revision", is_choice=False),
        Filter("exception_id", "Exception", is_choice=False),
        Filter("at", "As of", is_choice=False, is_time=True),
    ),
    sort="host",
    search="Host, package, advisory or CVE",
)
THEN = replace(  # by due date they sort as they are now only
    FINDINGS,
    columns=tuple(replace(each, sort=each.sort and each.key != "due") for each in FINDINGS.columns),
)


@pages.get("")
@requires(Role.VIEWER)
def index() -> ResponseReturnValue:
    """Show the findings that are open, or were at an instant as the service had concluded then."""

    def fetch(view: View, limit: int, cursor: str | None) -> Fetched:
        found = queries.listing(
            session(),
            _filter(view),
            at=view.at(),
            now=view.at() or now(),
            sort=view.sort_key,
            descending=view.is_descending and view.sort_key != "due",
            limit=limit,
            cursor=cursor or "",
        )
        return Fetched.of(found)

    return answer(
        "findings/list.html",
        THEN if request.args.get("at", "").strip() else FINDINGS,
        fetch,
        options=choices.of_hosts("platform", "environment"),
        plan_of=_plan_of,
        judged_since=lambda: queries.judged_since(session()),
        kept=settings().findings_since(now()),
    )


PLANNED = ("severity", "platform", "environment", "host", "package", "advisory", "cve")
NOT_PLANNED = {
    "q": "the search",
    "overdue": "the filter on due dates",
    "installable": "the filter on what is offered",
    "exception_id": "the filter on an exception",
    "at": "the instant of the past",
}


def _plan_of(view: View) -> tuple[str, str]:
    """Return the address of a new plan for what is filtered, and why there is none instead."""
    if not view.is_filtered or view.get("status") not in ("", Status.AFFECTED):
        return "", ""  # everything, or what has no fix to install
    if view.get("exception") == "excepted":
        return "", "What an exception covers is in no plan."
    if others := [words for name, words in NOT_PLANNED.items() if view.get(name)]:
        return "", f"To plan what is filtered, leave out {' and '.join(others)}."
    asked = {name: value for name in PLANNED if (value := view.get(name))}
    return f"{url_for('plans.new')}?{urlencode(asked)}", ""


def _filter(view: View) -> FindingFilter:
    return FindingFilter(
        host=view.get("host"),
        platform=view.get("platform"),
        environment=view.get("environment"),
        package=view.get("package"),
        advisory=view.get("advisory"),
        cve=view.get("cve").upper(),
        status=view.get("status"),
        revision=_number(view.get("revision")),
        severity=choices.exactly(view.get("severity")),
        severity_at_least=choices.at_least(view.get("severity")),
        kev=view.get("kev") if view.get("kev") in ("yes", "no") else "",
        installable=view.get("installable") if view.get("installable") in {*Installable} else "",
        overdue=bool(view.get("overdue")),
        exception=view.get("exception"),
        exception_id=_number(view.get("exception_id")),
        search=view.q,
    )


def _number(text: str) -> int | None:
    """Return the number of an exception or revision; 0, which finds none, for what is no number."""
    if not text:
        return None
    return whole(text) or 0


@pages.get("/<host>/<path:package>")
@requires(Role.VIEWER)
def why(host: str, package: str) -> ResponseReturnValue:
    """Show what was concluded about a package of a host, and from what."""
    return _why(host, package, MultiDict(), {})


@pages.post("/<host>/<path:package>")
@requires(Role.OPERATOR)
def report_wrong(host: str, package: str) -> ResponseReturnValue:
    """Record that a finding is a false positive: on this host, or on all."""
    given = request.form
    try:
        scope = Scope(
            advisory=given.get("advisory", ""),
            package=given.get("package", ""),
            host="" if given.get("where") == "everywhere" else host,
        )
        added = exceptions.record(
            scope, Type.FALSE_POSITIVE, given.get("reason", ""), given.get("expires", "")
        )
    except InputError as error:
        return _why(host, package, given, error.problems), 422
    flash(exceptions.words_of(added))
    return redirect(url_for(".why", host=host, package=package), code=303)


def _why(host: str, package: str, given: MultiDict[str, str], problems: Mapping[str, str]) -> str:
    found = explanations.explain(session(), host, package, at=now())
    return render_template(
        "findings/why.html",
        found=found,
        given=given,
        problems=problems,
        in_a_year=times.typed(now() + timedelta(days=365))[:10],
        sentence=explained.sentence,
        would_change=explained.what_would_change,
        words=flaws.words,
    )
