"""What ``patchmgr plans`` says of terms and decisions: their options, break-glass, superseding."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from patchmgr.cli.acting import acting, as_option
from patchmgr.cli.app import ID, App, pass_app, show_json
from patchmgr.cli.plan_views import detail_json
from patchmgr.db.queries import plans as queries
from patchmgr.domain import durations
from patchmgr.domain.terms import Execution, Targets, Terms
from patchmgr.services import approvals, superseding
from patchmgr.services import plans as service

_TARGETS = [each.value for each in Targets]
_id = click.argument("plan_id", metavar="ID", type=ID)
_json = click.option("--json", "as_json", is_flag=True, help="As JSON.")
_reason = click.option("--reason", default="", help="Why; kept with the plan.")

Command = Callable[..., Any]


def terms_options(command: Command) -> Command:
    """Add the options that say a plan's terms."""
    for option in (
        click.option("--targets", type=click.Choice(_TARGETS), help="Which versions are good."),
        click.option(
            "--approver",
            "approvers",
            multiple=True,
            help="Who must agree: a name, or role:approver (repeatable); by default any approver.",
        ),
        click.option(
            "--execution",
            type=click.Choice([one.value for one in Execution]),
            help="Who carries it out: people, each host by itself, or a runner.",
        ),
        click.option("--approval-valid", "valid", help="How long an approval counts: 14d, 48h."),
    ):
        command = option(command)
    return command


def terms_of(
    before: Terms,
    targets: str | None,
    approvers: tuple[str, ...],
    valid: str | None,
    execution: str | None,
) -> Terms:
    """Return ``before`` with what the options say. Raises `InputError`."""
    after = before
    if targets is not None:
        after = replace(after, targets=Targets(targets))
    if approvers:
        after = replace(after, approvers=() if approvers == ("",) else approvers)
    if execution is not None:
        after = replace(after, execution=Execution(execution))
    if valid is not None:
        after = replace(after, approval_valid=durations.parse(valid, "approval-valid"))
    return after


@click.command()
@_id
@click.option("--break-glass", is_flag=True, help="Without its approvals; needs --reason.")
@_reason
@as_option
@_json
@pass_app
def start(
    app: App, plan_id: int, break_glass: bool, reason: str, as_name: str | None, as_json: bool
) -> None:
    """Start an approved plan; with --break-glass one that is not, to be reviewed afterwards."""
    who = acting(app, as_name)
    acts: dict[str, Any] = {"actor": who.name, "role": who.role, "now": app.now}
    if break_glass:
        superseding.break_glass(app.db, plan_id, reason=reason, **acts)
    else:
        service.start(app.db, plan_id, **acts)
    say(app, plan_id, as_json)


@click.command()
@_id
@click.option("--reason", required=True, help="What you found; kept with the plan.")
@as_option
@_json
@pass_app
def review(app: App, plan_id: int, reason: str, as_name: str | None, as_json: bool) -> None:
    """Sign a start without approvals; neither who did it nor an author of the plan can."""
    who = acting(app, as_name)
    approvals.review(app.db, plan_id, comment=reason, actor=who.name, role=who.role, now=app.now)
    say(app, plan_id, as_json)


@click.command()
@click.argument("new_id", metavar="NEW", type=ID)
@click.argument("old_id", metavar="OLD", type=ID)
@_reason
@as_option
@_json
@pass_app
def supersede(
    app: App, new_id: int, old_id: int, reason: str, as_name: str | None, as_json: bool
) -> None:
    """End the plan OLD, for the plan NEW does all that is left of it."""
    who = acting(app, as_name)
    superseding.supersede(
        app.db, new_id, old_id, reason=reason, actor=who.name, role=who.role, now=app.now
    )
    say(app, old_id, as_json)


def say(app: App, plan_id: int, as_json: bool, said: str = "") -> None:
    """Show the plan as a command left it: as JSON whole, else ``said`` or its state."""
    with app.db.reading() as session:
        detail = queries.get(session, plan_id, now=app.now)
    if as_json:
        show_json(detail_json(detail))
    else:
        click.echo(said or f"plan {plan_id} is {detail.state.value}")
