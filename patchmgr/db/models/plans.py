"""Patch plans: frozen content, rings, approvals, tasks, and what happened."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from patchmgr.db.base import Base, Id, Name, Word


class Plan(Base):
    """A patch plan. Its content is in `PlanChange` and `PlanItem`; ``content_hash`` names it."""

    __tablename__ = "plan"

    id: Mapped[Id]
    title: Mapped[Name]
    series: Mapped[Name]  # what ring assignment by percentage is stable within
    state: Mapped[Word] = mapped_column(index=True)  # patchmgr.domain.rollout.PlanState
    author: Mapped[Name]
    authors: Mapped[list[str]]  # the author and everyone who edited it: none of them may approve
    content_hash: Mapped[Word]  # SHA-256 of the canonical JSON of content, rings and windows, hex
    approvals_needed: Mapped[int]
    selection: Mapped[dict[str, Any]]  # what was asked for: advisories, CVEs, hosts, policy
    summary: Mapped[dict[str, Any]]  # hosts, changes, findings closed, not plannable with reasons
    due: Mapped[datetime | None]  # earliest due date among the findings it closes
    created_at: Mapped[datetime]
    proposed_at: Mapped[datetime | None]
    approved_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    state_since: Mapped[datetime]
    state_by: Mapped[Name]  # who or what ("scheduler") brought it into this state
    reason: Mapped[str] = mapped_column(Text)  # why paused, halted, rejected, cancelled
    windows: Mapped[dict[str, Any]]  # name -> patchmgr.domain.windows.Window as it was approved
    groups: Mapped[list[Any]]  # patchmgr.domain.groups.GroupSettings, canonical form
    halt_signals: Mapped[list[Any]]  # open halt signals, canonical form of the domain
    acknowledged: Mapped[dict[str, Any]]  # signal key -> level that a person let pass
    live_tasks: Mapped[int]  # tasks that are not over; a cancelled plan can still have some
    expires_at: Mapped[datetime | None]  # deadline of the present state
    changed_at: Mapped[datetime]  # last change of any part of it, tasks too
    # patchmgr.domain.terms, canonical form: what versions are good, who must consent, how long
    terms: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    policy: Mapped[Name] = mapped_column(server_default="")  # that it was made by; "" for none
    superseded_by: Mapped[int | None]  # plan that took its place
    # Started without its approvals: by whom and why, and who has looked at that afterwards.
    broken_by: Mapped[Name] = mapped_column(server_default="")
    broken_at: Mapped[datetime | None]
    broken_reason: Mapped[str] = mapped_column(Text, server_default="")
    reviewed_by: Mapped[Name] = mapped_column(server_default="")
    reviewed_at: Mapped[datetime | None]
    review_comment: Mapped[str] = mapped_column(Text, server_default="")
    # An optimistic lock: two writers cannot overwrite each other.
    revision: Mapped[int] = mapped_column()

    __mapper_args__ = {"version_id_col": revision}  # noqa: RUF012 -- SQLAlchemy's own form


class PlanChange(Base):
    """One distinct change of a plan: a package from one version to another."""

    __tablename__ = "plan_change"
    __table_args__ = (
        UniqueConstraint(
            "plan_id",
            "platform",
            "manager",
            "package",
            "arch",
            "source",
            "from_version",
            "to_version",
            "match",
        ),
        Index("ix_plan_change_history", "package", "platform", "to_version"),
    )

    id: Mapped[Id]
    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id"))
    platform: Mapped[Name]
    manager: Mapped[Word]
    package: Mapped[Name]  # installed binary package
    arch: Mapped[Word]
    source: Mapped[Name]  # packages from one source move together
    from_version: Mapped[Name]
    to_version: Mapped[Name]  # the fixed version as the vendor states it
    match: Mapped[Word]  # patchmgr.domain.advisories.Match: whether that is the source's or its own
    advisories: Mapped[list[str]]  # refs of the findings it closes
    severity: Mapped[int]  # worst of them
    hosts: Mapped[int]


class PlanItem(Base):
    """A host gets a change."""

    __tablename__ = "plan_item"
    __table_args__ = (
        UniqueConstraint("plan_id", "host_id", "change_id"),
        Index("ix_plan_item_change", "change_id"),
    )

    id: Mapped[Id]
    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id"))
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"), index=True)
    change_id: Mapped[int] = mapped_column(ForeignKey("plan_change.id"))


class PlanExclusion(Base):
    """What was selected and is not in the plan, and why."""

    __tablename__ = "plan_exclusion"

    id: Mapped[Id]
    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id"), index=True)
    platform: Mapped[Name]
    package: Mapped[Name]
    arch: Mapped[Word]
    version: Mapped[Name]
    reason: Mapped[str] = mapped_column(Text)
    advisories: Mapped[list[str]]
    hosts: Mapped[int]


class PlanVersion(Base):
    """The rings and windows of a plan under one content hash, so that a difference can be shown."""

    __tablename__ = "plan_version"

    id: Mapped[Id]
    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id"), index=True)
    content_hash: Mapped[Word]
    at: Mapped[datetime]
    by: Mapped[Name]
    settings: Mapped[dict[str, Any]]  # patchmgr.domain.plans.Content, without changes and hosts


class PlanForecast(Base):
    """The last forecast of an open plan, and what it was made from: a newer one takes its place."""

    __tablename__ = "plan_forecast"

    plan_id: Mapped[int] = mapped_column(
        ForeignKey("plan.id"), primary_key=True, autoincrement=False
    )
    made_at: Mapped[datetime]
    took_ms: Mapped[int]  # of the computer's time
    content_hash: Mapped[Word]  # of the plan, then
    plan_changed_at: Mapped[datetime]  # `Plan.changed_at`, then
    freezes: Mapped[Word]  # what tells whether those that were not over are still the same
    document: Mapped[dict[str, Any]]  # patchmgr.domain.simulation.outlook


class Ring(Base):
    """A stage of a plan: its settings (frozen with the content) and where it stands."""

    __tablename__ = "plan_ring"
    __table_args__ = (UniqueConstraint("plan_id", "position"), UniqueConstraint("plan_id", "name"))

    id: Mapped[Id]
    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id"))
    position: Mapped[int]  # from 0
    name: Mapped[Word]
    settings: Mapped[dict[str, Any]]  # patchmgr.domain.rings.RingSettings, canonical form
    state: Mapped[Word]  # patchmgr.domain.rollout.RingState
    state_since: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    soak_until: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    deadline: Mapped[datetime | None]  # when the machine stops waiting and asks
    reason: Mapped[str] = mapped_column(Text)
    tally: Mapped[dict[str, Any]]  # patchmgr.domain.rollout.model.Tally: its hosts by state
    probes: Mapped[dict[str, Any]]  # name -> patchmgr.domain.probes.Standing


class Task(Base):
    """One host's part of a plan."""

    __tablename__ = "task"
    __table_args__ = (
        UniqueConstraint("plan_id", "host_id"),
        Index("ix_task_plan_state", "plan_id", "state"),
        Index("ix_task_host", "host_id"),
        Index("ix_task_ring_state_window", "ring_id", "state", "window"),
        # The few that go back, of all plans: a tick asks for them.
        Index(
            "ix_task_undo",
            "plan_id",
            sqlite_where=text("undo_until IS NOT NULL"),
            postgresql_where=text("undo_until IS NOT NULL"),
        ),
        Index(
            "ix_task_asked_back",
            "plan_id",
            sqlite_where=text("undo <> ''"),
            postgresql_where=text("undo <> ''"),
        ),
        # Likewise those that are said to have gone back, while no inventory has shown it.
        Index(
            "ix_task_proof",
            "plan_id",
            sqlite_where=text("proof_after IS NOT NULL"),
            postgresql_where=text("proof_after IS NOT NULL"),
        ),
    )

    id: Mapped[Id]
    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id"))
    ring_id: Mapped[int] = mapped_column(ForeignKey("plan_ring.id"), index=True)
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"))
    window: Mapped[str | None] = mapped_column(String(200))  # of its plan's; None: any time
    state: Mapped[Word]  # patchmgr.domain.rollout.TaskState
    state_since: Mapped[datetime]
    attempt: Mapped[int]
    misses: Mapped[int]  # attempts that the host never began
    deadline: Mapped[datetime | None]  # when the server stops waiting for the next step
    dispatched_at: Mapped[datetime | None]
    begun_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    seen_at: Mapped[datetime | None]  # last inventory that was held against it
    package: Mapped[Name]  # the one that failed
    not_back: Mapped[bool]  # lost in its reboot
    reason: Mapped[str] = mapped_column(Text)
    output: Mapped[str] = mapped_column(Text)  # what the host or the person reported, bounded
    reported_by: Mapped[Name]
    acknowledged: Mapped[bool]  # a person has seen that it ended without success
    # That a person wants it rolled back: patchmgr.domain.rollout.model.WayBack
    undo: Mapped[str] = mapped_column(Text)  # why; "": nobody does
    undo_asked_at: Mapped[datetime | None]
    undo_attempt: Mapped[int]  # the last order to go back; 0: none was handed out
    undo_misses: Mapped[int]
    undo_until: Mapped[datetime | None]  # when the server stops waiting for its next step
    undo_given_at: Mapped[datetime | None]  # when the order that is out was handed out
    undo_begun_at: Mapped[datetime | None]
    undo_over: Mapped[str] = mapped_column(Text)  # why it ended without the host gone back
    undo_withdrawn_at: Mapped[datetime | None]
    went_back: Mapped[Word]  # patchmgr.domain.rollout.states.WentBack; "": nobody said so
    proof_after: Mapped[datetime | None]  # a later inventory is news of that; None: none is


