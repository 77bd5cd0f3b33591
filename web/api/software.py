"""The packages of the fleet, their versions, and which hosts have or had them."""

from typing import Literal

from pydantic import Field

from patchmgr.db.queries import installations, software_then
from patchmgr.db.queries import software as queries
from patchmgr.db.queries.installations import Wanted
from patchmgr.db.queries.software import SoftwareFilter
from patchmgr.errors import NotFoundError
from web.api.fleet import Package
from web.api.routing import route
from web.api.values import Flag, In, Out, PageOf, Paging, Plain, When, Words, page
from web.context import now, session, settings


class Software(Out):
    """A package by name, with how many hosts have it in any version."""

    manager: str
    name: str
    platforms: int
    versions: int = Field(description="Different ones that any host has.")
    hosts: int


class SoftwareFound(PageOf[Software]):
    """A page of packages, and of how many hosts they are known."""

    hosts_known: int = Field(
        description="Hosts of which it is known what they had at that instant, or have now. With 0"
        " an empty page says nothing."
    )
    history_since: When | None = Field(
        description="Before this, history is not kept; `null`: all of it is."
    )


class SoftwareQuery(Paging):
    search: Plain = Field("", description="Part of the name.")
    manager: Plain = ""
    platform: Plain = Field("", description="Such as `debian:12`.")
    doubt: Literal["", "no_source", "foreign"] = Field(
        "", description="Whose source is not known, or that another than the vendor built."
    )
    sort: Literal["name", "hosts"] = "name"
    at: When | None = Field(None, description="As of this instant; by default now.")


class Version(Out):
    """A version of a package that hosts have, as it was built for a platform."""

    version: str
    platform: str
    arch: str
    source: str
    source_version: str
    origin: str
    hosts: int


class VersionQuery(In):
    manager: Plain
    name: Plain
    platform: Plain = ""
    at: When | None = Field(None, description="As of this instant; by default now.")


class InstallationQuery(Paging):
    """At most one of `below`, `above` and `version`."""

    name: Plain = Field(min_length=1)
    source: Flag = Field(False, description="`name` is of a source package, as is the version.")
    manager: Plain = ""
    below: Plain = Field("", description="In a version older than this one.")
    above: Plain = Field("", description="In a version newer than this one.")
    version: Plain = Field("", description="In this version.")
    platform: Plain = ""
    at: When | None = Field(None, description="As of this instant; by default now.")


class Installation(Out):
    """A host, and what it has of the packages that are looked for."""

    hostname: str
    platform: str = Field(description="As it is now.")
    environment: str
    owner: str
    retired: bool = Field(description="By now.")
    packages: list[Package]


class Installations(PageOf[Installation]):
    """A page of hosts, and what could not be compared."""

    known: int = Field(description="Versions of that name that were ever seen.")
    unclear: Words = Field(description="Versions that cannot be compared.")
    hosts_known: int = Field(
        description="Hosts of which it is known what they had at that instant, or have now."
    )
    history_since: When | None = Field(
        description="Before this, history is not kept; `null`: all of it is."
    )


@route("GET", "/software", tag="software", query=SoftwareQuery, answer=SoftwareFound)
def list_software(query: SoftwareQuery) -> object:
    """List the packages of the fleet, or those it had at an instant."""
    filters = SoftwareFilter(query.search, query.manager, query.platform, query.doubt)
    then = software_then.then(session(), query.at)
    found = queries.listing(
        session(),
        filters,
        then=then,
        sort=query.sort,
        descending=query.sort == "hosts",
        limit=query.limit,
        cursor=query.cursor,
    )
    return page(found) | {
        "hosts_known": software_then.hosts_known(session(), then),
        "history_since": settings().history_since(now()),
    }


@route("GET", "/software/versions", tag="software", query=VersionQuery, answer=list[Version])
def list_software_versions(query: VersionQuery) -> object:
    """List the versions of a package that hosts have, or had at an instant, the newest first.

    An instant at which no host's packages were known is answered with 404, not with an empty list.
    """
    then = software_then.then(session(), query.at)
    if then is not None and not then.hosts_known:
        raise NotFoundError("inventory of any host as of", then.at.isoformat())
    return queries.versions(
        session(), query.manager, query.name, platform=query.platform, then=then
    )


@route(
    "GET", "/software/installations", tag="software", query=InstallationQuery, answer=Installations
)
def list_installations(query: InstallationQuery) -> object:
    """List the hosts that have a package, or had it at an instant."""
    wanted = Wanted(
        query.name,
        query.manager,
        query.source,
        query.below,
        query.above,
        query.version,
        query.platform,
        query.at,
    )
    found = installations.search(session(), wanted, limit=query.limit, cursor=query.cursor)
    return page(found.hosts) | {
        "known": found.known,
        "unclear": found.versions_unclear,
        "hosts_known": found.hosts_known,
        "history_since": settings().history_since(now()),
    }
