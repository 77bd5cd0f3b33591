"""Policies of both kinds as documents, TOML or JSON: out of the database, and into it."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from patchmgr.db.queries import planning_policies
from patchmgr.db.queries import policies as sla
from patchmgr.db.session import Database
from patchmgr.domain import plain_documents, toml_text, urgency
from patchmgr.domain import planning_policies as planning
from patchmgr.domain.accounts import Role
from patchmgr.domain.urgency_presets import PRESETS
from patchmgr.errors import InputError, NotFoundError
from patchmgr.services import planning_policies as planning_service
from patchmgr.services import policies as sla_service
from patchmgr.services.roles import require

FORMATS = ("toml", "json")
SLA = "sla"
_NO_DAYS = "none"  # TOML has no null


def export(session: Session, name: str, form: str, version: int | None = None) -> str:
    """Return a version of the policy ``name``, of either kind, as `document_of` does."""
    if form not in FORMATS:
        raise InputError({"format": f"{form!r} is none of {', '.join(FORMATS)}"})
    return written(document_of(session, name, version), form)


def document_of(session: Session, name: str, version: int | None = None) -> dict[str, Any]:
    """Return a version of the policy ``name`` as a document, without ``version`` the last.

    Raises `NotFoundError`.
    """
    if planning_policies.latest(session, name) is not None:
        return planning.to_json(planning_policies.get(session, name, version).policy)
    decided = sla.version(session, name, version)
    policy = decided.policy if decided else PRESETS.get(name)
    if policy is None or (version is not None and policy.version != version):
        raise NotFoundError("policy", name if version is None else f"{name} version {version}")
    return {"kind": SLA, **urgency.to_json(policy)}


def written(document: Mapping[str, Any], form: str) -> str:
    if form == "json":
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if document["kind"] == SLA:
        rows = [
            {**row, "days": _NO_DAYS if row["days"] is None else row["days"]}
            for row in document["rows"]
        ]
        document = {**document, "rows": rows}
    return toml_text.write(document)


def parsed(text: str, form: str) -> Mapping[str, Any]:
    """Return the document in ``text``. Raises `InputError`."""
    document = plain_documents.read(text, form)
    if not isinstance(document, Mapping):
        raise InputError("a policy is a table of settings")
    return document


def take(
    db: Database, document: Mapping[str, Any], *, actor: str, role: Role, now: datetime
) -> tuple[str, str, int]:
    """Store a policy as the next version of its name; return its kind, name and version.

    A planning policy is used from then on; an SLA policy is put in force. A version in the document
    does not count: it is what it was where the document came from. Raises `InputError`,
    `ForbiddenError`.
    """
    kind = plain_documents.checked(document).get("kind")
    if kind == planning.KIND:
        policy = planning.from_json({**document, "version": 1})
        made = planning_service.adopt(db, policy, actor=actor, role=role, now=now)
        return planning.KIND, made.name, made.version
    if kind != SLA:
        raise InputError({"kind": f'"{SLA}" or "{planning.KIND}"'})
    require(role, Role.ADMIN, "putting a policy in force")
    table = _sla(document)
    with db.reading() as session:
        if planning_policies.latest(session, table.name) is not None:
            raise InputError({"name": f"{table.name!r} is a planning policy; take another name"})
    adopted = sla_service.adopt(db, table, actor=actor, now=now)
    return SLA, adopted.name, adopted.version


def _sla(document: Mapping[str, Any]) -> urgency.Policy:
    plain = {name: value for name, value in document.items() if name != "kind"}
    rows = plain.get("rows")
    if isinstance(rows, list):
        plain["rows"] = [_row(one) for one in rows]
    return urgency.from_json({**plain, "version": 1})


def _row(row: object) -> object:
    if isinstance(row, Mapping) and row.get("days") == _NO_DAYS:
        return {**row, "days": None}
    return row
