"""`patchmgr advisories` and `patchmgr cves`: what the vendors say."""

from dataclasses import asdict
from typing import Any

import click

from patchmgr.cli.app import App, instant, pass_app, show_json, show_table
from patchmgr.db.queries import advisories as queries
from patchmgr.db.queries import flaws
from patchmgr.db.queries.flaws import NoteLine
from patchmgr.errors import NotFoundError

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
HOSTS = 200  # affected packages shown


@click.group()
def advisories() -> None:
    """What the vendors say."""


@advisories.command("show")
@click.argument("ref", metavar="ID")
@AS_JSON
@pass_app
def show_advisory(app: App, ref: str, as_json: bool) -> None:
    """Show an advisory: its statements, and the hosts it bears on."""
    with app.db.reading() as session:
        detail = queries.get(session, ref)
        affected = queries.affected(session, detail.line.id, limit=HOSTS)
    if as_json:
        show_json(_advisory(detail, affected.lines))
        return
    _print_head(detail.line)
    show_table(
        ("platform", "package", "match", "status", "fixed", "severity", "reason"),
        [_statement(each) for each in detail.fixes],
    )
    if affected.lines:
        click.echo(f"\nopen findings: {affected.total} on {detail.line.hosts} hosts")
        show_table(
            ("host", "package", "installed", "status", "fixed", "first_seen"),
            [
                (each.host, each.package, each.installed, each.status, each.fixed, each.first_seen)
                for each in affected.lines
            ],
        )
        if affected.next:
            click.echo(f"and {affected.total - HOSTS} more; patchmgr findings lists them all")


@click.group()
def cves() -> None:
    """What vendors and catalogues say of a vulnerability."""


@cves.command("show")
@click.argument("cve")
@AS_JSON
@pass_app
def show_cve(app: App, cve: str, as_json: bool) -> None:
    """Show what is known of CVE, and every advisory that names it."""
    name = cve.upper()
    with app.db.reading() as session:
        lines = queries.by_cve(session, name)
        notes = flaws.notes(session, [name]).get(name, ())
        if not lines and not notes:
            raise NotFoundError("advisory about CVE", cve)
        details = [queries.get(session, each.ref, feed_name=each.feed) for each in lines]
        listed = flaws.is_listed(session, notes)
    if as_json:
        show_json(
            {
                "cve": name,
                "kev": listed,
                "notes": [flaws.plain(each) for each in notes],
                "advisories": [_advisory(each, ()) for each in details],
            }
        )
        return
    _print_notes(name, listed, notes)
    for number, detail in enumerate(details):
        if number:
            click.echo()
        _print_head(detail.line)
        show_table(
            ("platform", "package", "match", "status", "fixed", "severity", "reason"),
            [_statement(each) for each in detail.fixes],
        )


def _print_notes(cve: str, listed: bool | None, notes: tuple[NoteLine, ...]) -> None:
    exploited = {
        True: "yes",
        False: "no: not in the catalogue",
        None: "not known: no catalogue of exploited vulnerabilities is loaded",
    }
    click.echo(f"{cve}\nknown exploited: {exploited[listed]}")
    rows = [
        (name, text, line.feed, line.revision, instant(line.revision_at))
        for line in notes
        for name, text in flaws.words(line)
    ]
    if rows:
        show_table(("about", "said", "feed", "revision", "since"), rows)
    click.echo()


def _print_head(line: queries.AdvisoryLine) -> None:
    facts = {
        "advisory": line.ref,
        "feed": line.feed,
        "title": line.title,
        "severity": line.severity.word,
        "cves": " ".join(line.cves),
        "published": instant(line.published),
        "withdrawn": instant(line.withdrawn_at),
        "hosts": f"{line.hosts} with an open finding",
        "url": line.url,
    }
    for name, value in facts.items():
        if value:
            click.echo(f"{name + ':':<11}{value}")
    click.echo()


def _statement(fix: queries.FixLine) -> tuple[str, ...]:
    return (
        fix.platform,
        fix.package,
        fix.match,
        fix.status,
        fix.fixed,
        fix.severity.word,
        fix.reason,
    )


def _advisory(
    detail: queries.AdvisoryDetail, affected: tuple[queries.AffectedLine, ...]
) -> dict[str, Any]:
    line = detail.line
    return {
        "advisory": line.ref,
        "feed": line.feed,
        "title": line.title,
        "severity": line.severity.word,
        "cves": list(line.cves),
        "published": line.published,
        "changed": line.changed_at,
        "withdrawn": line.withdrawn_at,
        "url": line.url,
        "hosts": line.hosts,
        "statements": [_plain(each) for each in detail.fixes],
        "past_statements": [_plain(each) for each in detail.past],
        "affected": [asdict(each) for each in affected],
    }


def _plain(fix: queries.FixLine) -> dict[str, Any]:
    return asdict(fix) | {"severity": fix.severity.word}
