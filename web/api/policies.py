"""Policies: by when a finding must be closed."""

from typing import Any

from pydantic import Field

from patchmgr.db.queries import planning_policies as planning
from patchmgr.db.queries import policies as queries
from patchmgr.db.queries.policies import StoredPolicy
from patchmgr.domain.accounts import Role
from patchmgr.domain.planning_policies import to_json as planning_json
from patchmgr.domain.urgency import Policy, to_json
from patchmgr.domain.urgency_presets import PRESETS
from patchmgr.services import planning_policies as planning_service
from patchmgr.services import policies as service
from patchmgr.services import policy_files
from web.api.routing import route, who
from web.api.values import Document, In, Out, When
from web.context import db, now, session


class Row(Out):
    """The first row that matches a finding decides when it is due."""

    id: str
    when: dict[str, list[str]] = Field(description="input -> words, one of which it must have")
    days: int | None = Field(description="None: no due date.")
    label: str


class PolicyOut(Out):
    """A version of a decision table, or a preset that was never in force."""

    id: int | None = Field(description="Of a version that is or was in force.")
    name: str
    version: int
    clock: str = Field(description="From when days count: later, published or detected.")
    rows: list[Row]
    active: bool
    made_at: When | None
    made_by: str


class PolicyIn(In):
    document: Document = Field(description='With `kind`: "sla" or "planning".')


@route("GET", "/policies", tag="policies", answer=list[PolicyOut])
def list_policies() -> object:
    """List the versions that are or were in force, the newest first, then other presets."""
    stored = queries.listing(session())
    known = {one.policy.name for one in stored}
    return [*map(_stored, stored), *(_out(p) for n, p in PRESETS.items() if n not in known)]


class PlanningPolicyOut(Out):
    """The last version of a policy by which plans are made."""

    name: str
    version: int
    made_at: When
    made_by: str
    next_due: When | None = Field(description="When it proposes a plan next; none: never.")
    document: Document = Field(description="As `docs/policies.md` describes it.")


class PlanningVersion(Out):
    """A version of a policy by which plans are made."""

    version: int
    made_at: When
    made_by: str


class DocumentQuery(In):
    version: int = Field(0, ge=0, le=2**31 - 1, description="Without it the last one.")


class Taken(Out):
    """A policy that was taken in."""

    kind: str
    name: str
    version: int


@route("GET", "/planning-policies", tag="policies", answer=list[PlanningPolicyOut])
def list_planning_policies() -> object:
    """List the policies by which plans are made, each in its last version."""
    last = planning.last_occasions(session())
    return [
        {
            "name": one.policy.name,
            "version": one.policy.version,
            "made_at": one.made_at,
            "made_by": one.made_by,
            "next_due": planning_service.next_occasion(session(), one, last, now()),
            "document": planning_json(one.policy),
        }
        for one in planning.listing(session())
    ]


@route(
    "GET", "/planning-policies/<name>/versions", tag="policies", answer=list[PlanningVersion]
)  # fmt: skip
def list_planning_versions(name: str) -> object:
    """List the versions of a policy by which plans are made, the newest first."""
    planning.get(session(), name)
    return [
        {"version": one.policy.version, "made_at": one.made_at, "made_by": one.made_by}
        for one in planning.versions(session(), name)
    ]


@route(
    "GET", "/policies/<name>/document", tag="policies", query=DocumentQuery, answer=Document
)  # fmt: skip
def get_policy_document(name: str, query: DocumentQuery) -> object:
    """Get a version of a policy of either kind as a document, as a `PUT` takes it."""
    return policy_files.document_of(session(), name, query.version or None)


@route("PUT", "/policies/document", tag="policies", role=Role.ADMIN, body=PolicyIn, answer=Taken)
def put_policy_document(body: PolicyIn) -> object:
    """Take a policy of either kind as the next version of its name; one for an SLA is in force."""
    kind, name, version = policy_files.take(db(), body.document, **who())
    return {"kind": kind, "name": name, "version": version}


@route(
    "POST",
    "/policies/<name>/activate",
    tag="policies",
    role=Role.ADMIN,
    answer=list[PolicyOut],
)
def activate_policy(name: str) -> object:
    """Put a policy in force: due dates change at once, counts with the next scan."""
    service.activate(db(), name, **who())
    return list_policies()


def _stored(one: StoredPolicy) -> dict[str, Any]:
    return {
        **_out(one.policy),
        "id": one.id,
        "active": one.active,
        "made_at": one.made_at,
        "made_by": one.made_by,
    }


def _out(policy: Policy) -> dict[str, Any]:
    return {**to_json(policy), "id": None, "active": False, "made_at": None, "made_by": ""}
