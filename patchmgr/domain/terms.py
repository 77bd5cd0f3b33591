"""The terms of a plan: which versions are good, who must agree, and for how long that holds.

Terms that a plan of an earlier release did not know are left out of the canonical form while they
are what held then, so that its hash still stands.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from patchmgr.domain import durations
from patchmgr.domain.accounts import Role
from patchmgr.errors import InputError

VALID = timedelta(days=14)  # how long an approval holds, unless the plan says otherwise
LONGEST_VALID = timedelta(days=366)
MOST_APPROVERS = 50
ROLE = "role:"  # before a role's word, where approvers are listed; without it, a person's name


class Targets(StrEnum):
    """Which installed version is good for a change."""

    EXACT = "exact"  # the planned one: what the canary proved is what the fleet gets
    AT_LEAST = "at-least"  # the planned one, or any newer


class Execution(StrEnum):
    """How the orders of a plan reach its hosts."""

    MANUAL = "manual"  # people export the work and bring the results
    AGENT = "agent"  # each host asks for its own order, with its own token
    RUNNER = "runner"  # a program asks for the orders of many hosts, with a runner's token


@dataclass(frozen=True, slots=True)
class Terms:
    """Raises `InputError` for approvers or a validity that cannot be."""

    targets: Targets = Targets.EXACT
    include_held: bool = False  # change packages too that their hosts hold back
    approvers: tuple[str, ...] = ()  # names and "role:approver"; empty: any approver
    approval_valid: timedelta = VALID  # how long one counts, if the work has not begun by then
    execution: Execution = Execution.MANUAL  # approved with the rest: a machine asks nobody again

    def __post_init__(self) -> None:
        problems = {"approvers": approvers_problem(self.approvers)}
        if not timedelta(hours=1) <= self.approval_valid <= LONGEST_VALID:
            problems["approval_valid"] = "from an hour to 366 days"
        if found := {at: why for at, why in problems.items() if why}:
            raise InputError(found)

    def to_json(self) -> dict[str, Any]:
        """Return the canonical form; what plans had before there were terms is left out."""
        found: dict[str, Any] = {}
        if self.targets is not Targets.AT_LEAST:
            found["targets"] = self.targets.value
        if self.include_held:
            found["include_held"] = True
        if self.approvers:
            found["approvers"] = sorted(self.approvers)
        if self.approval_valid != VALID:
            found["approval_valid"] = durations.text(self.approval_valid)
        if self.execution is not Execution.MANUAL:
            found["execution"] = self.execution.value
        return found


def from_json(document: Mapping[str, Any]) -> Terms:
    """Return the terms whose canonical form is ``document``. Raises `InputError`."""
    try:
        targets = Targets(document.get("targets", Targets.AT_LEAST))
        execution = Execution(document.get("execution", Execution.MANUAL))
    except ValueError as error:
        raise InputError({"terms": str(error)}) from error
    return Terms(
        targets,
        bool(document.get("include_held", False)),
        tuple(document.get("approvers", ())),
        durations.parse(document["approval_valid"]) if "approval_valid" in document else VALID,
        execution,
    )


def approvers_problem(names: Collection[str]) -> str:
    """Return why ``names`` cannot be who must approve; "" when they can."""
    if len(names) > MOST_APPROVERS:
        return f"at most {MOST_APPROVERS}"
    for name in names:
        if not name or name.strip() != name or not name.isprintable() or len(name) > 200:
            return f"{name!r} is not a name"
        if name.startswith(ROLE) and name.removeprefix(ROLE) not in _APPROVING:
            return f"{name!r} is none of {', '.join(ROLE + role for role in _APPROVING)}"
    return ""


def may_approve(approvers: Collection[str], by: str, role: str) -> bool:
    """Return whether ``by``, in this role, is one of those who must agree."""
    return not approvers or by in approvers or any(_in_role(one, role) for one in approvers)


def too_few(approvers: Collection[str], needed: int, authors: Collection[str]) -> str:
    """Return why ``needed`` people can never agree; "" when they can. ``authors`` may not."""
    if not approvers or any(one.startswith(ROLE) for one in approvers):
        return ""
    able = sorted(set(approvers) - set(authors))
    if len(able) >= needed:
        return ""
    who = f"only {', '.join(able)}" if able else "nobody"
    return (
        f"{needed} must agree, and of those who are asked {who} can: "
        "who makes, edits or proposes a plan does not approve it; name more people or a role"
    )


def words(approvers: Collection[str]) -> str:
    """Return who must agree, for people: "ann, or anybody with the role admin"."""
    people = [one for one in sorted(approvers) if not one.startswith(ROLE)]
    roles = [one.removeprefix(ROLE) for one in sorted(approvers) if one.startswith(ROLE)]
    return ", or ".join([*people, *(f"anybody with the role {role}" for role in roles)])


def _in_role(one: str, role: str) -> bool:
    return one.startswith(ROLE) and bool(role) and Role(role).covers(Role(one.removeprefix(ROLE)))


_APPROVING = tuple(role.value for role in Role if role.covers(Role.APPROVER))
AS_BEFORE = Terms(targets=Targets.AT_LEAST)  # of plans that were made before there were terms
