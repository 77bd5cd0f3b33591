"""Policies by which plans are made: what for, in which rings, approved by whom, and how often.

A policy is a document, as TOML or JSON (docs/policies.md), of which every version is kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from patchmgr.domain import criteria as findings
from patchmgr.domain import durations, groups, rings, schedules
from patchmgr.domain.criteria import Criteria
from patchmgr.domain.groups import GroupSettings
from patchmgr.domain.plans import Selection
from patchmgr.domain.rings import DEFAULT_RINGS, RingSettings
from patchmgr.domain.schedules import Schedule
from patchmgr.domain.terms import Execution, Targets, Terms
from patchmgr.errors import InputError

KIND = "planning"
MOST_APPROVALS = 5
MOST_CRITERIA = 20
DEFAULT_SERIES = "default"  # plans of one series have the same canaries
_HOSTS = ("platforms", "environments", "sites", "tags")
_APPROVAL = ("needed", "approvers", "valid")
_KEYS = ("kind", "name", "version", "title", "series", "targets", "execution", "include_held",
         "findings", "hosts", "approval", "rings", "groups", "schedule")  # fmt: skip


@dataclass(frozen=True, slots=True)
class PlanningPolicy:
    """Made only if a plan can be made by it; raises `InputError` that names what is wrong."""

    name: str
    version: int = 1
    title: str = ""  # of its plans; empty: from their packages
    series: str = DEFAULT_SERIES
    findings: tuple[Criteria, ...] = ()  # one of them must hold; none: every finding
    platforms: tuple[str, ...] = ()  # of hosts, as are the next three; empty: every one
    environments: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()  # one of them
    rings: tuple[RingSettings, ...] = DEFAULT_RINGS
    groups: tuple[GroupSettings, ...] = ()  # hosts of which only some may be down at a time
    approvals_needed: int = 1
    terms: Terms = Terms()  # noqa: RUF009 -- frozen
    schedule: Schedule | None = None

    @property
    def label(self) -> str:
        """What its plans name as the policy that made them."""
        return f"{self.name} {self.version}"

    def __post_init__(self) -> None:
        problems = {
            "name": not _is_name(self.name) and "1 to 200 printable characters, without /",
            "series": not _is_name(self.series) and "1 to 200 printable characters, without /",
            "title": len(self.title) > 200 and "at most 200 characters",
            "approval, needed": not 1 <= self.approvals_needed <= MOST_APPROVALS
            and f"from 1 to {MOST_APPROVALS}",
            "findings": len(self.findings) > MOST_CRITERIA and f"at most {MOST_CRITERIA} tables",
        }
        if found := {f"policy {self.name!r}, {at}": why for at, why in problems.items() if why}:
            raise InputError(found)
        rings.checked(self.rings)
        groups.checked(self.groups)

    @property
    def selection(self) -> Selection:
        return Selection(
            platforms=self.platforms,
            environments=self.environments,
            sites=self.sites,
            tags=self.tags,
            any_of=self.findings,
        )


def to_json(policy: PlanningPolicy) -> dict[str, Any]:
    """Return the canonical form: the same policy always gives the same document."""
    terms = policy.terms
    document: dict[str, Any] = {
        "kind": KIND,
        "name": policy.name,
        "version": policy.version,
        "title": policy.title,
        "series": policy.series,
        "targets": terms.targets.value,
        "include_held": terms.include_held,
        "execution": terms.execution.value,
        "approval": {
            "needed": policy.approvals_needed,
            "approvers": sorted(terms.approvers),
            "valid": durations.text(terms.approval_valid),
        },
        "hosts": {name: list(getattr(policy, name)) for name in _HOSTS},
        "findings": [each.to_json() for each in policy.findings],
        "rings": [ring.to_json() for ring in policy.rings],
    }
    if policy.groups:
        document["groups"] = [group.to_json() for group in policy.groups]
    if policy.schedule:
        document["schedule"] = policy.schedule.to_json()
    return document


def brief(policy: PlanningPolicy) -> dict[str, Any]:
    """Return what a person would write: the document without what is so by default.

    `from_json` makes the same policy of it, as long as the defaults are those of today.
    """
    usual = to_json(PlanningPolicy(policy.name))
    document = to_json(policy)
    found = {
        name: _other(value, usual[name]) if name in ("approval", "hosts") else value
        for name, value in document.items()
        if name in ("kind", "name", "version") or value != usual.get(name)
    }
    if "rings" in found:
        found["rings"] = [_brief_ring(ring) for ring in policy.rings]
    if policy.groups:
        found["groups"] = [
            {"name": one.name, **_other(one.to_json(), GroupSettings(one.name).to_json())}
            for one in policy.groups
        ]
    return found


def _brief_ring(ring: RingSettings) -> dict[str, Any]:
    usual = RingSettings(ring.name, min_soak=ring.soak // 4, soak=ring.soak).to_json()
    soak = {"soak": durations.text(ring.soak)} if ring.soak else {}
    return {"name": ring.name, **_other(ring.to_json(), usual), **soak}


def _other(document: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if value != usual.get(name)}


def from_json(document: Mapping[str, Any]) -> PlanningPolicy:
    """Return the policy that `to_json` wrote, or a person. Raises `InputError`."""
    name = document.get("name")
    if not isinstance(name, str):
        raise InputError({"policy, name": "needs a name"})
    try:
        return _read(name, document)
    except InputError as error:
        said = {at if at.startswith("policy") else f"policy {name!r}, {at}".rstrip(", "): why
                for at, why in error.problems.items()}  # fmt: skip
        raise InputError(said) from error


def _read(name: str, document: Mapping[str, Any]) -> PlanningPolicy:
    _check_keys("", document, _KEYS)
    approval = _table("approval", document.get("approval", {}), _APPROVAL)
    hosts = _table("hosts", document.get("hosts", {}), _HOSTS)
    asked = document.get("findings", ())
    if isinstance(asked, Mapping):
        asked = [asked]
    if not isinstance(asked, Sequence) or isinstance(asked, str):
        raise InputError({"findings": "a table of criteria, or a list of them"})
    together = document.get("groups", [])
    if not isinstance(together, list):
        raise InputError({"groups": "a list of tables: [[groups]] in TOML"})
    targets = document.get("targets", Targets.EXACT)
    if targets not in set(Targets):
        raise InputError({"targets": f"one of {', '.join(Targets)}"})
    execution = document.get("execution", Execution.MANUAL)
    if execution not in set(Execution):
        raise InputError({"execution": f"one of {', '.join(Execution)}"})
    terms = Terms(
        execution=Execution(execution),
        targets=Targets(targets),
        include_held=_flag("include_held", document.get("include_held", False)),
        approvers=_texts("approval, approvers", approval.get("approvers", ())),
    )
    if "valid" in approval:
        terms = replace(terms, approval_valid=durations.parse(str(approval["valid"])))
    schedule = document.get("schedule")
    return PlanningPolicy(
        name=name,
        version=_number("version", document.get("version", 1)),
        title=_text("title", document.get("title", "")),
        series=_text("series", document.get("series", DEFAULT_SERIES)),
        findings=tuple(findings.from_json(one) for one in asked),
        **{one: _texts(f"hosts, {one}", hosts.get(one, ())) for one in _HOSTS},
        rings=rings.series_from_json(document["rings"]) if "rings" in document else DEFAULT_RINGS,
        groups=groups.checked([groups.from_json(one) for one in together]),
        approvals_needed=_number("approval, needed", approval.get("needed", 1)),
        terms=terms,
        schedule=None if schedule is None else schedules.from_json(schedule),
    )


def _check_keys(what: str, document: Mapping[str, Any], known: Sequence[str]) -> None:
    if unknown := sorted(set(document) - set(known)):
        at = f"{what}, {unknown[0]}" if what else unknown[0]
        raise InputError({at: f"is not known; there are {', '.join(known)}"})


def _table(what: str, value: object, known: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError({what: "a table"})
    _check_keys(what, value, known)
    return value


def _texts(what: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise InputError({what: "a list of words"})
    return tuple(value)


def _text(what: str, value: object) -> str:
    if not isinstance(value, str):
        raise InputError({what: "a text"})
    return value


def _number(what: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError({what: "a whole number"})
    return value


def _flag(what: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InputError({what: "true or false"})
    return value


def _is_name(text: str) -> bool:
    return 0 < len(text) <= 200 and text.strip() == text and text.isprintable() and "/" not in text
