"""``patchmgr plans forecast|skip-ring|*roll-back``: what would be, and what people overrule."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from patchmgr.cli.acting import acting, as_option
from patchmgr.cli.app import BEGINS, ID, App, instant, pass_app, show_json, show_table
from patchmgr.cli.plan_decisions import say
from patchmgr.domain import durations
from patchmgr.domain.simulation.forecast import WhatIf
from patchmgr.domain.simulation.outlook import PlanForecast
from patchmgr.services import forecasts, going_back
from patchmgr.services import plans as service

_id = click.argument("plan_id", metavar="ID", type=ID)
_json_option = click.option("--json", "as_json", is_flag=True, help="As JSON.")
_reason = click.option("--reason", default="", help="Why; kept with the plan.")
SHOWN = 20  # late hosts that are printed for people


@click.command()
@_id
@click.option("--start", type=BEGINS, help="What if it started then.")
@click.option("--soak", help="What if every ring soaked so long, such as 12h.")
@click.option("--max-concurrent", type=click.IntRange(1), help="What if so many hosts at a time.")
@click.option("--window", help="What if every host had this window; any for any time.")
@_json_option
@pass_app
def forecast(
    app: App,
    plan_id: int,
    start: datetime | None,
    soak: str | None,
    max_concurrent: int | None,
    window: str | None,
    as_json: bool,
) -> None:
    """Show when each ring will run, who will be late and what each ring brings; saves nothing."""
    what_if = WhatIf(start, durations.parse(soak, "soak") if soak else None, max_concurrent, window)
    with app.db.reading() as session:
        made = forecasts.forecast(session, plan_id, now=app.now, what_if=what_if)
    if as_json:
        show_json(_json(plan_id, made))
    else:
        _print(made)


@click.command("skip-ring")
@_id
@click.argument("ring")
@_reason
@as_option
@_json_option
@pass_app
def skip_ring(
    app: App, plan_id: int, ring: str, reason: str, as_name: str | None, as_json: bool
) -> None:
    """Go on without RING and its evidence; needs --reason and an approver."""
    who = acting(app, as_name)
    service.skip_ring(
        app.db, plan_id, ring, reason=reason, actor=who.name, role=who.role, now=app.now
    )
    say(app, plan_id, as_json, f"ring {ring} is skipped")


@click.command("roll-back")
@_id
@click.argument("hosts", nargs=-1)
@click.option("--ring", default="", help="All hosts of this ring that have something new.")
@click.option("--all", "everything", is_flag=True, help="All hosts of the plan that have.")
@_reason
@as_option
@_json_option
@pass_app
def roll_back(
    app: App,
    plan_id: int,
    hosts: tuple[str, ...],
    ring: str,
    everything: bool,
    reason: str,
    as_name: str | None,
    as_json: bool,
) -> None:
    """Ask that HOSTS go back; agents and runners get orders, people plans export --rollback."""
    who = acting(app, as_name)
    count = going_back.roll_back(
        app.db,
        plan_id,
        hosts,
        ring=ring,
        everything=everything,
        reason=reason,
        actor=who.name,
        role=who.role,
        now=app.now,
    )
    hosts_said = "1 host" if count == 1 else f"{count} hosts"
    say(app, plan_id, as_json, f"{hosts_said} must be rolled back")


@click.command("withdraw-roll-back")
@_id
@click.argument("hosts", nargs=-1)
@click.option("--ring", default="", help="All hosts of this ring that have not begun.")
@click.option("--all", "everything", is_flag=True, help="All hosts of the plan that have not.")
@_reason
@as_option
@_json_option
@pass_app
def withdraw_roll_back(
    app: App,
    plan_id: int,
    hosts: tuple[str, ...],
    ring: str,
    everything: bool,
    reason: str,
    as_name: str | None,
    as_json: bool,
) -> None:
    """Let HOSTS keep what they have that were to go back and have not begun."""
    who = acting(app, as_name)
    done = going_back.withdraw(
        app.db,
        plan_id,
        hosts,
        ring=ring,
        everything=everything,
        reason=reason,
        actor=who.name,
        role=who.role,
        now=app.now,
    )
    said = f"{done.hosts} {'roll-back is' if done.hosts == 1 else 'roll-backs are'} withdrawn"
    if done.begun:
        said += f"\n{done.begun} have begun, and go back; that cannot be withdrawn"
    say(app, plan_id, as_json, said)


def _json(plan_id: int, made: PlanForecast) -> dict[str, Any]:
    found = made.forecast
    return {
        "plan": plan_id,
        "starts": found.starts,
        "ends": found.ends,
        "outcome": found.outcome,
        "due": made.due,
        "hosts": made.hosts,
        "findings": made.findings,
        "rings": [asdict(ring) for ring in found.rings],
        "late_hosts": found.late_hosts,
        "late": [asdict(host) for host in found.late],
        "late_by": [asdict(one) for one in found.late_by],
        "compliance": [asdict(one) for one in made.compliance],
        "beside": [asdict(one) for one in made.beside],
    }


def _print(made: PlanForecast) -> None:
    found = made.forecast
    show_table(
        ("ring", "hosts", "starts", "soaks_from", "ends", "last_host"),
        [
            (ring.name, ring.hosts, ring.starts, ring.soaks_from, ring.ends, ring.last_host)
            for ring in found.rings
        ],
    )
    due = f", due {instant(made.due)}" if made.due else ""
    click.echo(f"\nends {instant(found.ends) or 'not in sight'}{due}: {found.outcome}\n")
    show_table(
        ("after", "hosts_left", "findings_left", "hosts_done", "findings_closed"),
        [
            (
                one.after or "now",
                one.hosts,
                one.findings,
                f"{one.hosts_pct} % of {made.hosts}",
                f"{one.findings_pct} % of {made.findings}",
            )
            for one in made.compliance
        ],
    )
    for other in made.beside:
        click.echo(
            f"\nnot taken into account: plan {other.plan} {other.title} ({other.state}), "
            f"which has {other.shared} too"
        )
    if not found.late_hosts:
        return
    more = f"; the first {SHOWN} of them" if found.late_hosts > SHOWN else ""
    click.echo(f"\nnot done when due: {found.late_hosts} hosts")
    show_table(
        ("ring", "hosts", "earliest", "reason"),
        [(one.ring, one.hosts, one.earliest, one.reason) for one in found.late_by],
    )
    click.echo(f"\nhost by host{more}")
    show_table(
        ("host", "ring", "window", "expected", "earliest", "reason"),
        [
            (one.name, one.ring, one.window, one.expected, one.earliest, one.reason)
            for one in found.late[:SHOWN]
        ],
    )
