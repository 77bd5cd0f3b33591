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
    holds,
    hosts,
    imports,
    overview,
    planning_policies,
    plans,
    policies,
    reports,
    search,
)

BLUEPRINTS: tuple[Blueprint, ...] = (
    auth.pages,
    overview.pages,
    hosts.pages,
    findings.pages,
    advisories.pages,
    exceptions.pages,
    feeds.pages,
    coverage.pages,
    imports.pages,
    plans.pages,
    calendar.pages,
    holds.pages,
    policies.pages,
    planning_policies.pages,
    reports.pages,
    admin.pages,
    search.pages,
    health.pages,
    api.pages,
)
