"""``patchmgr exceptions``: recorded decisions not to act yet."""

from datetime import datetime

import click

from patchmgr.cli.acting import acting, as_option
from patchmgr.cli.app import AT, ID, App, pass_app, show_json, show_table
from patchmgr.db.queries import exceptions as queries
from patchmgr.db.queries.exceptions import STATES, ExceptionLine
from patchmgr.domain.exceptions import Scope, Type
from patchmgr.services import exceptions as service

_json = click.option("--json", "as_json", is_flag=True, help="As JSON.")
COLUMNS = ("id", "type", "state", "scope", "findings", "owner", "approved_by", "expires_at")


@click.group()
def exceptions() -> None:
    """Exceptions: findings that are left alone, why, and until when."""


@exceptions.command()
@click.option("--cve", default="", help="Of advisories that name this CVE and no other.")
@click.option("--advisory", default="", help="Such as DSA-5678-1.")
@click.option("--package", default="", help="An installed package, or its source.")
@click.option("--host", default="", help="Only on this host.")
@click.option("--tag", default="", help="Only on hosts with this tag.")
@click.option("--type", "type_", type=click.Choice([each.value for each in Type]), required=True)
@click.option("--reason", required=True, help="Why nothing is done yet.")
@click.option("--expires", type=AT, required=True, help="Until when (ISO 8601).")
@click.option("--owner", default="", help="Who answers for it; by default who records it.")
@as_option
@pass_app
def add(
    app: App,
    cve: str,
    advisory: str,
    package: str,
    host: str,
    tag: str,
    type_: str,
    reason: str,
    expires: datetime,
    owner: str,
    as_name: str | None,
) -> None:
    """Record an exception for what every given option names; at least one is needed.

    What an operator records is a proposal until an approver approves it.
    """
    who = acting(app, as_name)
    added = service.add(
        app.db,
        Scope(cve.upper(), advisory, package, host, tag),
        Type(type_),
        reason=reason,
        expires_at=expires,
        owner=owner,
        actor=who.name,
        role=who.role,
        now=app.now,
        settings=app.settings,
    )
    with app.db.reading() as session:
        line = queries.get(session, added.id, now=app.now)
    said = "proposed, needs approval" if added.needs_approval else "in force"
    click.echo(f"exception {added.id} is {said}; it covers {line.findings} open findings")


@exceptions.command("list")
@click.option("--state", type=click.Choice(STATES), default="current", show_default=True)
@_json
@pass_app
def list_exceptions(app: App, state: str, as_json: bool) -> None:
    """List exceptions, the next to expire first; by default those proposed or in force."""
    lines: list[ExceptionLine] = []
    cursor: str | None = ""
    with app.db.reading() as session:
        while cursor is not None:
            page = queries.listing(session, now=app.now, state=state, cursor=cursor)
            lines += page.lines
            cursor = page.next
    if as_json:
        show_json([queries.plain(line) for line in lines])
        return
    rows = [[queries.plain(line)[name] for name in COLUMNS] for line in lines]
    show_table(COLUMNS, rows)


@exceptions.command()
@click.argument("number", metavar="ID", type=ID)
@as_option
@pass_app
def approve(app: App, number: int, as_name: str | None) -> None:
    """Put the proposed exception ID in force."""
    who = acting(app, as_name)
    service.approve(app.db, number, actor=who.name, role=who.role, now=app.now)
    click.echo(f"exception {number} is in force")


@exceptions.command()
@click.argument("number", metavar="ID", type=ID)
@click.option("--reason", default="", help="Why it ends.")
@as_option
@pass_app
def revoke(app: App, number: int, reason: str, as_name: str | None) -> None:
    """End the exception ID, or withdraw it while it is proposed; what it covered is open again."""
    who = acting(app, as_name)
    service.revoke(app.db, number, actor=who.name, role=who.role, now=app.now, reason=reason)
    click.echo(f"exception {number} is revoked")
