"""``patchmgr holds``: package versions that are known to be bad, which no plan may install."""

from dataclasses import fields
from datetime import datetime, timedelta

import click

from patchmgr.cli.acting import acting, as_option
from patchmgr.cli.app import AT, ID, App, pass_app, show_json, show_table
from patchmgr.db.queries import holds as queries
from patchmgr.db.queries.holds import STATES, HoldLine
from patchmgr.domain.holds import USUAL, Hold
from patchmgr.services import holds as service

_json = click.option("--json", "as_json", is_flag=True, help="As JSON.")
_id = click.argument("number", metavar="ID", type=ID)
COLUMNS = ("id", "state", "package", "versions", "platform", "reason", "owner", "expires_at")


@click.group()
def holds() -> None:
    """Holds: package versions that are known to be bad, why, and until when."""


@holds.command()
@click.argument("package")
@click.option("--version", "versions", default="", help='"1.2-3", or bounds such as ">=1.2,<1.4".')
@click.option("--platform", default="", help="Such as debian:12; by default every one.")
@click.option("--reason", required=True, help="What is wrong with it.")
@click.option("--expires", type=AT, help="Until when (ISO 8601); by default 30 days.")
@click.option("--owner", default="", help="Who answers for it; by default who records it.")
@as_option
@_json
@pass_app
def add(
    app: App,
    package: str,
    versions: str,
    platform: str,
    reason: str,
    expires: datetime | None,
    owner: str,
    as_name: str | None,
    as_json: bool,
) -> None:
    """Hold PACKAGE, installed or source: plans leave it out, and open ones that have it stop."""
    who = acting(app, as_name)
    number = service.add(
        app.db,
        Hold(package, versions.strip(), platform, reason),
        expires_at=expires or app.now + USUAL - timedelta(seconds=1),
        owner=owner,
        actor=who.name,
        role=who.role,
        now=app.now,
    )
    with app.db.reading() as session:
        line = queries.get(session, number, now=app.now)
    if as_json:
        show_json(plain(line))
    else:
        click.echo(f"hold {number} on {line.what} is in force")


@holds.command("list")
@click.option("--state", type=click.Choice(STATES), default="current", show_default=True)
@_json
@pass_app
def list_holds(app: App, state: str, as_json: bool) -> None:
    """List holds, the newest first; by default those proposed or in force."""
    with app.db.reading() as session:
        lines = queries.listing(session, now=app.now, state=state, limit=1_000_000).lines
    if as_json:
        show_json([plain(line) for line in lines])
        return
    show_table(COLUMNS, [[plain(line)[name] for name in COLUMNS] for line in lines])


@holds.command()
@_id
@as_option
@pass_app
def confirm(app: App, number: int, as_name: str | None) -> None:
    """Put the hold ID in force that failures of hosts proposed."""
    who = acting(app, as_name)
    service.confirm(app.db, number, actor=who.name, role=who.role, now=app.now)
    click.echo(f"hold {number} is in force")


@holds.command()
@_id
@click.option("--reason", default="", help="Why it ends.")
@as_option
@pass_app
def revoke(app: App, number: int, reason: str, as_name: str | None) -> None:
    """End the hold ID, or set aside a proposed one; plans may install it again."""
    who = acting(app, as_name)
    service.revoke(app.db, number, reason=reason, actor=who.name, role=who.role, now=app.now)
    click.echo(f"hold {number} is revoked")


def plain(line: HoldLine) -> dict[str, object]:
    """Return a hold for programs."""
    return {each.name: getattr(line, each.name) for each in fields(line)} | {
        "state": line.state.value
    }
