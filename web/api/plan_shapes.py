"""What the API says of patch plans."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from patchmgr.domain import durations
from web.api.values import (
    Document,
    Out,
    SeverityWord,
    When,
    Words,
)


class Plan(Out):
    """A patch plan in a list."""

    id: int
    title: str
    state: str
    state_since: When
    author: str
    reason: str
    due: When | None
    hosts: int
    changes: int
    findings: int
    severity: str
    created_at: When
    approvals_needed: int


class Condition(Out):
    """A line of a gate's checklist."""

    name: str
    have: str
    need: str
    holds: bool


class Ring(Out):
    """A stage of a plan, and what its gate asks for."""

    name: str
    position: int
    state: str
    state_since: When | None
    started_at: When | None
    soak_until: When | None
    finished_at: When | None
    reason: str
    hosts: int
    counts: dict[str, int] = Field(description="task state -> hosts")
    gate: list[Condition]
    settings: Annotated[Document, BeforeValidator(lambda ring: ring.to_json())]


class Approval(Out):
    """A person's decision on exact content."""

    decision: str
    ring: str
    by: str
    at: When
    content_hash: str
    comment: str
    void_at: When | None = Field(description="Since then it no longer counts.")
    void_reason: str


class Signal(Out):
    """A reason to stop."""

    kind: str
    subject: str
    level: int
    why: str
    at: When


class Culprit(Out):
    """A host that ended without success, and that nobody has accepted so far."""

    host: str
    ring: str
    state: str
    package: str = Field(description="The one that failed.")
    said: str
    not_back: bool = Field(description="From its reboot.")
    goes_back: bool = Field(description="It is to be rolled back, and that stands.")


class Step(Out):
    """Something to do, the most useful first."""

    command: str = Field(description="A command of the plan, or `look`, `wait`, `remake`.")
    words: str


class Stop(Out):
    """Why a plan stands still, and what to do about it."""

    kind: str
    why: str
    at: When | None
    is_idle: bool = Field(
        description="`at` is since when no host of the ring, of which some wait, was at work."
    )
    ring: str
    package: str
    hosts: list[Culprit] = Field(description="That it comes from, at most 20.")
    steps: list[Step]


class TermsOut(Out):
    """Which versions are good, who must agree, and for how long that holds."""

    targets: str = Field(description="`exact`: the planned version; `at-least`: that or any newer.")
    include_held: bool = Field(description="Packages too that their hosts hold back.")
    approvers: Words = Field(description="Names and `role:approver`; empty: any approver.")
    approval_valid: Annotated[str, BeforeValidator(durations.text)]
    execution: str = Field(description="`manual`, `agent` or `runner` (docs/execution.md).")


class BreakGlass(Out):
    """A start without approvals, and who has looked at it afterwards."""

    by: str
    at: When
    reason: str
    reviewed_by: str = Field(description="Empty: nobody yet.")
    reviewed_at: When | None
    comment: str


class PlanInFull(Out):
    """One plan with its rings, decisions and halt signals."""

    id: int
    title: str
    state: str
    state_since: When
    state_by: str
    reason: str
    author: str
    authors: Words
    content_hash: str
    approvals_needed: int
    approvals_given: int
    approvals: list[Approval]
    selection: Document
    summary: Document
    terms: TermsOut
    policy: str = Field(description="That it was made by, with its version; empty: none.")
    contains: list[int] = Field(description="Open plans whose remaining work it does too.")
    superseded_by: int | None
    break_glass: BreakGlass | None
    windows: Document
    groups: Annotated[list[Document], BeforeValidator(list)]
    due: When | None
    created_at: When
    proposed_at: When | None
    approved_at: When | None
    started_at: When | None
    finished_at: When | None
    expires_at: When | None
    signals: list[Signal]
    stops: list[Stop] = Field(description="Why it stands still; empty: it moves.")
    rings: list[Ring]
    live: int = Field(description="Hosts that are not over.")
    awaits: str = Field(description="Who must act before it goes on; empty: nobody.")
    commands: Words = Field(description="What its state allows.")
    frozen: str = Field(description="Why nothing may change now; empty: it may.")


class InRing(Out):
    """How a change went in one ring of an earlier plan, in hosts."""

    ring: str
    verified: int
    failed: int


class Earlier(Out):
    """How the same change went in an earlier plan."""

    plan_id: int
    verified: int
    failed: int
    under_way: int
    failed_in: Words = Field(description="Rings.")
    rings: list[InRing] | None = Field(description="In their order; null: too many to count.")


class History(Out):
    """What earlier plans say of a change, from one version to another."""

    is_first: bool = Field(description="No host is known to have made this change.")
    verified: int = Field(description="Hosts.")
    failed: int
    plans: list[Earlier] = Field(description="The latest first.")


class Change(Out):
    """A package from one version to another."""

    platform: str
    manager: str
    package: str
    arch: str
    source: str
    from_version: str
    to_version: str
    match: str = Field(description="Whether `to_version` is the source's or the package's own.")
    severity: SeverityWord
    advisories: Words
    hosts: int
    history: History
    held: str = Field(description="Why it is known to be bad; empty: it is not.")


class Holding(Out):
    """Who has the order of a host's part, or had it last."""

    holder: str
    made_at: When
    expires_at: When
    begun_at: When | None
    renewed_at: When | None
    ended_at: When | None


class Task(Out):
    """One host's part of a plan."""

    host: str
    ring: str
    window: str | None
    state: str
    state_since: When
    attempt: int
    deadline: When | None
    package: str
    reason: str
    output: str
    reported_by: str
    next: str
    undo: str = Field(description="Why it must be rolled back; empty: it need not.")
    way_back: str = Field(description="How far the roll-back is, and what it waits for.")
    went_back: Literal["", "awaited", "confirmed", "contradicted", "undetermined"] = Field(
        description="What inventories show of a host that was said to be rolled back."
    )
    held: Holding | None = Field(description="None: nobody fetched its order.")


class ResultsTaken(Out):
    """What became of reported results."""

    changed: int
    unchanged: int = Field(description="Repeated, or out of order.")
