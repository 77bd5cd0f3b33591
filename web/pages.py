"""Every blueprint of the console. A new page is its module, a line here, and its place."""

from flask import Blueprint

from web import (
    admin,
    advisories,
    api,
    auth,
    calendar,
    coverage,
    exceptions,
    feeds,
    findings,
    health,
    hosts,
    imports,
    overview,
    past,
    plans,
    policies,
    reports,
    search,
    software,
)

BLUEPRINTS: tuple[Blueprint, ...] = (
    auth.pages,
    overview.pages,
    hosts.pages,
    past.pages,
    software.pages,
    findings.pages,
    advisories.pages,
    exceptions.pages,
    feeds.pages,
    coverage.pages,
    imports.pages,
    plans.pages,
    calendar.pages,
    policies.pages,
    reports.pages,
    admin.pages,
    search.pages,
    health.pages,
    api.pages,
)