class PlanGroup(Base):
    """Hosts of a plan of which only some may be unavailable at a time."""

    __tablename__ = "plan_group"
    __table_args__ = (UniqueConstraint("plan_id", "key"),)

    id: Mapped[Id]
    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id"))
    key: Mapped[Name]
    limit: Mapped[int]  # hosts that may be unavailable
    is_ordered: Mapped[bool]
    unavailable: Mapped[int]  # at work, or ended without success and not acknowledged


class PlanGroupHost(Base):
    """A host is in a group of a plan."""

    __tablename__ = "plan_group_host"
    __table_args__ = (
        UniqueConstraint("group_id", "host_id"),
        Index("ix_plan_group_host_plan_host", "plan_id", "host_id"),
    )

    id: Mapped[Id]
    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id"))
    group_id: Mapped[int] = mapped_column(ForeignKey("plan_group.id"))
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"))
    place: Mapped[int]  # in the group's order
    # The host that must have begun before this one; None: nobody.
    after_id: Mapped[int | None] = mapped_column(ForeignKey("host.id"))


class Lease(Base):
    """Who holds the order of a task: given out once an attempt, and again only when it expired."""

    __tablename__ = "lease"
    __table_args__ = (UniqueConstraint("task_id", "attempt", "turn"),)

    id: Mapped[Id]
    key: Mapped[Word] = mapped_column(unique=True)  # names it outside; nobody can guess it
    task_id: Mapped[int] = mapped_column(ForeignKey("task.id"))
    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id"), index=True)
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"))
    attempt: Mapped[int]
    is_way_back: Mapped[bool]  # it is an order to go back
    turn: Mapped[int]  # how often this attempt was given out, from 1
    holder: Mapped[Name]  # patchmgr.domain.leases.holder_of_host, or a token's name
    content_hash: Mapped[Word]  # of the plan
    work_hash: Mapped[Word]  # of what the order says, as it was given out
    run: Mapped[Word]  # the one process of the holder that began; "": none has
    made_at: Mapped[datetime]
    begin_by: Mapped[datetime]
    expires_at: Mapped[datetime]  # until then nobody else gets the order
    renewed_at: Mapped[datetime | None]
    begun_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    said_hash: Mapped[Word]  # of the last result, so that it is known again
    said: Mapped[dict[str, Any]]  # the last result
    answer: Mapped[dict[str, Any]]  # what was answered to it


