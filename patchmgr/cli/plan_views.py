"""A plan as JSON and as text."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import click

from patchmgr.cli.app import instant, show_table
from patchmgr.db.queries.change_history import History
from patchmgr.db.queries.paging import Page
from patchmgr.db.queries.plan_content import ChangeLine, ExclusionLine
from patchmgr.db.queries.plan_progress import EventLine, TaskLine
from patchmgr.db.queries.plans import ApprovalLine, PlanDetail, RingView
from patchmgr.domain import durations
from patchmgr.domain.content import coverage_words
from patchmgr.domain.rollout.advice import commands
from patchmgr.domain.rollout.states import PlanState
from patchmgr.domain.rollout.stop import Stop
from patchmgr.domain.terms import Terms
from patchmgr.domain.terms import words as terms_words


def detail_json(
    plan: PlanDetail,
    changes: Sequence[ChangeLine] | None = None,
    excluded: Sequence[ExclusionLine] | None = None,
    tasks: Sequence[TaskLine] | None = None,
    events: Sequence[EventLine] | None = None,
) -> dict[str, Any]:
    """Return a plan for programs; the listings that were not read are left out."""
    plain = (
        "id", "title", "state", "state_since", "state_by", "reason", "author", "content_hash",
        "series", "approvals_needed", "approvals_given", "due", "created_at", "proposed_at",
        "approved_at", "started_at", "finished_at", "expires_at", "awaits", "frozen", "live",
        "policy", "superseded_by",
    )  # fmt: skip
    document: dict[str, Any] = {name: getattr(plan, name) for name in plain}
    document |= {
        "authors": list(plan.authors),
        "selection": dict(plan.selection),
        "summary": dict(plan.summary),
        "terms": terms_json(plan.terms),
        "contains": list(plan.contains),
        "break_glass": None if plan.break_glass is None else asdict(plan.break_glass),
        "commands": list(plan.commands),
        "changed": list(plan.changed),
        "counts": dict(plan.counts),
        "signals": [asdict(signal) for signal in plan.signals],
        "stops": [_stop(plan, stop) for stop in plan.stops],
        "approvals": [asdict(one) for one in plan.approvals],
        "windows": list(plan.windows.values()),
        "groups": list(plan.groups),
        "rings": [_ring(ring) for ring in plan.rings],
    }
    if changes is not None:
        document["changes"] = [asdict(one) | {"severity": one.severity.word} for one in changes]
    if excluded is not None:
        document["not_planned"] = [asdict(one) for one in excluded]
    if tasks is not None:
        document["tasks"] = [asdict(one) for one in tasks]
    if events is not None:
        document["events"] = [asdict(one) for one in events]
    return document


def terms_json(terms: Terms) -> dict[str, Any]:
    """Return every term, also those that the canonical form leaves out."""
    return {
        "targets": terms.targets.value,
        "include_held": terms.include_held,
        "approvers": list(terms.approvers),
        "approval_valid": durations.text(terms.approval_valid),
        "execution": terms.execution.value,
    }


def history_json(history: History) -> dict[str, Any]:
    """Return what is known of a change from earlier plans."""
    return {
        "is_first": history.is_first,
        "verified": history.verified,
        "failed": history.failed,
        "plans": [asdict(one) for one in history.plans],
    }


def print_detail(
    plan: PlanDetail,
    changes: Page[ChangeLine],
    excluded: Page[ExclusionLine],
    tasks: Page[TaskLine],
    events: Page[EventLine],
    history: Mapping[int, History],
) -> None:
    """Print a plan for people."""
    click.echo(f"plan {plan.id}: {plan.title}")
    click.echo(f"{plan.state.value} since {instant(plan.state_since)} by {plan.state_by}")
    if plan.reason and not plan.stops:
        click.echo(f"reason: {plan.reason}")
    if plan.awaits:
        click.echo(f"waits for: {plan.awaits}")
    for stop in plan.stops:
        _print_stop(plan, stop)
    if plan.frozen:
        click.echo(f"frozen: {plan.frozen}")
    click.echo(f"author {plan.author}, content {plan.content_hash}")
    click.echo(f"approvals: {plan.approvals_given} of {plan.approvals_needed}")
    for one in plan.approvals:
        click.echo(f"  {_decision(one)}")
    if plan.state is PlanState.PROPOSED:
        click.echo(f"to approve this: patchmgr plans approve {plan.id} --hash {plan.content_hash}")
    _print_terms(plan)
    for line in plan.changed:
        click.echo(f"changed since it was approved: {line}")
    click.echo("")
    show_table(
        ("ring", "state", "since", "hosts", "verified", "failed", "reason"),
        [_ring_row(ring) for ring in plan.rings],
    )
    current = plan.rings[plan.current] if plan.current is not None else None
    if current is not None and plan.started_at is not None:
        click.echo(f"\ngate of ring {current.name}")
        show_table(
            ("condition", "have", "need", "holds"),
            [(one.name, one.have, one.need, one.holds) for one in current.gate],
        )
    _section("changes", changes)
    show_table(
        ("package", "arch", "from", "to", "of", "hosts", "advisories", "history"),
        [
            (
                one.package,
                one.arch,
                one.from_version,
                one.to_version,
                one.match,
                one.hosts,
                len(one.advisories),
                history[one.id].words,
            )
            for one in changes.lines
        ],
    )
    _section("not planned", excluded)
    show_table(
        ("package", "version", "hosts", "reason"),
        [(one.package, one.version, one.hosts, one.reason) for one in excluded.lines],
    )
    _section("tasks", tasks)
    show_table(
        ("host", "ring", "state", "attempt", "deadline", "reason"),
        [
            (
                one.host,
                one.ring,
                one.state.value,
                one.attempt,
                one.deadline,
                "; ".join(filter(None, (one.reason, one.way_back))),
            )
            for one in tasks.lines
        ],
    )
    _section("events", events)
    show_table(
        ("at", "by", "kind", "ring", "message"),
        [(one.at, one.by, one.kind, one.ring, one.message) for one in events.lines],
    )


def _decision(one: ApprovalLine) -> str:
    """Return who decided what and why, and why it counts no longer where it does not."""
    what = "rejected" if one.decision == "reject" else "approved"
    ring = f" ring {one.ring}" if one.ring else ""
    said = f"{one.by} {what}{ring}, {instant(one.at)}{f': {one.comment}' if one.comment else ''}"
    return f"{said} (no longer counts: {one.void_reason})" if one.void_at else said


def _print_stop(plan: PlanDetail, stop: Stop) -> None:
    """Print why a plan stands still, which hosts made it, and what to type."""
    what = "halt signal" if stop.is_halt else "stands still"
    since = "no host at work since" if stop.is_idle else "since"
    click.echo(f"{what}: {stop.why}" + (f" ({since} {instant(stop.at)})" if stop.at else ""))
    for one in stop.hosts:
        package = "" if one.package in one.said else one.package
        said = ": ".join(filter(None, (package, one.said)))
        click.echo(f"  {one.host}, {one.state.value}" + (f": {said}" if said else ""))
    for step, line in zip(stop.steps, commands(plan.id, stop), strict=True):
        click.echo(f"  - {step.words}" + (f"\n      {line}" if line else ""))


def _stop(plan: PlanDetail, stop: Stop) -> dict[str, Any]:
    typed = commands(plan.id, stop)
    return {
        **asdict(stop),
        "steps": [
            {**asdict(step), "typed": line} for step, line in zip(stop.steps, typed, strict=True)
        ],
    }


def _print_terms(plan: PlanDetail) -> None:
    terms = plan.terms
    if terms.approvers:
        click.echo(f"who must agree: {terms_words(terms.approvers)}")
    click.echo(f"target versions: {terms.targets.value}")
    if terms.include_held:
        click.echo(f"held packages are changed too: {plan.summary.get('held_included', 0)}")
    _print_notes(plan)
    if plan.policy:
        click.echo(f"made by policy {plan.policy}")
    if plan.break_glass:
        done = plan.break_glass
        click.echo(f"started without its approvals by {done.by}: {done.reason}")
        signed = f"reviewed by {done.reviewed_by}: {done.comment}" if done.reviewed_by else ""
        click.echo(signed or f"not reviewed yet: patchmgr plans review {plan.id} --reason TEXT")
    for number in plan.contains:
        click.echo(
            f"does all that is left of plan {number}: patchmgr plans supersede {plan.id} {number}"
        )
    if plan.superseded_by:
        click.echo(f"superseded by plan {plan.superseded_by}")


def _print_notes(plan: PlanDetail) -> None:
    """Print what was noted when the plan was made or edited."""
    for one in plan.summary.get("superseded_targets", ()):
        click.echo(
            f"exact, and {one['hosts']} hosts are offered {one['offered']} instead: "
            f"{one['package']} {one['target']}"
        )
    for one in plan.summary.get("raised_targets", ()):
        click.echo(
            f"past what is known to be bad: {one['package']} {one['fix']} -> {one['target']}"
        )
    for one in plan.summary.get("unmatched", ()):
        click.echo(one)
    for one in plan.summary.get("phased", ()):
        click.echo(f"phased, so not offered to every host yet: {one}")
    for reached in plan.summary.get("coverage", ()):
        click.echo(f"ring {reached['ring']}: {coverage_words(reached)}")


def _section(name: str, page: Page[Any]) -> None:
    shown = len(page.lines)
    click.echo(f"\n{name}: {page.total}" + (f", the first {shown}" if shown < page.total else ""))


def _ring(ring: RingView) -> dict[str, Any]:
    plain = (
        "name", "position", "state", "state_since", "started_at", "soak_until", "finished_at",
        "deadline", "reason", "hosts",
    )  # fmt: skip
    return {
        **{name: getattr(ring, name) for name in plain},
        "counts": dict(ring.counts),
        "attempted": ring.tally.attempted,
        "succeeded": ring.tally.succeeded,
        "failures": ring.tally.failures,
        "unverified": ring.tally.unverified,
        "gate": [asdict(one) for one in ring.gate],
        "settings": ring.settings.to_json(),
    }


def _ring_row(ring: RingView) -> tuple[object, ...]:
    counts = ring.summary
    return (
        ring.name,
        ring.state.value,
        ring.state_since,
        ring.hosts,
        counts["verified"],
        counts["failed"],
        ring.reason,
    )
