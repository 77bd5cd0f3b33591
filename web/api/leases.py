"""Orders that hosts and runners fetch, and what they say of them (docs/execution.md)."""

from typing import Annotated, Literal

from flask import Response
from pydantic import Field

from patchmgr.domain.accounts import Role
from patchmgr.domain.leases import MOST_AT_ONCE, Claim, holder_of_host
from patchmgr.domain.numbers import LARGEST_ID
from patchmgr.domain.rollout.events import Outcome
from patchmgr.domain.terms import Execution
from patchmgr.errors import ForbiddenError
from patchmgr.services import leases as service
from patchmgr.services import orders
from patchmgr.services.leases import Said
from web.api.routing import actor, route
from web.api.values import PLAIN, In, Out, Plain, When
from web.context import context, db, now, speaker_or_none, viewer
from web.pace import Pace

ASK_AGAIN = 30  # seconds after which one that got nothing should ask again
OUTPUT_LONGEST = 20_000  # characters
HOSTS, RUNNERS = Pace(120, 60), Pace(3000, 600)

Run = Annotated[
    str,
    Field(
        min_length=8,
        max_length=64,
        pattern=r"^[A-Za-z0-9._-]+$",
        description="Made by the client and kept before it begins: one process's own.",
    ),
]


class WorkItem(Out):
    """A package that must change."""

    package: str
    arch: str
    from_: str = Field(validation_alias="from_version", serialization_alias="from")
    to: str = Field(validation_alias="to_version")
    match: str = Field(description="Whether `to` is a version of the source or of the package.")
    source: str
    manager: str


class Order(Out):
    """What a host must do, and until when it may begin."""

    lease_id: str
    plan: int
    ring: str
    host_id: int
    host: str
    attempt: int
    content_hash: str
    begin_by: When
    expires_at: When = Field(description="Until then nobody else is given the order.")
    kind: Literal["install", "roll_back"] = Field(
        description="`roll_back`: take back what was installed, to exactly the versions in `to`."
    )
    reboot: Literal["allowed", "no"]
    work: list[WorkItem]
    now: When = Field(description="The server's clock.")


class ClaimIn(In):
    """Which order this is about; all of it must be as it was given."""

    attempt: int = Field(ge=1, le=LARGEST_ID)
    content_hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    run: Run


class Installed(In):
    """A package as it is now."""

    package: Plain
    arch: Plain = ""
    version: Plain


class LeaseResultIn(ClaimIn):
    outcome: Literal["running", "installed", "failed", "rolled_back", "skipped"]
    package: Plain = Field("", description="The one that failed.")
    output: Annotated[str, Field(max_length=OUTPUT_LONGEST, pattern=PLAIN)] = ""
    installed: list[Installed] = Field([], max_length=2000)
    reboot_pending: bool = False


class LeasesIn(In):
    limit: int = Field(10, ge=1, le=MOST_AT_ONCE, description="How many orders at most.")
    plan: int | None = Field(None, ge=1, le=LARGEST_ID, description="Only of this plan.")


class Standing(Out):
    """How the lease stands."""

    lease_id: str
    state: str = Field(description="Of the host's part: `leased`, `running`, `installed`, …")
    attempt: int
    expires_at: When | None = Field(description="Until then the server waits for the next word.")
    now: When


@route(
    "POST",
    "/hosts/<int:host_id>/leases",
    tag="leases",
    role=Role.OPERATOR,
    answer=Order,
    takes_hosts=True,
)
def lease_of_host(host_id: int) -> object:
    """Ask for the host's own order.

    204 where there is none now; `Retry-After` says when to ask again.
    """
    speaker = speaker_or_none()
    if speaker is None:
        raise ForbiddenError("send the host's own token: it speaks for its host, and nobody else")
    if speaker.host_id != host_id:
        raise ForbiddenError(f"this token speaks for {speaker.hostname} only")
    holder = _holder()
    found = orders.give(
        db(),
        Execution.AGENT,
        holder=holder,
        actor=actor(),
        clock=context().clock,
        host_id=host_id,
    )
    return found[0] if found else Response(status=204, headers={"Retry-After": str(ASK_AGAIN)})


@route(
    "POST",
    "/leases",
    tag="leases",
    role=Role.OPERATOR,
    body=LeasesIn,
    answer=list[Order],
    takes_runners=True,
)
def lease_many(body: LeasesIn) -> object:
    """Ask for the orders of many hosts, as a runner."""
    return orders.give(
        db(),
        Execution.RUNNER,
        holder=_holder(),
        actor=actor(),
        clock=context().clock,
        limit=body.limit,
        plan_id=body.plan,
    )


@route(
    "POST",
    "/leases/<lease_id>/begin",
    tag="leases",
    role=Role.OPERATOR,
    body=ClaimIn,
    answer=Standing,
    takes_hosts=True,
    takes_runners=True,
)
def begin_lease(lease_id: str, body: ClaimIn) -> object:
    """Begin. Only after this answers 200 may anything be changed on the host."""
    return service.begin(
        db(), lease_id, _claim(body), holder=_holder(), actor=actor(), clock=context().clock
    )


@route(
    "POST",
    "/leases/<lease_id>/renew",
    tag="leases",
    role=Role.OPERATOR,
    body=ClaimIn,
    answer=Standing,
    takes_hosts=True,
    takes_runners=True,
)
def renew_lease(lease_id: str, body: ClaimIn) -> object:
    """Say that the work, or the wish to begin it, is still there."""
    return service.renew(
        db(), lease_id, _claim(body), holder=_holder(), actor=actor(), clock=context().clock
    )


@route(
    "POST",
    "/leases/<lease_id>/result",
    tag="leases",
    role=Role.OPERATOR,
    body=LeaseResultIn,
    answer=Standing,
    takes_hosts=True,
    takes_runners=True,
)
def report_on_lease(lease_id: str, body: LeaseResultIn) -> object:
    """Report what became of it. The same again is answered as before."""
    said = Said(
        Outcome(body.outcome),
        body.package,
        body.output,
        body.reboot_pending,
        tuple(one.model_dump() for one in body.installed),
    )
    return service.result(
        db(), lease_id, _claim(body), said, holder=_holder(), actor=actor(), clock=context().clock
    )


def _claim(body: ClaimIn) -> Claim:
    return Claim(body.attempt, body.content_hash, body.run)


def _holder() -> str:
    """Return who holds what this request is about, if it does not come too often."""
    speaker = speaker_or_none()
    holder = viewer().name if speaker is None else holder_of_host(speaker.host_id)
    (RUNNERS if speaker is None else HOSTS).take(holder, now().timestamp())
    return holder
