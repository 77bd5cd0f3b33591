"""Machines that report by themselves: enrolment, their reports, and who may be whom."""

from typing import Annotated, Literal

from flask import request
from pydantic import Field

from inventory import conflicts, documents, host_reports, machines
from patchmgr.db.queries import identity as queries
from patchmgr.domain.accounts import Role
from patchmgr.errors import ForbiddenError, InputError
from patchmgr.services import enrolment
from web.api.routing import JSON, actor, route
from web.api.values import In, Out, Plain, When
from web.context import db, now, session, speaker_or_none, viewer

Id = Annotated[str, Field(max_length=64, description="Empty where it is not known.")]


class Machine(In):
    """What a machine says of itself."""

    hostname: str = Field(min_length=1, max_length=253)
    machine_id: Id = ""
    product_uuid: Id = ""
    boot_id: Id = ""
    addresses: list[str] = Field([], max_length=64)


class Enrolment(In):
    token: str = Field(max_length=200, description="An enrolment token.")
    host: Machine


class Enrolled(Out):
    """A host, and the token it sends its reports with, shown this once."""

    id: int = Field(validation_alias="host_id")
    host: str = Field(validation_alias="hostname")
    token: str


class EnrolmentTokenIn(In):
    name: Plain
    uses: int = Field(1, ge=1, le=enrolment.MOST_USES, description="How many machines may use it.")
    hours: int = Field(enrolment.HOURS, ge=1, le=enrolment.MOST_HOURS, description="It is valid.")
    host: Plain = Field("", description="Whatever machine brings it is this host.")


class EnrolmentToken(Out):
    id: int
    name: str
    key: str = Field(description="Shown this once.")


class Conflict(Out):
    """A machine that was refused, because it may be another one than the host it looks like."""

    id: int
    kind: str
    state: Literal["open", "same", "new", "dismissed", "used"]
    host: str = Field(description="The known host.")
    says: str = Field(description="What the machine calls itself.")
    machine_id: str
    product_uuid: str
    boot_id: str
    address: str
    why: str
    times: int
    first_at: When
    last_at: When
    resolved_by: str
    resolved_at: When | None
    remedy: str = Field(description="What an admin does about it; empty once it is decided.")


class ConflictQuery(In):
    state: Literal["open", "all"] = "open"


class Resolution(In):
    as_: Literal["same", "new", "dismissed"] = Field(
        alias="as", description="The known host; a host of its own; or neither: it stays out."
    )
    name: Plain = Field("", description="Of the new host; by default what it calls itself.")


@route("POST", "/enrolments", tag="hosts", role=None, body=Enrolment, answer=Enrolled, status=201)
def enrol_host(body: Enrolment) -> object:
    """Exchange an enrolment token for a host's token.

    The machine joins the inventory, unless it is a known host. Where it may be one or not, the
    answer is 409 and an admin decides.
    """
    said = documents.identity(body.host.model_dump())
    address = request.remote_addr or ""
    return machines.enrol(db(), body.token, said, address=address, now=now())


@route(
    "POST",
    "/enrolment-tokens",
    tag="hosts",
    role=Role.ADMIN,
    body=EnrolmentTokenIn,
    answer=EnrolmentToken,
    status=201,
)
def add_enrolment_token(body: EnrolmentTokenIn) -> object:
    """Make an enrolment token."""
    number, key = enrolment.create_token(
        db(),
        body.name,
        uses=body.uses,
        hours=body.hours,
        host=body.host,
        actor=actor(),
        now=now(),
    )
    return {"id": number, "name": body.name, "key": key}


@route("GET", "/conflicts", tag="hosts", query=ConflictQuery, answer=list[Conflict])
def list_conflicts(query: ConflictQuery) -> object:
    """List machines that were refused, because they may be another host than they look like."""
    return queries.conflicts(session(), only_open=query.state == "open")


@route(
    "POST",
    "/conflicts/<int:conflict_id>/resolve",
    tag="hosts",
    role=Role.ADMIN,
    body=Resolution,
    answer=Conflict,
)
def resolve_conflict(conflict_id: int, body: Resolution) -> object:
    """Say which host a refused machine is; it holds when the machine comes again."""
    conflicts.resolve(db(), conflict_id, body.as_, new_name=body.name, actor=actor(), now=now())
    return queries.conflict(session(), conflict_id)


def take_report(host: str, digest: str, body: bytes) -> host_reports.Taken:
    """Take a collector's report, or the question whether it is known."""
    speaker = speaker_or_none()
    if speaker is None:
        viewer()
    elif host.lower() not in (str(speaker.host_id), speaker.hostname.lower()):
        raise ForbiddenError(f"this token speaks for {speaker.hostname} only")
    expected = bytes.fromhex(digest) if digest else None
    if expected and not body:
        if speaker is None:
            return host_reports.Taken(host, wanted=True)
        return host_reports.ask(db(), speaker, expected, now=now())
    if request.mimetype != JSON:
        raise InputError({"Content-Type": f"must be {JSON}: a host's token sends reports"})
    return host_reports.take(db(), body, speaker=speaker, digest=expected, actor=actor(), now=now())
