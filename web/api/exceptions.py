"""Exceptions: recorded decisions not to act yet."""

from typing import Literal

from pydantic import Field

from patchmgr.db.queries import exceptions as queries
from patchmgr.domain.accounts import Role
from patchmgr.domain.exceptions import Scope, Type
from patchmgr.services import exceptions as service
from web.api.routing import route, who
from web.api.values import In, Out, PageOf, Paging, Plain, Text, When, page
from web.context import db, now, session, settings

TypeWord = Literal[
    "risk_accepted", "false_positive", "vendor_will_not_fix", "compensating_control", "deferral"
]


class ExceptionOut(Out):
    """A decision not to act yet; what its scope does not name is empty and does not restrict."""

    id: int
    type: TypeWord
    state: Literal["proposed", "in_force", "expired", "revoked"]
    cve: str = Field(description="Of advisories that name this CVE and no other.")
    advisory: str
    package: str = Field(description="An installed package, or its source.")
    host: str
    tag: str = Field(description="Of the host.")
    reason: str
    owner: str
    created_by: str
    created_at: When
    approved_by: str = Field(description="Empty until somebody has.")
    approved_at: When | None
    expires_at: When
    revoked_by: str
    revoked_at: When | None
    revoke_reason: str
    findings: int = Field(description="Open ones that its scope covers now.")


class ExceptionIn(In):
    cve: Plain = ""
    advisory: Plain = ""
    package: Plain = ""
    host: Plain = ""
    tag: Plain = ""
    type: TypeWord
    reason: Text
    expires_at: When
    owner: Plain = Field("", description="By default who records it.")


class RevokeIn(In):
    reason: Text = ""


class ExceptionQuery(Paging):
    limit: int = Field(50, ge=1, le=200, description="Rows of a page.")
    state: Literal["current", "proposed", "in_force", "expired", "revoked", "over", "all"] = Field(
        "current", description="`current`: proposed or in force; `over`: expired or revoked."
    )
    type: Literal[
        "",
        "risk_accepted",
        "false_positive",
        "vendor_will_not_fix",
        "compensating_control",
        "deferral",
    ] = ""
    search: Plain = Field("", description="Part of the scope, the reason or the owner.")


@route("GET", "/exceptions", tag="exceptions", query=ExceptionQuery, answer=PageOf[ExceptionOut])
def list_exceptions(query: ExceptionQuery) -> object:
    """List exceptions, the next to expire first."""
    found = queries.listing(
        session(),
        now=now(),
        state=query.state,
        type_=query.type,
        search=query.search,
        limit=query.limit,
        cursor=query.cursor,
    )
    return page(found)


@route("GET", "/exceptions/<int:exception_id>", tag="exceptions", answer=ExceptionOut)
def get_exception(exception_id: int) -> object:
    """Get one exception."""
    return queries.get(session(), exception_id, now=now())


@route(
    "POST",
    "/exceptions",
    tag="exceptions",
    role=Role.OPERATOR,
    body=ExceptionIn,
    answer=ExceptionOut,
    status=201,
)
def add_exception(body: ExceptionIn) -> object:
    """Record an exception for findings of which everything given is true; one part is needed.

    What an operator records is a proposal until an approver approves it. What an approver records
    is in force at once, unless the settings ask for another one's approval too.
    """
    added = service.add(
        db(),
        Scope(body.cve.upper(), body.advisory, body.package, body.host, body.tag),
        Type(body.type),
        reason=body.reason,
        expires_at=body.expires_at,
        owner=body.owner,
        settings=settings(),
        **who(),
    )
    return queries.get(session(), added.id, now=now())


@route(
    "POST",
    "/exceptions/<int:exception_id>/approve",
    tag="exceptions",
    role=Role.APPROVER,
    answer=ExceptionOut,
)
def approve_exception(exception_id: int) -> object:
    """Put a proposed exception in force; not for who proposed it."""
    service.approve(db(), exception_id, **who())
    return queries.get(session(), exception_id, now=now())


@route(
    "POST",
    "/exceptions/<int:exception_id>/revoke",
    tag="exceptions",
    role=Role.OPERATOR,
    body=RevokeIn,
    answer=ExceptionOut,
)
def revoke_exception(exception_id: int, body: RevokeIn) -> object:
    """End an exception, or withdraw it while it is proposed; what it covered is open again."""
    service.revoke(db(), exception_id, reason=body.reason, **who())
    return queries.get(session(), exception_id, now=now())
