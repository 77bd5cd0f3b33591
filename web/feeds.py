"""Feeds: how fresh each source of advisories is, and what it brought."""

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from patchmgr.db.queries import feeds as queries
from patchmgr.domain.accounts import Role
from patchmgr.services import jobs
from web.auth import requires
from web.context import db, now, session, settings, viewer
from web.tables import Column, Fetched, Table, View, answer, plain

pages = Blueprint("feeds", __name__, url_prefix="/feeds")

FEEDS = Table(
    "feeds",
    (
        Column("name", "Feed"),
        Column("state", "State"),
        Column("advisories", "Advisories", lambda f: f.counts.get("advisories"), numeric=True),
        Column("notes", "CVE notes", lambda f: f.counts.get("notes"), numeric=True),
        Column("offers", "Offers", lambda f: f.counts.get("offers"), numeric=True),
        Column(
            "support", "Support dates", lambda f: f.counts.get("support"), numeric=True, shown=False
        ),
        Column("platforms", "Platforms", lambda f: sorted(f.counts.get("platforms", ()))),
        Column("succeeded_at", "Last good sync"),
        Column("revision_at", "Last change"),
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


@pages.get("")
@requires(Role.VIEWER)
def index() -> ResponseReturnValue:
    found = queries.listing(session(), now=now(), stale_hours=settings().stale_feed_hours)
    return render_template("feeds/list.html", listing=plain(found, FEEDS))


@pages.get("/<name>")
@requires(Role.VIEWER)
def show(name: str) -> ResponseReturnValue:
    feed = queries.get(session(), name, now=now(), stale_hours=settings().stale_feed_hours)

    def fetch(_view: View, limit: int, cursor: str | None) -> Fetched:
        return Fetched.of(queries.revisions(session(), name, limit=limit, cursor=cursor or ""))

    return answer("feeds/show.html", REVISIONS, fetch, feed=feed)


@pages.post("/<name>/sync")
@requires(Role.OPERATOR)
def sync(name: str) -> ResponseReturnValue:
    """Ask the scheduler to sync a feed now."""
    jobs.request(db(), f"sync:{name}", actor=viewer().name, now=now())
    flash(f"The sync of {name} is asked for; it starts within seconds.")
    return redirect(url_for(".show", name=name), code=303)