class Approval(Base):
    """A person's decision on exact content."""

    __tablename__ = "approval"

    id: Mapped[Id]
    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id"), index=True)
    ring: Mapped[Word]  # "" for the whole plan
    decision: Mapped[Word]  # "approve" or "reject"
    content_hash: Mapped[Word]
    by: Mapped[Name]
    at: Mapped[datetime]
    comment: Mapped[str] = mapped_column(Text)
    void_at: Mapped[datetime | None]  # when the content changed under it
    void_reason: Mapped[str] = mapped_column(Text)


class PlanEvent(Base):
    """What happened to a plan, in order: its timeline."""

    __tablename__ = "plan_event"
    __table_args__ = (Index("ix_plan_event_host", "plan_id", "host_id"),)

    id: Mapped[Id]
    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id"), index=True)
    at: Mapped[datetime]
    by: Mapped[Name]
    kind: Mapped[Word]
    ring: Mapped[Word]  # "" for the whole plan
    host_id: Mapped[int | None] = mapped_column(ForeignKey("host.id"))  # None: more than one host
    message: Mapped[str] = mapped_column(Text)


class Outbox(Base):
    """An effect that must happen in the world, written in the transaction that decided it."""

    __tablename__ = "outbox"

    id: Mapped[Id]
    made_at: Mapped[datetime]
    kind: Mapped[Word]  # "dispatch", "recall", "notify"
    plan_id: Mapped[int | None] = mapped_column(ForeignKey("plan.id"))
    payload: Mapped[dict[str, Any]]
    done_at: Mapped[datetime | None] = mapped_column(index=True)
    attempts: Mapped[int]
    error: Mapped[str] = mapped_column(Text)

    plan: Mapped[Plan | None] = relationship(lazy="raise")


