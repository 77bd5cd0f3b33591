"""The packages of the fleet and who has them: ``packages list`` and ``search``."""

from datetime import datetime

import click

from patchmgr.cli.app import AT, App, instant, pass_app, show_json, show_listing, show_table
from patchmgr.cli.past import package_json
from patchmgr.db.queries import installations, software, software_then
from patchmgr.db.queries.installations import Found, Wanted
from patchmgr.domain.packages import MANAGERS


@click.command("list")
@click.argument("part", required=False, default="")
@click.option("--manager", type=click.Choice(MANAGERS), default=None)
@click.option("--platform", default="", help="Such as debian:12.")
@click.option(
    "--doubt",
    type=click.Choice(software.DOUBTS),
    default=None,
    help="Whose source is not known, or that another than the vendor built.",
)
@click.option("--at", type=AT, help="As of this instant (ISO 8601), by default now.")
@click.option("--json", "as_json", is_flag=True)
@pass_app
def list_(
    app: App,
    part: str,
    manager: str | None,
    platform: str,
    doubt: str | None,
    at: datetime | None,
    as_json: bool,
) -> None:
    """List the packages of the fleet, and how many hosts have each; PART of a name restricts."""
    filters = software.SoftwareFilter(part, manager or "", platform, doubt or "")
    with app.db.reading(snapshot=True) as session:
        then = software_then.then(session, at)
        page = software.listing(session, filters, then=then, limit=None)
    if then is not None:
        _warn_of_past(app, then.hosts_known, at)
    columns = ("manager", "name", "platforms", "versions", "hosts")
    rows = [[getattr(line, column) for column in columns] for line in page.lines]
    show_listing(columns, rows, as_json)


@click.command()
@click.argument("name")
@click.option("--manager", type=click.Choice(MANAGERS), default=None)
@click.option("--source", is_flag=True, help="NAME is of a source package, as is the version.")
@click.option("--below", default="", metavar="V", help="In a version older than V.")
@click.option("--above", default="", metavar="V", help="In a version newer than V.")
@click.option("--version", default="", metavar="V", help="In this version.")
@click.option("--at", type=AT, help="As of this instant (ISO 8601), by default now.")
@click.option("--platform", default="", help="Such as debian:12.")
@click.option("--json", "as_json", is_flag=True)
@pass_app
def search(
    app: App,
    name: str,
    manager: str | None,
    source: bool,
    below: str,
    above: str,
    version: str,
    at: datetime | None,
    platform: str,
    as_json: bool,
) -> None:
    """List the hosts that have, or had, a package, each with its version.

    Versions are compared as their vendor does. One that cannot be read is named on stderr.
    """
    wanted = Wanted(name, manager or "", source, below, above, version, platform, at)
    with app.db.reading(snapshot=True) as session:
        found = installations.search(session, wanted, limit=None)
    _warn(app, found, at)
    if as_json:
        hosts = [
            {
                "hostname": hit.hostname,
                "platform": hit.platform,
                "environment": hit.environment,
                "owner": hit.owner,
                "retired": hit.retired,
                "packages": [package_json(each) for each in hit.packages],
            }
            for hit in found.hosts.lines
        ]
        show_json(
            {
                "as_of": at,
                "hosts_known": found.hosts_known,
                "total": found.hosts.total,
                "unclear": found.versions_unclear,
                "hosts": hosts,
            }
        )
        return
    show_table(
        ("host", "platform", "package", "version", "arch", "source", "source_version"),
        [
            (hit.hostname, hit.platform, p.name, p.version, p.arch, p.source, p.source_version)
            for hit in found.hosts.lines
            for p in hit.packages
        ],
    )


COMMANDS = (list_, search)


def _warn(app: App, found: Found, at: datetime | None) -> None:
    if not found.known:
        click.echo("patchmgr: no host ever had a package called so", err=True)
    _warn_of_past(app, found.hosts_known, at)
    for version in found.versions_unclear:
        click.echo(f"patchmgr: {version!r} cannot be compared; look at it yourself", err=True)


def _warn_of_past(app: App, hosts_known: int, at: datetime | None) -> None:
    if not hosts_known:
        when = f"as of {instant(at)}" if at else "yet"
        click.echo(f"patchmgr: of no host is it known {when} what it has", err=True)
    kept = app.settings.history_since(app.now)
    if at and kept and at < kept:
        click.echo(
            f"patchmgr: history is kept since {instant(kept)} (PATCHMGR_KEEP_HISTORY_DAYS);"
            " hosts may be missing",
            err=True,
        )
