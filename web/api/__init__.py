"""The JSON API, version 1 (design.md 5.3): what the pages can do, a program can do.

`routing.ROUTES` is the one table: the addresses that answer, their roles, and the OpenAPI document
all come from it. To add an operation, write its view in the module of its noun with `route` above
it; to add a noun, write a module and name it below.
"""

from web.api import (
    about,
    calendar,
    coverage,
    exceptions,
    feeds,
    findings,
    fleet,
    freezes,
    holds,
    imports,
    leases,
    machines,
    operations,
    past,
    plan_commands,
    plan_listings,
    plan_overrides,
    plans,
    policies,
    reports,
    software,
    tokens,
    uploads,
)
from web.api.routing import pages

__all__ = [
    "about",
    "calendar",
    "coverage",
    "exceptions",
    "feeds",
    "findings",
    "fleet",
    "freezes",
    "holds",
    "imports",
    "leases",
    "machines",
    "operations",
    "pages",
    "past",
    "plan_commands",
    "plan_listings",
    "plan_overrides",
    "plans",
    "policies",
    "reports",
    "software",
    "tokens",
    "uploads",
]
