"""A plan that is made by a policy: which kind of policy it is, and what an SLA policy selects."""

from sqlalchemy.orm import Session

from patchmgr.db.queries import planning_policies as planning_queries
from patchmgr.db.queries import policies as sla
from patchmgr.domain.advisories import Severity
from patchmgr.domain.plans import Selection
from patchmgr.domain.urgency_presets import PRESETS
from patchmgr.errors import InputError
from patchmgr.services import policies


def is_planning(session: Session, name: str) -> bool:
    """Return whether ``name`` is a planning policy."""
    return planning_queries.latest(session, name) is not None


def dated_by(session: Session, name: str, selection: Selection) -> Selection:
    """Narrow ``selection`` to severities that the SLA policy in force sets a due date for.

    Raises `InputError` when ``name`` is not the one in force.
    """
    _, policy = policies.active(session)
    if policy.name != name:
        raise InputError({"policy": _why_not(session, name, policy.name)})
    dated = [
        severity
        for severity in Severity
        if any(
            row.days is not None and severity.word in row.when.get("severity", (severity.word,))
            for row in policy.rows
        )
    ]
    return selection.only(dated)


def _why_not(session: Session, name: str, in_force: str) -> str:
    """Return why no plan can be made by the policy ``name``, and by which one can."""
    if name in PRESETS or sla.latest(session, name) is not None:
        return f"the SLA policy {name!r} is not in force, {in_force!r} is"
    known = [repr(one.policy.name) for one in planning_queries.listing(session)]
    planning = (
        f"planning policies are {', '.join(known)}" if known else "no planning policy is kept yet"
    )
    return f"there is no policy {name!r}; {planning}, and the SLA policy in force is {in_force!r}"