class Window(Base):
    """A maintenance window: a recurrence on a zone's wall clock, and how long it stays open."""

    __tablename__ = "maintenance_window"

    id: Mapped[Id]
    name: Mapped[Word] = mapped_column(unique=True)
    rrule: Mapped[str] = mapped_column(Text)  # RFC 5545 recurrence, without DTSTART
    duration: Mapped[int]  # seconds
    zone: Mapped[Word]  # IANA name
    exdates: Mapped[list[str]]  # starts or days, on the wall clock, that do not open it
    first: Mapped[Word]  # wall clock, ISO 8601; "": counted from `patchmgr.domain.rules.EPOCH`
    also: Mapped[list[Any]]  # further recurrences, canonical form of the domain
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    revision: Mapped[int]  # how often it was changed


class WindowRule(Base):
    """Which hosts have a window without naming one themselves."""

    __tablename__ = "window_rule"

    id: Mapped[Id]
    window: Mapped[Name]  # name of a maintenance window
    fields: Mapped[dict[str, Any]]  # of a host, which must all be equal; tag: one that it has
    created_by: Mapped[Name]
    created_at: Mapped[datetime]


class Freeze(Base):
    """A time in which nothing may change, once or again and again."""

    __tablename__ = "freeze"

    id: Mapped[Id]
    name: Mapped[Name]
    starts: Mapped[datetime]  # of one that recurs: first of all
    ends: Mapped[datetime]  # exclusive; of one that recurs: from when on it holds no longer
    recurrence: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    reason: Mapped[str] = mapped_column(Text)
    created_by: Mapped[Name]
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    revision: Mapped[int]  # how often it was changed
