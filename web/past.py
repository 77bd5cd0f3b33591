"""What hosts were like: a host's history, and how two hosts or two instants differ."""

from dataclasses import replace

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from patchmgr.db.queries import findings as finding_queries
from patchmgr.db.queries import hosts as host_queries
from patchmgr.db.queries import past as queries
from patchmgr.db.queries.finding_filters import FindingFilter
from patchmgr.domain.accounts import Role
from patchmgr.domain.advisories import Status
from patchmgr.errors import InputError, NotFoundError
from web import tables, times
from web.auth import requires
from web.context import now, session, settings
from web.hosts import FINDINGS_SHOWN, by_source
from web.tables import Column, Fetched, Filter, Table, View, answer, plain

pages = Blueprint("past", __name__, url_prefix="/hosts")


def _number(step: queries.Step, kind: str) -> int | None:
    """Return how many packages a step added, say; None for the first, which changed nothing."""
    return None if step.difference is None else step.count(kind)


STEPS = Table(
    "history",
    (
        Column("since", "Since"),
        Column("packages", "Packages", numeric=True),
        Column("changed", "Changed", lambda step: _number(step, "changed"), numeric=True),
        Column("added", "Added", lambda step: _number(step, "added"), numeric=True),
        Column("removed", "Removed", lambda step: _number(step, "removed"), numeric=True),
    ),
)
CHANGES = Table(
    "difference",
    (
        Column("name", "Package"),
        Column("arch", "Architecture"),
        Column("before", "Before"),
        Column("after", "After"),
        Column("kind", "Kind", lambda change: change.direction or change.kind),
    ),
    filters=(
        Filter("other", "Compared with", is_choice=False),
        Filter("from", "From", is_choice=False),
        Filter("to", "To", is_choice=False),
        Filter(
            "kind", "Kind", (("changed", "Changed"), ("added", "Added"), ("removed", "Removed"))
        ),
    ),
)
FACTS = Table(
    "facts", (Column("fact", "Fact"), Column("before", "Before"), Column("after", "After"))
)


THEN = Table("past", (), filters=(Filter("at", "As of", is_choice=False, is_time=True),))
FOUND = Table(
    "packages",
    (
        Column("name", "Package"),
        Column("change", "Installed and fixed", value=lambda row: row.installed),
        Column("worst", "Worst"),
        Column("count", "Findings", numeric=True),
        Column("due", "Due"),
        Column("reason", "Why nothing could be done"),
    ),
)
FIXABLE, WAITING = (
    replace(FOUND, columns=tuple(one for one in FOUND.columns if one.key not in without))
    for without in (("reason",), ("due",))
)


@pages.get("/<name>/past")
@requires(Role.VIEWER)
def then(name: str) -> ResponseReturnValue:
    """Show a host as it was known at an instant: its findings, packages and facts."""
    view = tables.read(THEN, request.args)
    at = view.at()
    if at is None and not view.problems:
        return redirect(url_for("hosts.show", name=name))
    known = queries.known(session(), name, at)
    if at is None:
        return render_template("hosts/then.html", view=view, known=known, at=None)
    wanted = FindingFilter(host=known.hostname)
    found = finding_queries.listing(
        session(), wanted, at=at, now=at, limit=FINDINGS_SHOWN, total=False
    )
    groups = {
        status: by_source([line for line in found.lines if line.status == status])
        for status in (Status.AFFECTED, Status.NO_FIX, Status.UNDETERMINED)
    }
    return render_template(
        "hosts/then.html",
        view=view,
        known=known,
        at=at,
        total=len(found.lines),
        has_more=bool(found.next),
        judged_since=finding_queries.judged_since(session()),
        fixable=plain(groups[Status.AFFECTED], FIXABLE),
        unfixed=plain(groups[Status.NO_FIX], WAITING),
        unclear=plain(groups[Status.UNDETERMINED], WAITING),
        around=queries.around(session(), known, at),
        kept=settings().history_since(now()),
        findings_kept=settings().findings_since(now()),
        not_kept=queries.NOT_KEPT,
    )


@pages.get("/<name>/history")
@requires(Role.VIEWER)
def history(name: str) -> ResponseReturnValue:
    """Show every change of what is installed on a host, the newest first."""
    host = host_queries.get(session(), name).line

    def fetch(_view: View, limit: int, cursor: str | None) -> Fetched:
        return Fetched.of(
            queries.timeline(
                session(), host.id, limit=min(limit, queries.STEPS), cursor=cursor or ""
            )
        )

    kept = settings().history_since(now())
    return answer("hosts/history.html", STEPS, fetch, host=host, kept=kept)


@pages.get("/<name>/difference")
@requires(Role.VIEWER)
def difference(name: str) -> ResponseReturnValue:
    """Show how a host differs from another, or from itself at another instant.

    ``from`` is the instant of this host, ``to`` that of the other, or of this one later; without
    any, from before its last change until now.
    """
    given = {field: request.args.get(field, "").strip() for field in ("other", "from", "to")}
    problems: dict[str, str] = {}
    before = queries.known(session(), name)
    other, start, end = before, None, None
    try:
        start = times.as_of(given["from"], "from") if given["from"] else None
        end = times.as_of(given["to"], "to") if given["to"] else None
        other = queries.known(session(), given["other"] or before.hostname, end)
    except InputError as error:
        problems = dict(error.problems)
    except NotFoundError:
        problems = {"other": f"no host is called {given['other']!r}"}
    if start is None and not given["other"] and not problems:
        start = queries.before(session(), other)
    if start is not None:
        before = queries.known(session(), name, start)
    found = queries.compared(session(), before, other)

    sides = ("Before", "After") if before.id == other.id else (before.hostname, other.hostname)

    def fetch(view: View, limit: int, cursor: str | None) -> Fetched:
        rows = found.of(view.get("kind")) if view.get("kind") else found.packages
        return Fetched.part(rows, limit, cursor)

    return answer(
        "hosts/difference.html",
        _between(CHANGES, sides),
        fetch,
        before=before,
        after=other,
        found=found,
        facts=plain(found.facts, _between(FACTS, sides)),
        given=given | {"from": times.typed_as_of(start) if start else ""},
        problems=problems,
        kept=settings().history_since(now()),
        not_kept=queries.NOT_KEPT,
    )


def _between(table: Table, sides: tuple[str, str]) -> Table:
    """Return ``table`` with its two sides called as they are."""
    named = dict(zip(("before", "after"), sides, strict=True))
    columns = (replace(one, label=named.get(one.key, one.label)) for one in table.columns)
    return replace(table, columns=tuple(columns))
