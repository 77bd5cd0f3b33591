"""What the API takes about patch plans: bodies and queries."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from patchmgr.domain import durations
from patchmgr.domain.terms import Execution, Targets, Terms
from web.api.values import (
    Document,
    Flag,
    In,
    Paging,
    Plain,
    SeverityWord,
    Text,
)

MOST_RESULTS = 10_000  # rows of a JSON body; a CSV may have more


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
            after = replace(
                after, approval_valid=durations.parse(self.approval_valid, "approval_valid")
            )
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
    content_hash: Plain = Field(
        "", description="Of the content that was looked at: when it has changed, nothing is edited."
    )


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


class PlanQuery(Paging):
    state: Plain = ""
    search: Plain = ""


class ChangeQuery(Paging):
    search: Plain = ""


class TaskQuery(Paging):
    ring: Plain = ""
    state: Plain = ""
    search: Plain = Field("", description="Part of a host name.")


class SimulationQuery(In):
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Of what is left to chance.")


class ExportQuery(In):
    format: Literal["csv", "ansible", "ansible-zip"] = "csv"
    whole: Flag = Field(False, description="The whole plan for reading, not only what is due now.")
    rollback: Flag = Field(False, description="The way back of hosts that must be rolled back.")
