"""Feeds, their revisions, and what each changed."""

from typing import Any, Literal

from pydantic import Field

from patchmgr.db.queries import feed_changes
from patchmgr.db.queries import feeds as queries
from patchmgr.db.queries import jobs as job_queries
from patchmgr.db.queries.feeds import FeedStatus
from patchmgr.domain.accounts import Role
from patchmgr.services import feeds as service
from web.api.operations import Run
from web.api.routing import actor, route
from web.api.values import Document, Out, PageOf, Paging, SeverityWord, When, Words, page
from web.context import db, now, session, settings


class Feed(Out):
    """A vendor feed and how fresh it is."""

    name: str
    title: str
    enabled: bool
    state: str = Field(description="never, ok, failed or held")
    idle: bool = Field(description="No host needs it and no mirror is set: it is not fetched.")
    attempted_at: When | None
    succeeded_at: When | None
    next_at: When | None = Field(description="When the schedule syncs it next.")
    bundled_at: When | None = Field(description="When the bundle was made that it came in.")
    error: str
    held: Document = Field(description="While held: kind to how many there are and would be.")
    smaller_accepted: bool
    revision_id: int | None
    revision_at: When | None
    digest: str
    source: str
    addresses: Words = Field(description="That the last sync over the network started from.")
    counts: Document = Field(
        description="Of the revision: advisories, notes, what was set aside with its reasons, "
        "what was skipped, statements by platform."
    )
    is_stale: bool


class FeedInFull(Feed):
    """A feed with how it is fetched."""

    mirror: Words
    hours: int = Field(description="Hours between syncs.")
    wakes: str = Field(description="Why it is idle when it is, and what would wake it.")


class Revision(Out):
    """The content of a feed at one time."""

    id: int
    digest: str
    made_at: When
    source: str
    counts: Document


class RevisionInFull(Out):
    """A revision with what it did to how many advisories, and the revisions beside it."""

    revision: Revision
    before: int | None
    after: int | None
    advisories: dict[str, int]


class ChangedAdvisory(Out):
    """What a revision did to an advisory."""

    ref: str
    change: str = Field(description="new, changed or withdrawn")
    title: str
    severity: SeverityWord
    hosts: int = Field(description="With an open finding; of a withdrawn one, until then.")


class ChangedNote(Out):
    """What a revision did to what a feed says of a CVE."""

    cve: str
    change: str = Field(description="new, changed or withdrawn")


class ChangeQuery(Paging):
    change: Literal["", "new", "changed", "withdrawn"] = ""


@route("GET", "/feeds", tag="operations", answer=list[Feed])
def list_feeds() -> object:
    """List feeds and how fresh each is."""
    return queries.listing(session(), now=now(), stale_hours=settings().stale_feed_hours)


@route("GET", "/feeds/<name>", tag="operations", answer=FeedInFull)
def get_feed(name: str) -> dict[str, Any]:
    """Get one feed: how it stands, and how it is fetched."""
    found = queries.get(session(), name, now=now(), stale_hours=settings().stale_feed_hours)
    return _fields(found) | {
        "mirror": settings().mirrors.get(name, ()),
        "hours": settings().hours_of(name),
        "wakes": service.wakes(name),
    }


@route("GET", "/feeds/<name>/revisions", tag="operations", query=Paging, answer=PageOf[Revision])
def list_revisions(name: str, query: Paging) -> object:
    """List the revisions of a feed, the newest first."""
    queries.get(session(), name, now=now())
    return page(queries.revisions(session(), name, limit=query.limit, cursor=query.cursor))


@route("GET", "/feeds/<name>/revisions/<int:revision_id>", tag="operations", answer=RevisionInFull)
def get_revision(name: str, revision_id: int) -> dict[str, Any]:
    """Get one revision of a feed."""
    found = feed_changes.get(session(), name, revision_id)
    return {
        "revision": found.line,
        "before": found.before,
        "after": found.after,
        "advisories": feed_changes.totals(session(), revision_id),
    }


@route(
    "GET",
    "/feeds/<name>/revisions/<int:revision_id>/advisories",
    tag="operations",
    query=ChangeQuery,
    answer=PageOf[ChangedAdvisory],
)
def list_changed_advisories(name: str, revision_id: int, query: ChangeQuery) -> object:
    """List the advisories that a revision brought, changed or withdrew, the most severe first.

    A feed's first revision brought all that it has, which is not listed.
    """
    made = feed_changes.get(session(), name, revision_id).line.made_at
    return page(
        feed_changes.advisories(
            session(),
            revision_id,
            at=made,
            kind=query.change,
            limit=query.limit,
            cursor=query.cursor,
        )
    )


@route(
    "GET",
    "/feeds/<name>/revisions/<int:revision_id>/notes",
    tag="operations",
    query=Paging,
    answer=PageOf[ChangedNote],
)
def list_changed_notes(name: str, revision_id: int, query: Paging) -> object:
    """List the CVEs of which a feed said something else since a revision."""
    feed_changes.get(session(), name, revision_id)
    return page(feed_changes.notes(session(), revision_id, limit=query.limit, cursor=query.cursor))


@route(
    "POST",
    "/feeds/<name>/accept-smaller",
    tag="operations",
    role=Role.OPERATOR,
    answer=Run,
    status=202,
)
def accept_smaller(name: str) -> object:
    """Confirm that a feed did become as small as it is held for, and ask for its sync."""
    run_id = service.accept_smaller(db(), name, actor=actor(), now=now())
    return job_queries.run(session(), run_id)


def _fields(found: FeedStatus) -> dict[str, Any]:
    return {name: getattr(found, name) for name in Feed.model_fields}
