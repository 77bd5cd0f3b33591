"""Holds: package versions that are known to be bad, which no plan may install."""

from typing import Literal

from pydantic import Field

from patchmgr.db.queries import holds as queries
from patchmgr.domain.accounts import Role
from patchmgr.domain.holds import Hold
from patchmgr.services import holds as service
from web.api.routing import route, who
from web.api.values import In, Out, PageOf, Paging, Plain, Text, When, page
from web.context import db, now, session


class HoldOut(Out):
    """Package versions that plans leave out."""

    id: int
    state: Literal["proposed", "in_force", "expired", "revoked"]
    package: str = Field(description="An installed package, or its source.")
    versions: str = Field(description="`1.2-3`, or bounds such as `>=1.2,<1.4`; empty: every one.")
    platform: str = Field(description="Empty: every one.")
    reason: str
    owner: str
    created_by: str
    created_at: When
    confirmed_by: str = Field(description="Empty while it is only proposed.")
    confirmed_at: When | None
    expires_at: When
    revoked_by: str
    revoked_at: When | None
    revoke_reason: str
    plan_id: int | None = Field(description="Whose hosts failed on it.")
    ring: str


class HoldIn(In):
    package: Plain = Field(min_length=1)
    versions: Plain = ""
    platform: Plain = ""
    reason: Text = Field(min_length=1)
    expires_at: When
    owner: Plain = Field("", description="By default who records it.")


class EndIn(In):
    reason: Text = ""


class HoldQuery(Paging):
    state: Literal["current", "proposed", "in_force", "expired", "revoked", "all"] = Field(
        "current", description="`current`: proposed or in force."
    )
    search: Plain = Field("", description="Part of the package, versions, reason or owner.")


@route("GET", "/holds", tag="holds", query=HoldQuery, answer=PageOf[HoldOut])
def list_holds(query: HoldQuery) -> object:
    """List holds, the newest first."""
    found = queries.listing(
        session(),
        now=now(),
        state=query.state,
        search=query.search,
        limit=query.limit,
        cursor=query.cursor,
    )
    return page(found)


@route("GET", "/holds/<int:hold_id>", tag="holds", answer=HoldOut)
def get_hold(hold_id: int) -> object:
    """Get one hold."""
    return queries.get(session(), hold_id, now=now())


@route("POST", "/holds", tag="holds", role=Role.OPERATOR, body=HoldIn, answer=HoldOut, status=201)
def add_hold(body: HoldIn) -> object:
    """Hold package versions: plans leave them out, and open plans that have them stop."""
    number = service.add(
        db(),
        Hold(body.package, body.versions, body.platform, body.reason),
        expires_at=body.expires_at,
        owner=body.owner,
        **who(),
    )
    return queries.get(session(), number, now=now())


@route("POST", "/holds/<int:hold_id>/confirm", tag="holds", role=Role.OPERATOR, answer=HoldOut)
def confirm_hold(hold_id: int) -> object:
    """Put a hold in force that failures of hosts proposed."""
    service.confirm(db(), hold_id, **who())
    return queries.get(session(), hold_id, now=now())


@route(
    "POST",
    "/holds/<int:hold_id>/revoke",
    tag="holds",
    role=Role.OPERATOR,
    body=EndIn,
    answer=HoldOut,
)
def revoke_hold(hold_id: int, body: EndIn) -> object:
    """End a hold, or set aside a proposed one."""
    service.revoke(db(), hold_id, reason=body.reason, **who())
    return queries.get(session(), hold_id, now=now())
