"""Feeds: how fresh each source of advisories is, what it brought, and what that changed."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from patchmgr.db.queries import feed_changes
from patchmgr.db.queries import feeds as queries
from patchmgr.db.queries.feed_changes import CHANGES, MOST_COUNTED
from patchmgr.db.queries.feeds import FeedStatus
from patchmgr.domain.accounts import Role
from patchmgr.services import feeds as service
from patchmgr.services import jobs
from web.auth import requires
from web.context import db, now, session, settings, viewer
from web.tables import Column, Fetched, Filter, Table, View, answer, plain

pages = Blueprint("feeds", __name__, url_prefix="/feeds")

SHOWN_ASIDE = 20  # records set aside that the page shows at once
KINDS = {  # of content that a feed may have -> one of it, several
    "advisories": ("advisory", "advisories"),
    "notes": ("CVE note", "CVE notes"),
    "offers": ("offer", "offers"),
    "support": ("support date", "support dates"),
}


def _holds(counts: Mapping[str, Any]) -> list[str]:
    """Return what a feed has, kind by kind: "297 advisories"."""
    found = {kind: counts.get(kind) or 0 for kind in KINDS}
    return [f"{n:,} {KINDS[kind][n != 1]}" for kind, n in found.items() if n]


FEEDS = Table(
    "feeds",
    (
        Column("name", "Feed"),
        Column("standing", "State"),
        Column("holds", "Holds", lambda f: _holds(f.counts)),
        Column("set_aside", "Set aside", lambda f: f.counts.get("set_aside"), numeric=True),
        Column("platforms", "Platforms", lambda f: sorted(f.counts.get("platforms", ()))),
        Column("succeeded_at", "Last good sync"),
        Column("revision_at", "Last change"),
        Column("next_at", "Next sync"),
    ),
)
REVISIONS = Table(
    "revisions",
    (
        Column("made_at", "Made"),
        Column("advisories", "Advisories", lambda r: r.counts.get("advisories"), numeric=True),
        Column("notes", "CVE notes", lambda r: r.counts.get("notes"), numeric=True),
        Column("offers", "Offers", lambda r: r.counts.get("offers"), numeric=True),
        Column("new", "New", lambda r: r.counts.get("new"), numeric=True),
        Column("changed", "Changed", lambda r: r.counts.get("changed"), numeric=True),
        Column("withdrawn", "Withdrawn", lambda r: r.counts.get("withdrawn"), numeric=True),
        Column("digest", "Digest"),
        Column("source", "Read from"),
    ),
)
CHANGED = Table(
    "changed-advisories",
    (
        Column("ref", "Advisory"),
        Column("change", "What happened"),
        Column("severity", "Severity"),
        Column("title", "Title"),
        Column("hosts", "Hosts", numeric=True),
    ),
    filters=(Filter("change", "What happened", [(each, each.capitalize()) for each in CHANGES]),),
)
NOTES = Table("changed-notes", (Column("cve", "CVE"), Column("change", "What happened")))


@pages.get("")
@requires(Role.VIEWER)
def index() -> ResponseReturnValue:
    found = queries.listing(session(), now=now(), stale_hours=settings().stale_feed_hours)
    found.sort(key=lambda feed: (is_unused(feed), feed.standing in ("idle", "off")))
    return render_template(
        "feeds/list.html",
        listing=plain(found, FEEDS),
        held=_holds,
        wakes=service.wakes,
        mirrors=_mirrors(),
    )


@pages.get("/<name>")
@requires(Role.VIEWER)
def show(name: str) -> ResponseReturnValue:
    feed = _feed(name)

    def fetch(_view: View, limit: int, cursor: str | None) -> Fetched:
        return Fetched.of(queries.revisions(session(), name, limit=limit, cursor=cursor or ""))

    return answer(
        "feeds/show.html",
        REVISIONS,
        fetch,
        feed=feed,
        wakes=service.wakes,
        mirror=_mirrors().get(name, ()),
        hours=settings().hours_of(name),
        proxy=settings().feed_proxy,
        shown_aside=SHOWN_ASIDE,
    )


@pages.get("/<name>/revisions/<int:revision_id>")
@requires(Role.VIEWER)
def revision(name: str, revision_id: int) -> ResponseReturnValue:
    """Show what a revision changed, and which hosts that concerns."""
    made = feed_changes.get(session(), name, revision_id)
    totals = feed_changes.totals(session(), revision_id)
    concerned = sum(totals.get(each, 0) for each in ("new", "changed"))
    hosts = None
    if 0 < concerned <= MOST_COUNTED:
        hosts = feed_changes.hosts_concerned(session(), revision_id)

    def fetch(view: View, limit: int, cursor: str | None) -> Fetched:
        kind = view.get("change")
        found = feed_changes.advisories(
            session(),
            revision_id,
            at=made.line.made_at,
            kind=kind,
            limit=limit,
            cursor=cursor or "",
        )
        return Fetched.of(found)

    def fetch_notes(_view: View, limit: int, cursor: str | None) -> Fetched:
        return Fetched.of(
            feed_changes.notes(session(), revision_id, limit=limit, cursor=cursor or "")
        )

    speaks_of_flaws = "notes" in made.line.counts and not totals
    return answer(
        "feeds/revision.html",
        NOTES if speaks_of_flaws else CHANGED,
        fetch_notes if speaks_of_flaws else fetch,
        made=made,
        totals=totals,
        hosts=hosts,
        concerned=concerned,
        speaks_of_flaws=speaks_of_flaws,
    )


@pages.post("/<name>/sync")
@requires(Role.OPERATOR)
def sync(name: str) -> ResponseReturnValue:
    """Ask the scheduler to sync a feed now."""
    jobs.request(db(), f"sync:{name}", actor=viewer().name, now=now())
    flash(f"The sync of {name} is asked for; it starts within seconds.")
    return redirect(url_for(".show", name=name), code=303)


@pages.post("/<name>/accept-smaller")
@requires(Role.OPERATOR)
def accept(name: str) -> ResponseReturnValue:
    """Confirm that a feed did become as small as it is held for."""
    service.accept_smaller(db(), name, actor=viewer().name, now=now())
    flash(f"Confirmed. The sync of {name} is asked for; it starts within seconds.")
    return redirect(url_for(".show", name=name), code=303)


def is_unused(feed: FeedStatus) -> bool:
    """Return whether nothing is read from a feed, and nothing ever was."""
    return feed.standing in ("idle", "off") and feed.succeeded_at is None


def _feed(name: str) -> FeedStatus:
    return queries.get(session(), name, now=now(), stale_hours=settings().stale_feed_hours)


def _mirrors() -> dict[str, tuple[str, ...]]:
    return dict(settings().mirrors)
