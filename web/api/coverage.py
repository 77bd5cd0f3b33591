"""Blind spots: what of the fleet cannot be judged."""

from datetime import date

from pydantic import Field

from patchmgr.db.queries import coverage as queries
from web.api.routing import route
from web.api.values import Out, When, Words
from web.context import now, session, settings


class Platform(Out):
    """A platform of the fleet, and whether any feed speaks of it."""

    platform: str = Field(description="Empty when hosts do not say.")
    hosts: int
    reporting: int
    has_feed: bool


class SilentHost(Out):
    """A host whose inventory is missing or too old."""

    hostname: str
    platform: str
    owner: str
    reported_at: When | None = Field(description="`null`: it never reported.")
    silent_since: When | None


class Release(Out):
    """A release of the fleet whose standard support is over."""

    platform: str
    standard_support_ended: date
    extensions: str = Field(description="What carries it on, for whom.")
    hosts: int
    uncovered: int = Field(description="Of these, hosts that get no fixes any more.")


class NotJudged(Out):
    """A host with entries in its reports of which no package could be made."""

    hostname: str
    platform: str
    entries: int
    of: dict[str, int] = Field(description="Format of the report -> how many of them.")
    why: Words = Field(description="The first of them, each with why.")


class Coverage(Out):
    """What the service can and cannot judge; lists have at most 50 lines, the longest first."""

    hosts: int
    reporting: int
    judged: int = Field(description="Reporting hosts whose platform has a feed.")
    silent: int
    went_silent: int
    never_reported: int
    unknown_platform: int = Field(description="Hosts of which nobody said what they run.")
    without_feed: int = Field(description="Hosts whose platform has no feed.")
    releases_without_feed: int
    past_support: int = Field(description="Hosts that get no fixes any more.")
    unknown_support: int = Field(
        description="Hosts of releases of which nobody has said until when they get fixes."
    )
    stale: int = Field(description="Feeds that failed, are held or are stale.")
    undetermined: int = Field(description="Verdicts that could not be reached.")
    unknown_source: int = Field(description="Packages whose source is not known.")
    foreign_origin: int = Field(description="Packages that another than the vendor built.")
    not_judged: int = Field(description="Entries of reports that name no package to judge.")
    platforms: list[Platform]
    silent_hosts: list[SilentHost]
    releases: list[Release]
    stale_feeds: Words
    not_judged_hosts: list[NotJudged]


@route("GET", "/coverage", tag="coverage", answer=Coverage)
def get_coverage() -> object:
    """Say what of the fleet cannot be judged."""
    found = queries.coverage(
        session(),
        now=now(),
        silent_days=settings().silent_days,
        stale_hours=settings().stale_feed_hours,
    )
    return {
        **found.numbers,
        "platforms": found.platforms,
        "silent_hosts": found.silent,
        "releases": [
            {
                "platform": line.platform,
                "standard_support_ended": line.ending.since,
                "extensions": line.extensions,
                "hosts": line.hosts,
                "uncovered": line.uncovered,
            }
            for line in found.releases
        ],
        "stale_feeds": [line.name for line in found.stale],
        "not_judged_hosts": found.left,
    }
