"""Compliance reports."""

from typing import Literal

from flask import Response, send_file
from pydantic import Field

from patchmgr.db.queries import reports_made
from patchmgr.domain.accounts import Role
from patchmgr.domain.numbers import whole
from patchmgr.errors import InputError
from patchmgr.services import reports as service
from web.api.routing import Raw, actor, route
from web.api.values import In, Out, PageOf, Paging, Plain, When, Words
from web.context import db, now, session, settings


class Share(Out):
    """``n`` of ``of``: no percentage without its denominator."""

    n: int
    of: int


class Report(Out):
    """A kept report."""

    id: int
    kind: str
    as_of: When
    made_at: When
    made_by: str
    policy: str
    policy_version: int
    formats: Words
    hosts: int
    compliant: Share
    unknown: Share
    overdue: Share
    files: dict[str, str] = Field(description="name -> SHA-256, hex")


class ReportIn(In):
    at: When | None = Field(None, description="As of this instant; by default now.")
    formats: list[Literal["html", "pdf", "xlsx", "csv", "json"]] = Field(
        ["json"], min_length=1, max_length=5
    )
    policy: Plain | None = Field(None, description="By default the one in force then.")


@route("GET", "/reports", tag="reports", query=Paging, answer=PageOf[Report])
def list_reports(query: Paging) -> object:
    """List kept reports, the newest first."""
    before = whole(query.cursor)
    if before is None and query.cursor:
        raise InputError({"cursor": "is not one that this listing gave"})
    found = reports_made.listing(session(), limit=query.limit + 1, before=before)
    shown = found[: query.limit]
    return {
        "items": shown,
        "total": reports_made.count(session()),
        "next": str(shown[-1].id) if len(found) > len(shown) else None,
    }


@route(
    "POST", "/reports", tag="reports", role=Role.OPERATOR, body=ReportIn, answer=Report, status=201
)
def make_report(body: ReportIn) -> object:
    """Make a compliance report."""
    made = service.make(
        db(),
        at=body.at or now(),
        formats=body.formats,
        policy=body.policy,
        settings=settings(),
        actor=actor(),
        now=now(),
    )
    return reports_made.get(session(), made.id)


@route("GET", "/reports/<int:report_id>", tag="reports", answer=Report)
def get_report(report_id: int) -> object:
    """Get one kept report."""
    return reports_made.get(session(), report_id)


@route(
    "GET",
    "/reports/<int:report_id>/files/<name>",
    tag="reports",
    gives=Raw(("application/octet-stream",), "The file.", is_binary=True),
)
def get_report_file(report_id: int, name: str) -> Response:
    """Download a file of a report, its manifest or the signature among them."""
    path = service.stored_file(session(), report_id, name, settings=settings())
    return send_file(
        path, mimetype="application/octet-stream", as_attachment=True, download_name=name
    )
