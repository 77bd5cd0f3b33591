"""``patchmgr scan`` and ``patchmgr findings``."""

import csv
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import islice

import click

from patchmgr.cli.app import AT, App, instant, pass_app, show_json, show_table
from patchmgr.db.queries import explanations, finding_lines, flaws, hosts
from patchmgr.db.queries import findings as queries
from patchmgr.db.queries.explained import (
    Consideration,
    Explained,
    Explanation,
    explanation_json,
    sentence,
    what_would_change,
)
from patchmgr.db.queries.finding_filters import FindingFilter
from patchmgr.domain.advisories import Severity
from patchmgr.domain.facts import Installable
from patchmgr.domain.matching import SOURCE_UNKNOWN
from patchmgr.services import scan as service


@click.command()
@click.option("--full", is_flag=True, help="From nothing; the answer is the same.")
@click.option("--json", "as_json", is_flag=True)
@pass_app
def scan(app: App, full: bool, as_json: bool) -> None:
    """Compare the inventory with the advisories."""
    result = service.scan(app.db, now=app.now, settings=app.settings, full=full)
    if as_json:
        show_json(result.summary())
        return
    click.echo(
        f"{result.findings} findings open; {result.versions} package versions judged, "
        f"{result.hosts} hosts looked at, exposures: {result.opened} opened, {result.closed} closed"
    )


@click.group(invoke_without_command=True)
@click.option("--host", default="")
@click.option("--platform", default="", help="Such as debian:12.")
@click.option("--package", default="", help="Installed package, or its source.")
@click.option("--advisory", default="")
@click.option("--cve", default="")
@click.option("--status", type=click.Choice(["affected", "no_fix", "undetermined"]), default=None)
@click.option(
    "--exception",
    type=click.Choice(["open", "excepted"]),
    help="Only what no exception covers, or what one does.",
)
@click.option("--severity", type=click.Choice([s.word for s in Severity]), help="At least this.")
@click.option(
    "--kev", type=click.Choice(["yes", "no"]), help="Known to be exploited, or not listed as such."
)
@click.option(
    "--installable",
    type=click.Choice([each.value for each in Installable]),
    help="Whether the host's own repositories offer the fix.",
)
@click.option("--at", type=AT, help="As of this instant (ISO 8601).")
@click.option("--format", "format_", type=click.Choice(["table", "csv", "json"]), default="table")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.pass_context
def findings(
    ctx: click.Context,
    host: str,
    platform: str,
    package: str,
    advisory: str,
    cve: str,
    status: str | None,
    exception: str | None,
    severity: str | None,
    kev: str | None,
    installable: str | None,
    at: datetime | None,
    format_: str,
    as_json: bool,
) -> None:
    """List findings: what is wrong with which host."""
    if ctx.invoked_subcommand is not None:
        return
    app = ctx.ensure_object(App)
    filters = FindingFilter(
        host=host,
        platform=platform,
        package=package,
        advisory=advisory,
        cve=cve,
        status=status or "",
        severity_at_least=Severity[severity.upper()] if severity else None,
        exception=exception or "",
        kev=kev or "",
        installable=installable or "",
    )
    kept = app.settings.findings_since(app.now)
    if at and kept and at < kept:
        what = f"closed findings are kept since {instant(kept)} (PATCHMGR_KEEP_FINDINGS_DAYS)"
        click.echo(f"patchmgr: {what}; some may be missing", err=True)
    with app.db.reading() as session:
        if host:  # a misspelt name must not look like a host without findings
            filters = replace(filters, host=hosts.get(session, host).line.hostname)
        if at and ((first := queries.judged_since(session)) is None or at < first):
            what = f"the first scan was {instant(first)}" if first else "there was no scan yet"
            click.echo(f"patchmgr: {what}; what was open before is not known", err=True)
        found = queries.every(session, filters, at, now=app.now)
        lines = map(finding_lines.plain, found)
        if as_json or format_ == "json":
            show_json([finding_lines.plain_in_full(line) for line in found])
        elif format_ == "csv":
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(finding_lines.CSV_COLUMNS)
            for line in lines:
                line["first_seen"], line["due"] = instant(line["first_seen"]), instant(line["due"])
                writer.writerow([line[name] for name in finding_lines.CSV_COLUMNS])
        else:
            _table(lines)


def _table(lines: "map[dict[str, object]]") -> None:
    columns = ("host", "package", "installed", "fixed", "status", "advisory", "severity", "due")
    shown = 1000
    show_table(columns, [[line[name] for name in columns] for line in islice(lines, shown)])
    more = sum(1 for _ in lines)
    if more:
        click.echo(f"and {more} more; --format csv prints all", err=True)


@findings.command()
@click.argument("host")
@click.argument("package")
@click.option("--at", type=AT, help="As of this instant (ISO 8601).")
@click.option("--json", "as_json", is_flag=True)
@pass_app
def explain(app: App, host: str, package: str, at: datetime | None, as_json: bool) -> None:
    """Say why PACKAGE on HOST is, or is not, a finding."""
    with app.db.reading() as session:
        explanation = explanations.explain(session, host, package, at=at or app.now)
    if as_json:
        show_json(explanation_json(explanation))
        return
    _say(explanation)


def _say(explanation: Explanation) -> None:
    for each in explanation.installed:
        click.echo(
            f"{each.package} {each.installed} on {explanation.host} ({explanation.platform}), "
            f"judged as source {each.judged_source} {each.judged_version}"
        )
        if each.is_source_unknown:
            click.echo(f"  {SOURCE_UNKNOWN}")
        for why in _why_nothing(explanation, each):
            click.echo(f"  {why}")
        for said in each.considered:
            _say_considered(said)
        if each.unrelated:
            click.echo("  considered, does not concern it:")
        for other in each.unrelated:
            click.echo(
                f"    {other.advisory}: {other.why} ({other.feed} revision {other.revision} of "
                f"{instant(other.revision_at)})"
            )


def _why_nothing(explanation: Explanation, each: Explained) -> Iterator[str]:
    """Yield why nothing is found where nothing can be."""
    if not explanation.has_feed:
        yield "undetermined: no feed speaks of this platform; nothing can be said of its safety"
    elif not each.considered and not each.unrelated:
        yield "no finding: no advisory names it"
    for one in each.support:
        yield f"{one.words}: findings about it may be missing"
    if each.foreign:
        yield f"no finding: {each.foreign} built it, not the vendor of the platform"
    if each.idle:
        yield f"no finding: {each.idle}"


def _say_considered(said: Consideration) -> None:
    click.echo(f"  {said.advisory}: {sentence(said)}")
    click.echo(
        f"    {said.feed} revision {said.revision} of {instant(said.revision_at)}"
        + (f", document {said.document}" if said.document else "")
        + f"; matched on {said.match} {said.matched_name}; compared as {said.scheme}"
        + (f"; due {instant(said.due)} by {said.due_row}" if said.due else "")
    )
    for line in said.notes:
        told = "; ".join(f"{name}: {text}" for name, text in flaws.words(line))
        click.echo(
            f"    {line.note.cve} in {line.feed} revision {line.revision} of "
            f"{instant(line.revision_at)}: {told}"
        )
    if said.offered:
        click.echo(f"    {said.offered}")
    for ref, feed in said.also:
        click.echo(f"    also told by {ref}, feed {feed}")
    for one in said.exceptions:
        click.echo(
            f"    covered by exception {one.label} until {instant(one.expires_at)}: {one.reason}"
        )
    if change := what_would_change(said):
        click.echo(f"    {change}")
