"""``patchmgr plans``: make them, agree on them, carry them out, and see how they get on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from patchmgr.cli import plan_decisions, plan_work
from patchmgr.cli.acting import acting, as_option
from patchmgr.cli.app import ID, App, pass_app, show_json, show_listing
from patchmgr.cli.plan_decisions import say, terms_of, terms_options
from patchmgr.cli.plan_files import read_stages
from patchmgr.cli.plan_overrides import forecast, roll_back, skip_ring, withdraw_roll_back
from patchmgr.cli.plan_views import detail_json, history_json, print_detail
from patchmgr.db.queries import change_history, plan_content, plan_lists, plan_progress
from patchmgr.db.queries import holds as hold_queries
from patchmgr.db.queries import plans as queries
from patchmgr.domain.advisories import Severity
from patchmgr.domain.plans import Selection
from patchmgr.domain.rings import DEFAULT_RINGS
from patchmgr.domain.terms import Terms
from patchmgr.errors import InputError
from patchmgr.services import plan_drafts, planning_policies, policy_selection
from patchmgr.services import plans as service

_json = click.option("--json", "as_json", is_flag=True, help="As JSON.")
_id = click.argument("plan_id", metavar="ID", type=ID)
_reason = click.option("--reason", default="", help="Why; kept with the plan.")


@click.group()
def plans() -> None:
    """Patch plans: exact content, rings, approval, rollout."""


@plans.command()
@click.option("--policy", help="By this planning policy, or what this SLA policy dates.")
@click.option("--advisory", "advisories", multiple=True, help="Close this advisory (repeatable).")
@click.option("--cve", "cves", multiple=True, help="Close this CVE (repeatable).")
@click.option("--host", "hosts", multiple=True, help="Only on this host (repeatable).")
@click.option("--platform", "platforms", multiple=True, help="Only hosts of it (repeatable).")
@click.option("--environment", "environments", multiple=True, help="Only hosts in it (repeatable).")
@click.option("--package", "packages", multiple=True, help="Only this package (repeatable).")
@click.option(
    "--severity",
    type=click.Choice([severity.word for severity in Severity]),
    help="Only findings at least this bad.",
)
@click.option("--all", "everything", is_flag=True, help="Every open finding; as without options.")
@click.option("--title", default="", help="By default the first package and how many more.")
@click.option(
    "--rings",
    "rings_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML or JSON file of ring settings (docs/plans.md).",
)
@click.option("--approvals", type=int, default=1, show_default=True, help="People who must agree.")
@click.option("--include-held", is_flag=True, help="Packages too that their hosts hold back.")
@terms_options
@as_option
@_json
@pass_app
def create(
    app: App,
    policy: str | None,
    advisories: tuple[str, ...],
    cves: tuple[str, ...],
    hosts: tuple[str, ...],
    platforms: tuple[str, ...],
    environments: tuple[str, ...],
    packages: tuple[str, ...],
    severity: str | None,
    everything: bool,
    title: str,
    rings_file: Path | None,
    approvals: int,
    include_held: bool,
    targets: str | None,
    approvers: tuple[str, ...],
    valid: str | None,
    execution: str | None,
    as_name: str | None,
    as_json: bool,
) -> None:
    """Make a plan from open findings, and print its id."""
    worst = Severity[severity.upper()] if severity else Severity.UNKNOWN
    selection = Selection(
        advisories, cves, packages, hosts, worst, platforms=platforms, environments=environments
    )
    if everything and selection != Selection():
        raise InputError({"all": "takes no other selection beside it"})
    who = acting(app, as_name)
    acts: dict[str, Any] = {"actor": who.name, "role": who.role, "now": app.now}
    by_planning = False
    if policy is not None:
        with app.db.reading() as session:
            by_planning = policy_selection.is_planning(session, policy)
            if not by_planning:
                selection = policy_selection.dated_by(session, policy, selection)
    if policy is not None and by_planning:
        said = (rings_file, approvals != 1, include_held, targets, approvers, valid, execution)
        if any(said):
            why = f"{policy!r} says rings, groups, approvals and versions itself"
            raise InputError({"policy": why})
        plan_id = planning_policies.create_plan(
            app.db, policy, narrowed=selection, title=title, **acts
        )
    else:
        rings, groups = read_stages(rings_file) if rings_file else (DEFAULT_RINGS, ())
        plan_id = plan_drafts.create(
            app.db,
            selection=selection,
            title=title,
            rings=rings,
            groups=groups,
            approvals_needed=approvals,
            terms=terms_of(Terms(include_held=include_held), targets, approvers, valid, execution),
            **acts,
        )
    if not as_json:
        click.echo(plan_id)
        return
    with app.db.reading() as session:
        show_json(detail_json(queries.get(session, plan_id, now=app.now)))


@plans.command("list")
@click.option("--state", "states", multiple=True, help="Only in this state (repeatable).")
@_json
@pass_app
def list_(app: App, states: tuple[str, ...], as_json: bool) -> None:
    """List plans, the newest first."""
    with app.db.reading() as session:
        page = plan_lists.listing(session, states=states, limit=1_000_000)
    columns = (
        "id", "state", "title", "author", "severity", "hosts", "changes", "findings", "due",
        "state_since", "reason",
    )  # fmt: skip
    rows = [tuple(getattr(line, name) for name in columns) for line in page.lines]
    show_listing(columns, rows, as_json)


@plans.command()
@_id
@_json
@pass_app
def show(app: App, plan_id: int, as_json: bool) -> None:
    """Show a plan: what changes, its rings and their gates, its tasks."""
    everything = 10_000_000
    with app.db.reading() as session:
        detail = queries.get(session, plan_id, now=app.now)
        limit = everything if as_json else 15
        changes = plan_content.changes(session, plan_id, limit=limit)
        excluded = plan_content.exclusions(session, plan_id, limit=limit)
        tasks = plan_progress.tasks(session, plan_id, limit=limit)
        events = plan_progress.events(session, plan_id, limit=everything if as_json else 10)
        numbers = [one.id for one in changes.lines]
        history = change_history.of_changes(session, plan_id, numbers, counted=None)
        held = hold_queries.of_plan(session, plan_id, app.now)
    if as_json:
        document = detail_json(detail, changes.lines, excluded.lines, tasks.lines, events.lines)
        for line in document["changes"]:
            line["history"] = history_json(history[line["id"]])
        document["held"] = [{"package": one.package, "hold": hold.id, "why": hold.words}
                            for one, hold in held]  # fmt: skip
        show_json(document)
    else:
        for one, hold in held:
            click.echo(f"held: {one.package} {one.to_version} is {hold.words}")
        print_detail(detail, changes, excluded, tasks, events, history)


@plans.command()
@_id
@click.option(
    "--rings",
    "rings_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML or JSON file of ring settings (docs/plans.md).",
)
@click.option("--approvals", type=int, help="People who must agree.")
@terms_options
@as_option
@_json
@pass_app
def edit(
    app: App,
    plan_id: int,
    rings_file: Path | None,
    approvals: int | None,
    targets: str | None,
    approvers: tuple[str, ...],
    valid: str | None,
    execution: str | None,
    as_name: str | None,
    as_json: bool,
) -> None:
    """Give a plan that has not started other rings; given approvals fall."""
    rings, groups = read_stages(rings_file) if rings_file else (None, None)
    who = acting(app, as_name)
    changed = plan_drafts.edit(
        app.db,
        plan_id,
        rings=rings,
        groups=groups,
        approvals_needed=approvals,
        terms=lambda before: terms_of(before, targets, approvers, valid, execution),
        actor=who.name,
        role=who.role,
        now=app.now,
    )
    say(app, plan_id, as_json, "\n".join(changed) or "nothing changed")


def _command(name: str, does: str, call: Callable[..., None], *, needs_reason: bool = True) -> None:
    """Register a command that does one thing to one plan."""

    def run(app: App, plan_id: int, reason: str, as_name: str | None, as_json: bool) -> None:
        who = acting(app, as_name)
        words = {"reason": reason} if needs_reason else {}
        call(app.db, plan_id, **words, actor=who.name, role=who.role, now=app.now)
        say(app, plan_id, as_json)

    run.__doc__ = does
    plans.command(name)(_id(_reason(as_option(_json(pass_app(run))))))


_command("propose", "Ask for approval.", service.propose, needs_reason=False)
_command("reject", "Refuse a plan for good; needs --reason.", service.reject)
_command("pause", "Hand out nothing more; needs --reason.", service.pause)
_command("resume", "Let a paused plan go on.", service.resume)
_command("cancel", "End a plan; needs --reason.", service.cancel)
_command("halt", "Stop a plan until somebody acknowledges it; needs --reason.", service.halt)
for decision in (plan_decisions.start, plan_decisions.review, plan_decisions.supersede):
    plans.add_command(decision)


@plans.command()
@_id
@click.option("--host", "hosts", multiple=True, help="Accept this host's end; signals stay.")
@_reason
@as_option
@_json
@pass_app
def acknowledge(
    app: App,
    plan_id: int,
    hosts: tuple[str, ...],
    reason: str,
    as_name: str | None,
    as_json: bool,
) -> None:
    """Let open halt signals pass; needs --reason."""
    who = acting(app, as_name)
    service.acknowledge(
        app.db, plan_id, hosts=hosts, reason=reason, actor=who.name, role=who.role, now=app.now
    )
    say(app, plan_id, as_json)


plans.add_command(forecast)
plans.add_command(roll_back)
plans.add_command(skip_ring)
plans.add_command(withdraw_roll_back)
for work in (plan_work.export, plan_work.results, plan_work.tick):
    plans.add_command(work)


@plans.command()
@_id
@click.option("--ring", default="", help="Approve this ring, where it needs its own approval.")
@click.option("--hash", "content_hash", help="Approve only if the content still has this hash.")
@_reason
@as_option
@_json
@pass_app
def approve(
    app: App,
    plan_id: int,
    ring: str,
    content_hash: str | None,
    reason: str,
    as_name: str | None,
    as_json: bool,
) -> None:
    """Consent to a plan's content; its author cannot. Without --hash, as it is stored."""
    who = acting(app, as_name)
    approved = service.approve(
        app.db,
        plan_id,
        ring=ring,
        content_hash=content_hash,
        comment=reason,
        actor=who.name,
        role=who.role,
        now=app.now,
    )
    with app.db.reading() as session:
        detail = queries.get(session, plan_id, now=app.now)
    missing = detail.approvals_needed - detail.approvals_given
    more = f", {missing} more needed" if missing > 0 and not ring else ""
    how = "as you named it" if content_hash else "as it is stored; --hash names what you looked at"
    said = f"plan {plan_id} is {detail.state.value}{more}\napproved content {approved}, {how}"
    say(app, plan_id, as_json, said)


@plans.command()
@_id
@click.argument("hosts", nargs=-1, required=True)
@_reason
@as_option
@_json
@pass_app
def retry(
    app: App,
    plan_id: int,
    hosts: tuple[str, ...],
    reason: str,
    as_name: str | None,
    as_json: bool,
) -> None:
    """Give HOSTS that ended without success another turn; needs --reason."""
    who = acting(app, as_name)
    service.retry(app.db, plan_id, hosts, reason=reason, actor=who.name, role=who.role, now=app.now)
    what = "1 host waits" if len(hosts) == 1 else f"{len(hosts)} hosts wait"
    say(app, plan_id, as_json, f"{what} for another turn")
