"""Software: every package of the fleet, its versions, and which hosts have or had them."""

from dataclasses import replace
from functools import cache

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from patchmgr.db.queries import installations, software_then
from patchmgr.db.queries import software as queries
from patchmgr.db.queries.installations import Found, Hit, Wanted
from patchmgr.db.queries.paging import Page
from patchmgr.db.queries.software import SoftwareFilter
from patchmgr.domain.accounts import Role
from patchmgr.errors import InputError
from web import tables
from web.auth import requires
from web.context import now, session, settings
from web.tables import Column, Fetched, Filter, Options, Table, View, answer

pages = Blueprint("software", __name__, url_prefix="/software")

DOUBTS = (("no_source", "Source not known"), ("foreign", "Not built by the vendor"))
SOFTWARE = Table(
    "software",
    (
        Column("name", "Package", sort=True),
        Column("manager", "Manager"),
        Column("platforms", "Releases", numeric=True, shown=False),
        Column("versions", "Versions", numeric=True),
        Column("hosts", "Hosts", sort=True, descending=True, numeric=True),
    ),
    filters=(
        Filter("manager", "Manager"),
        Filter("platform", "Release"),
        Filter("doubt", "Origin", DOUBTS),
        Filter("at", "As of", is_choice=False, is_time=True),
    ),
    sort="name",
    search="Package",
)
VERSIONS = Table(
    "versions",
    (
        Column("version", "Version"),
        Column("platform", "Release"),
        Column("arch", "Architecture"),
        Column("source", "Source"),
        Column("source_version", "Source version", shown=False),
        Column("origin", "Built by", shown=False),
        Column("hosts", "Hosts", numeric=True),
    ),
    filters=(
        Filter("platform", "Release", is_choice=False),
        Filter("at", "As of", is_choice=False, is_time=True),
    ),
)


def _versions(hit: Hit) -> tuple[str, ...]:
    return tuple(dict.fromkeys(package.version for package in hit.packages))


COMPARISONS = (("below", "older than"), ("above", "newer than"), ("version", "exactly"))
WHO = Table(
    "hosts",
    (
        Column("hostname", "Host"),
        Column("versions", "Version", _versions),
        Column(
            "packages", "Packages", lambda hit: tuple(dict.fromkeys(p.name for p in hit.packages))
        ),
        Column("platform", "Platform"),
        Column("environment", "Environment"),
        Column("owner", "Owner"),
    ),
    filters=(
        Filter("name", "Package", is_choice=False),
        Filter("source", "Name", (("yes", "of the source"),)),
        Filter("manager", "Manager"),
        Filter("compare", "Version is", COMPARISONS),
        Filter("than", "Version", is_choice=False),
        Filter("platform", "Release"),
        Filter("at", "As of", is_choice=False, is_time=True),
    ),
)


@pages.get("")
@requires(Role.VIEWER)
def index() -> ResponseReturnValue:
    """Show the packages of the fleet, or those it had at an instant."""
    then = cache(lambda at: software_then.then(session(), at))

    def fetch(view: View, limit: int, cursor: str | None) -> Fetched:
        filters = SoftwareFilter(
            view.q, view.get("manager"), view.get("platform"), view.get("doubt")
        )
        found = queries.listing(
            session(),
            filters,
            then=then(view.at()),
            sort=view.sort_key,
            descending=view.is_descending,
            limit=limit,
            cursor=cursor or "",
        )
        return Fetched.of(found)

    return answer(
        "software/list.html",
        SOFTWARE,
        fetch,
        options=_options(),
        then=then,
        kept=settings().history_since(now()),
    )


@pages.get("/<manager>/<path:name>")
@requires(Role.VIEWER)
def show(manager: str, name: str) -> ResponseReturnValue:
    """Show the versions of a package that hosts have, or had at an instant."""
    view = tables.read(VERSIONS, request.args)
    then = software_then.then(session(), view.at())
    lines = queries.versions(session(), manager, name, platform=view.get("platform"), then=then)

    def fetch(_view: View, limit: int, cursor: str | None) -> Fetched:
        return Fetched.part(lines, limit, cursor)

    return answer(
        "software/show.html",
        VERSIONS,
        fetch,
        manager=manager,
        name=name,
        hosts=queries.hosts_of(session(), manager, name, then=then),
        then=then,
        kept=settings().history_since(now()),
    )


@pages.get("/hosts")
@requires(Role.VIEWER)
def who() -> ResponseReturnValue:
    """Show the hosts that have a package, or had it at an instant."""
    problems: dict[str, str] = {}
    notes = Found(Page((), 0), 0, (), 0)

    def fetch(view: View, limit: int, cursor: str | None) -> Fetched:
        nonlocal notes
        try:
            wanted = _wanted(view)
            if wanted.name:
                notes = installations.search(session(), wanted, limit=limit, cursor=cursor or "")
        except InputError as error:
            if "cursor" in error.problems:
                raise
            problems.update(error.problems)
        return Fetched.of(notes.hosts)

    return answer(
        "software/hosts.html",
        WHO,
        fetch,
        options=_options(),
        problems=problems,
        notes=lambda: notes,
        versions=_versions,
        kept=settings().history_since(now()),
    )


def _wanted(view: View) -> Wanted:
    wanted = Wanted(
        view.get("name"),
        view.get("manager"),
        bool(view.get("source")),
        platform=view.get("platform"),
        at=view.at(),
    )
    match view.get("compare"):
        case "below":
            return replace(wanted, below=view.get("than"))
        case "above":
            return replace(wanted, above=view.get("than"))
        case _:
            return replace(wanted, version=view.get("than"))


def _options() -> dict[str, Options]:
    found = queries.choices(session(), ever=bool(request.args.get("at", "").strip()))
    return {name: [(value, value) for value in values] for name, values in found.items()}
