"""``patchmgr reports``: compliance reports, made, listed and verified."""

import sys
from datetime import datetime
from pathlib import Path

import click

from patchmgr.cli.app import AT, App, instant, pass_app, show_json, show_listing

FORMATS = ("html", "pdf", "xlsx", "csv", "json")


@click.group()
def reports() -> None:
    """Compliance reports."""


@reports.command()
@click.option("--at", type=AT, help="As of this instant (ISO 8601); by default now.")
@click.option("--policy", help="Measure by this policy; by default the one in force then.")
@click.option(
    "--format",
    "formats",
    type=click.Choice(FORMATS),
    multiple=True,
    default=("html",),
    help="May be given several times; --out is then a folder.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="A file with the format's suffix, or a folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Say what was made as JSON.")
@pass_app
def compliance(
    app: App,
    at: datetime | None,
    policy: str | None,
    formats: tuple[str, ...],
    out: Path,
    as_json: bool,
) -> None:
    """Make a signed compliance report; the same --at gives the same bytes."""
    from patchmgr.services import reports as service

    now = app.now
    if at is not None and at > now:
        click.echo(
            f"patchmgr: {instant(at)} has not come yet; the report can still change", err=True
        )
    made = service.make(
        app.db,
        at=at or now,
        policy=policy,
        formats=formats,
        out=out,
        settings=app.settings,
        actor=app.actor,
        now=now,
    )
    if as_json:
        show_json(
            {
                "id": made.id,
                "as_of": service.iso(made.as_of),
                "headline": service.plain(made.headline),
                "fingerprint": made.fingerprint,
                "files": [str(path) for path in made.written],
            }
        )
        return
    head = made.headline
    click.echo(f"compliance as of {service.iso(made.as_of)}, report {made.id}")
    click.echo(f"compliant {head.compliant}, unknown {head.unknown}, overdue {head.overdue}")
    for path in made.written:
        click.echo(f"wrote {path}")
    click.echo(f"signed by {made.fingerprint}")


@reports.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A public key (PEM) that must have signed it.",
)
@click.option("--json", "as_json", is_flag=True)
def verify(path: Path, key: Path | None, as_json: bool) -> None:
    """Check a report's files against its signed manifest. Needs no database.

    PATH is a report's folder, its manifest, or a file with its manifest beside it.
    """
    from patchmgr.services.reports import manifest

    found = manifest.verify(path, key=key)
    if as_json:
        show_json(
            {
                "good": found.good,
                "manifest": str(found.manifest),
                "as_of": found.as_of,
                "signed": found.signed,
                "fingerprint": found.fingerprint,
                "trusted": found.trusted,
                "files": {file.name: file.state for file in found.files},
            }
        )
    else:
        for file in found.files:
            note = ": no part of the report, nobody vouches for it" if file.state == "extra" else ""
            click.echo(f"{file.state:8}{file.name}{note}")
        state = "good" if found.signed else "bad"
        click.echo(f"{state:8}signature of {found.manifest.name} by {found.fingerprint}")
        if found.trusted is False:
            click.echo(f"bad     that is not the key in {key}")
        click.echo(f"{'verified' if found.good else 'not verified'}: as of {found.as_of}")
    sys.exit(0 if found.good else 1)


@reports.command("list")
@click.option("--json", "as_json", is_flag=True)
@pass_app
def list_(app: App, as_json: bool) -> None:
    """List the reports that are kept, the newest first."""
    from patchmgr.db.queries import reports_made
    from patchmgr.services import reports as service

    with app.db.reading() as session:
        made = reports_made.listing(session)
    columns = ("id", "as_of", "made_at", "made_by", "compliant", "judged", "unknown", "files")
    show_listing(
        columns,
        [
            (
                each.id,
                service.iso(each.as_of),
                each.made_at,
                each.made_by,
                each.compliant.n,
                each.compliant.of,
                each.unknown.n,
                " ".join(sorted(each.files)),
            )
            for each in made
        ],
        as_json,
    )


@reports.command("key")
@pass_app
def key_(app: App) -> None:
    """Print the public key that signs this installation's reports, and its fingerprint."""
    from patchmgr.services import signing

    public = signing.signing_key(app.settings.home).public_key()
    click.echo(signing.public_pem(public).decode(), nl=False)
    click.echo(signing.fingerprint(public))
