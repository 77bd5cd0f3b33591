"""Policies: by when a finding must be closed."""

from typing import Any

from pydantic import Field

from patchmgr.db.queries import policies as queries
from patchmgr.db.queries.policies import StoredPolicy
from patchmgr.domain.accounts import Role
from patchmgr.domain.urgency import Policy, to_json
from patchmgr.domain.urgency_presets import PRESETS
from patchmgr.services import policies as service
from web.api.routing import route, who
from web.api.values import Out, When
from web.context import db, session


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


@route("GET", "/policies", tag="policies", answer=list[PolicyOut])
def list_policies() -> object:
    """List the versions that are or were in force, the newest first, then other presets."""
    stored = queries.listing(session())
    known = {one.policy.name for one in stored}
    return [*map(_stored, stored), *(_out(p) for n, p in PRESETS.items() if n not in known)]


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
