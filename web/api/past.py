"""What hosts were like: at an instant, change by change, and how they differ."""

from pydantic import Field

from patchmgr.db.queries import hosts as host_queries
from patchmgr.db.queries import past as queries
from patchmgr.db.queries.past import Known
from patchmgr.errors import InputError
from web.api.fleet import Package
from web.api.routing import route
from web.api.values import In, Out, PageOf, Paging, Plain, When, Words, page
from web.context import now, session, settings


class ThenQuery(In):
    at: When = Field(description="The instant that is asked for.")


class HostThen(Out):
    """A host as it was known at an instant."""

    host: str
    at: When
    packages_since: When | None = Field(description="`null`: no inventory was known then.")
    facts: dict[str, str] | None = Field(description="`null`: no scan had noted any.")
    facts_not_kept: Words = Field(description="What is known of now only.")
    packages: list[Package]
    history_since: When | None = Field(
        description="Before this, history is not kept; `null`: all of it is."
    )


class Step(Out):
    """A time in which a host had the same packages, and what changed then."""

    since: When
    until: When | None = Field(description="`null`: still so.")
    packages: int
    changed: int | None = Field(description="`null`: the first that is known.")
    added: int | None
    removed: int | None


class DifferenceQuery(In):
    other: Plain = Field("", description="The host to compare with; without it, the same one.")
    since: When | None = Field(
        None,
        alias="from",
        description="This host as of then; without it and `other`, before its last change.",
    )
    until: When | None = Field(
        None, alias="to", description="The other as of then; by default now."
    )


class Side(Out):
    """One side of a comparison."""

    host: str
    at: When | None = Field(description="`null`: now.")
    packages_since: When | None = Field(description="`null`: no inventory is known.")
    packages: int
    facts_known: bool


class PackageChange(Out):
    """A package that is not the same; a host may have several versions of one."""

    manager: str
    name: str
    arch: str
    before: Words
    after: Words
    direction: str = Field(description="`newer`, `older`, or empty where it cannot be said.")


class FactChange(Out):
    fact: str
    before: str
    after: str


class Difference(Out):
    """How the second host, or instant, differs from the first."""

    before: Side
    after: Side
    facts_not_kept: Words = Field(description="Not kept of the past, so not compared.")
    packages_compared: bool = Field(description="False: of one side no inventory is known.")
    facts: list[FactChange]
    changed: list[PackageChange]
    added: list[PackageChange]
    removed: list[PackageChange]


@route("GET", "/hosts/<hostname>/past", tag="hosts", query=ThenQuery, answer=HostThen)
def get_host_then(hostname: str, query: ThenQuery) -> object:
    """Get a host as it was known at an instant."""
    known = queries.known(session(), hostname, query.at)
    return {
        "host": known.hostname,
        "at": query.at,
        "packages_since": known.since,
        "facts": known.facts,
        "facts_not_kept": known.not_kept,
        "packages": queries.installed(session(), known),
        "history_since": settings().history_since(now()),
    }


@route("GET", "/hosts/<hostname>/history", tag="hosts", query=Paging, answer=PageOf[Step])
def list_history(hostname: str, query: Paging) -> object:
    """List the changes of what is installed on a host, the newest first."""
    host = host_queries.get(session(), hostname).line
    found = queries.timeline(
        session(), host.id, limit=min(query.limit, queries.STEPS), cursor=query.cursor
    )
    return page(found) | {"items": [_step(each) for each in found.lines]}


@route("GET", "/hosts/<hostname>/difference", tag="hosts", query=DifferenceQuery, answer=Difference)
def get_difference(hostname: str, query: DifferenceQuery) -> object:
    """Say how a host differs from another, or from itself at another instant."""
    after = queries.known(session(), query.other or hostname, query.until)
    start = query.since
    if start is None and not query.other:
        start = queries.before(session(), after)
        if start is None:
            raise InputError({"from": "nothing is known of the host before; say an instant"})
    before = queries.known(session(), hostname, start)
    found = queries.compared(session(), before, after)
    return {
        "before": _side(before),
        "after": _side(after),
        "facts_not_kept": before.not_kept or after.not_kept,
        "packages_compared": before.has_packages and after.has_packages,
        "facts": found.facts,
        **{kind: found.of(kind) for kind in ("changed", "added", "removed")},
    }


def _step(step: queries.Step) -> dict[str, object]:
    first = step.difference is None
    return {
        "since": step.since,
        "until": step.until,
        "packages": step.packages,
        **{kind: None if first else step.count(kind) for kind in ("changed", "added", "removed")},
    }


def _side(known: Known) -> dict[str, object]:
    return {
        "host": known.hostname,
        "at": known.at,
        "packages_since": known.since,
        "packages": len(known.installed),
        "facts_known": known.facts is not None,
    }
