"""The six places of the console and what is in them; a place appears when its page exists."""

from dataclasses import dataclass

from flask import current_app, request, url_for

from patchmgr.domain.accounts import Role
from patchmgr.services.sign_ins import Viewer
from web.auth import PUBLIC, needed


@dataclass(frozen=True, slots=True)
class Place:
    label: str
    endpoint: str
    icon: str = ""
    inside: tuple["Place", ...] = ()
    also: tuple[str, ...] = ()  # first parts of addresses that belong here too


PLACES = (
    Place("Overview", "overview.index", "home"),
    Place(
        "Fleet",
        "hosts.index",
        "server",
        (
            Place("Hosts", "hosts.index"),
            Place("Software", "software.index"),
            Place("Imports", "imports.index"),
            Place("Coverage", "coverage.index", also=("/conflicts",)),
        ),
    ),
    Place(
        "Advisories",
        "findings.index",
        "shield-exclamation",
        (
            Place("Findings", "findings.index"),
            Place("Advisories", "advisories.index", also=("/cves",)),
            Place("Exceptions", "exceptions.index"),
            Place("Feeds", "feeds.index"),
        ),
    ),
    Place(
        "Plans",
        "plans.index",
        "rocket",
        (
            Place("Plans", "plans.index"),
            Place("Rollouts", "rollouts.index"),
            Place("Calendar", "calendar.index"),
            Place("Holds", "holds.index"),
            Place("Policies", "policies.index", also=("/planning-policies",)),
        ),
    ),
    Place("Reports", "reports.index", "report"),
    Place(
        "Admin",
        "admin.jobs",
        "settings",
        (
            Place("Jobs", "admin.jobs"),
            Place("Users and tokens", "admin.users", also=("/admin/tokens",)),
            Place("Settings", "admin.settings"),
            Place("Audit", "admin.audit"),
            Place("Health", "admin.health"),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Link:
    label: str
    address: str
    icon: str
    is_here: bool  # this page, or one below it
    inside: tuple["Link", ...] = ()


def links(viewer: Viewer) -> list[Link]:
    """Return the navigation as ``viewer`` may use it, the present place marked."""
    found = []
    for place in PLACES:
        inside = tuple(_link(one) for one in place.inside if _may(viewer, one.endpoint))
        if inside:
            here = any(one.is_here for one in inside)
            found.append(Link(place.label, inside[0].address, place.icon, here, inside))
        elif not place.inside and _may(viewer, place.endpoint):
            found.append(_link(place))
    return found


def _link(place: Place) -> Link:
    address = url_for(place.endpoint)
    here = request.path == address or any(
        f"{request.path}/".startswith(f"{start}/")
        for start in (address.rstrip("/"), *place.also)
        if start
    )
    return Link(place.label, address, place.icon, here)


def _may(viewer: Viewer, endpoint: str) -> bool:
    if endpoint not in current_app.view_functions:
        return False
    role = needed(current_app, endpoint)
    return role == PUBLIC or (role is not None and viewer.role.covers(Role(role)))
