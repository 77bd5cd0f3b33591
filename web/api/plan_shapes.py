"""What the API says and takes about patch plans."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from patchmgr.domain import durations
from patchmgr.domain.terms import Execution, Targets, Terms
from web.api.values import (
    Document,
    Flag,
    In,
    Out,
    Paging,
    Plain,
    SeverityWord,
    Text,
    When,
    Words,
)

MOST_RESULTS = 10_000  # rows of a JSON body; a CSV may have more


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


class SelectionIn(In):
    """What a plan is asked to close; an empty field does not restrict."""

    advisories: list[Plain] = Field(default=[], max_length=500)
    cves: list[Plain] = Field(default=[], max_length=500)
    packages: list[Plain] = Field(default=[], max_length=500)
    hosts: list[Plain] = Field(default=[], max_length=5000)
    platforms: list[Plain] = Field(default=[], max_length=500)
    environments: list[Plain] = Field(default=[], max_length=500)
    severity_at_least: SeverityWord = "unknown"


class TermsIn(In):
    """What is left out stays as it is, in a new plan as it is by default."""

    targets: Literal["exact", "at-least"] | None = None
    include_held: bool | None = Field(default=None, description="Only when a plan is made.")
    approvers: list[Plain] | None = Field(
        default=None, max_length=50, description="Names and `role:approver`; empty: any approver."
    )
    approval_valid: Plain | None = Field(default=None, description="Such as 14d or 48h.")
    execution: Literal["manual", "agent", "runner"] | None = None

    def over(self, before: Terms) -> Terms:
        """Return ``before`` with what is given. Raises `InputError`."""
        after = before
        if self.targets is not None:
            after = replace(after, targets=Targets(self.targets))
        if self.include_held is not None:
            after = replace(after, include_held=self.include_held)
        if self.approvers is not None:
            after = replace(after, approvers=tuple(self.approvers))
        if self.approval_valid is not None:
            after = replace(after, approval_valid=durations.parse(self.approval_valid))
        if self.execution is not None:
            after = replace(after, execution=Execution(self.execution))
        return after


class PlanIn(In):
    policy: Plain = Field(
        "",
        description="A planning policy: it says rings, approvals and terms itself. Or the SLA "
        "policy in force: what it gives a due date.",
    )
    selection: SelectionIn = SelectionIn()
    title: Plain = ""
    rings: list[Document] | None = Field(
        None, description="Ring settings (docs/plans.md); by default canary, early, broad."
    )
    groups: list[Document] = Field(
        [], max_length=1000, description="Groups of hosts of which only some may be down at a time."
    )
    approvals_needed: int = Field(1, ge=1, le=5)
    terms: TermsIn = TermsIn()


class PlanEditIn(In):
    """What is left out stays as it is; when anything changes, approvals fall."""

    rings: list[Document] | None = None
    groups: list[Document] | None = Field(None, max_length=1000, description="[] for none.")
    approvals_needed: int | None = Field(None, ge=1, le=5)
    terms: TermsIn = TermsIn()


class SupersedeIn(In):
    plan: int = Field(ge=1, le=2**31 - 1, description="The older one.")
    reason: Text = ""


class ApprovalIn(In):
    content_hash: Plain = Field(description="Of the content that was looked at.")
    ring: Plain = Field("", description="A ring that needs an approval of its own.")
    comment: Text = ""


class ReasonIn(In):
    reason: Text = Field(min_length=1)


class AcknowledgeIn(ReasonIn):
    hosts: list[Plain] = Field(
        [],
        max_length=500,
        description="Accept that these ended without success; open signals then stay.",
    )


class ResumeIn(In):
    reason: Text = ""


class RetryIn(ReasonIn):
    hosts: list[Plain] = Field(min_length=1, max_length=500)


class RollBackIn(ReasonIn):
    """Hosts by name, or all of a ring, or all of the plan, that have something new."""

    hosts: list[Plain] = Field([], max_length=500)
    ring: Plain = Field("", description="All hosts of this ring that have something new.")
    all: bool = Field(False, description="All hosts of the plan that have something new.")


class WithdrawRollBackIn(ReasonIn):
    """Hosts by name, or all of a ring, or all of the plan, that have not begun to go back."""

    hosts: list[Plain] = Field([], max_length=500)
    ring: Plain = Field("", description="All hosts of this ring that have not begun.")
    all: bool = Field(False, description="All hosts of the plan that have not begun.")


class ResultIn(In):
    """What became of a host."""

    host: Plain
    result: Literal["running", "installed", "failed", "rolled_back", "skipped"]
    package: Plain = Field("", description="The one that failed.")
    output: Annotated[str, Field(max_length=100_000, pattern=r"^[^\x00]*$")] = ""
    attempt: int | None = Field(None, ge=1, le=999_999)
    reboot: bool = False


class ResultsIn(In):
    results: list[ResultIn] = Field(min_length=1, max_length=MOST_RESULTS)


class ResultsTaken(Out):
    """What became of reported results."""

    changed: int
    unchanged: int = Field(description="Repeated, or out of order.")


class PlanQuery(Paging):
    state: Plain = ""
    search: Plain = ""


class ChangeQuery(Paging):
    search: Plain = ""


class TaskQuery(Paging):
    ring: Plain = ""
    state: Plain = ""
    search: Plain = Field("", description="Part of a host name.")


class ExportQuery(In):
    format: Literal["csv", "ansible", "ansible-zip"] = "csv"
    whole: Flag = Field(False, description="The whole plan for reading, not only what is due now.")
    rollback: Flag = Field(False, description="The way back of hosts that must be rolled back.")
