"""`patchmgr feeds`: where advisories come from, how fresh they are, and syncing them."""

import sys
from collections.abc import Callable
from dataclasses import asdict, astuple
from datetime import timedelta
from pathlib import Path

import click

from patchmgr.cli.app import (
    App,
    exit_code,
    fail,
    instant,
    pass_app,
    show_json,
    show_listing,
    show_table,
)
from patchmgr.db.queries.feeds import FeedStatus
from patchmgr.errors import FeedError, FeedHeldError, InputError

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
HELD = {  # kinds of values in a bundle, as people say them
    "advisory": "advisories",
    "note": "notes about CVEs",
    "offer": "packages on offer",
    "support": "terms of support",
}
ONLY = click.option(
    "--feed", "names", multiple=True, metavar="NAME", help="Only this one; may be repeated."
)


@click.group()
def feeds() -> None:
    """Sources of advisories."""


@feeds.command("list")
@AS_JSON
@pass_app
def list_feeds(app: App, as_json: bool) -> None:
    """List the feeds there are."""
    rows = [
        (
            each.name,
            each.title,
            each.standing,
            each.succeeded_at,
            each.counts.get("advisories"),
            _why(each),
        )
        for each in _statuses(app)
    ]
    show_listing(("name", "title", "state", "last_sync", "advisories", "why"), rows, as_json)


@feeds.command()
@AS_JSON
@pass_app
def status(app: App, as_json: bool) -> None:
    """Show how fresh each feed is, what it holds, and why its last sync failed."""
    known = _statuses(app)
    lines = [_status(app, each) for each in known]
    if as_json:
        show_json([line | _more(each) for line, each in zip(lines, known, strict=True)])
    else:
        show_table(tuple(lines[0]), [tuple(line.values()) for line in lines])


def _status(app: App, each: FeedStatus) -> dict[str, object]:
    """Return the columns of ``feeds status``."""
    return {
        "name": each.name,
        "state": each.standing,
        "stale": each.is_stale,
        "age": _age(each.age(app.now)),
        "last_sync": each.succeeded_at,
        "last_attempt": each.attempted_at,
        "next_sync": each.next_at,
        "hours": app.settings.hours_of(each.name),
        "mirror": " ".join(app.settings.mirrors.get(each.name, ())),
        "revision": each.revision_id,
        "digest": each.digest[:12],
        "changed": each.revision_at,
        "advisories": each.counts.get("advisories"),
        "fixes": each.counts.get("fixes"),
        "notes": each.counts.get("notes"),
        "set_aside": each.counts.get("set_aside"),
        "skipped": sum(each.counts.get("skipped", {}).values()) if each.counts else None,
        "verified": len(each.counts.get("verified", ())),
        "bundle": each.bundled_at,
        "error": _why(each),
    }


def _more(each: FeedStatus) -> dict[str, object]:
    """Return what ``feeds status --json`` has beside, or in the place of, the columns."""
    return {
        "digest": each.digest,
        "enabled": each.enabled,
        "idle": each.idle,
        "held": each.held,
        "addresses": list(each.addresses),
        "set_aside_examples": each.counts.get("set_aside_examples", []),
        "skipped": each.counts.get("skipped", {}),
        "verified": each.counts.get("verified", []),
        "platforms": each.counts.get("platforms", {}),
    }


def _why(each: FeedStatus) -> str:
    """Return why a feed stands as it does, when that is not simply well."""
    from patchmgr.services.feeds import wakes

    return wakes(each.name) if each.standing == "idle" else each.error


@feeds.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    help="Read the vendor's files at this path instead of the network.",
)
@click.option("--platform", help="Platform of documents that do not name it, such as debian:12.")
@click.option(
    "--accept-smaller", is_flag=True, help="Believe a feed that has lost much of what it said."
)
@AS_JSON
@pass_app
def sync(
    app: App,
    names: tuple[str, ...],
    source: Path | None,
    platform: str | None,
    accept_smaller: bool,
    as_json: bool,
) -> None:
    """Bring feeds up to date: those named, or all that are enabled and needed."""
    from patchmgr.services.feeds import named
    from patchmgr.services.sync import sync as sync_feed

    for name in names:
        named(name)
    if source is not None and len(names) != 1:
        raise InputError(f"--from {source} needs the name of one feed, such as debian")
    if accept_smaller and not names:
        raise InputError("--accept-smaller needs the names of the feeds that it is meant for")
    wanted = dict.fromkeys(names) or [
        each.name for each in _statuses(app) if each.enabled and not each.idle
    ]
    results = []
    failures: dict[str, FeedError | FeedHeldError] = {}
    for name in wanted:
        try:
            result = sync_feed(
                app.db,
                name,
                settings=app.settings,
                now=app.now,
                actor=app.actor,
                source=source,
                platform=platform,
                accept_smaller=accept_smaller,
                progress=_shown(name),
            )
        except (FeedError, FeedHeldError) as error:
            failures[name] = error
            continue
        finally:
            _shown(name)("")
        results.append(result)
        if not as_json:
            click.echo(f"{name}: {_summary(result.changed, dict(result.counts))}")
        if result.note:
            click.echo(f"patchmgr: {name}: {result.note}", err=True)
    if as_json:
        show_json(
            [
                {
                    "feed": each.feed,
                    "changed": each.changed,
                    "revision": each.revision_id,
                    "counts": dict(each.counts),
                    "note": each.note,
                }
                for each in results
            ]
        )
    if failures:
        lines = [f"feed {name}: {error}" for name, error in failures.items()]
        fail("\n".join(lines), max(map(exit_code, failures.values())))


@feeds.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@ONLY
@AS_JSON
@pass_app
def export(app: App, bundle: Path, names: tuple[str, ...], as_json: bool) -> None:
    """Write what the feeds say now to the file BUNDLE, signed and dated, for an air gap."""
    from patchmgr.services import bundles

    try:
        made = bundles.make(
            app.db,
            bundle,
            settings=app.settings,
            now=app.now,
            actor=app.actor,
            names=names,
            progress=_shown("export"),
        )
    finally:
        _shown("export")("")
    manifest = made.manifest
    if as_json:
        show_json(
            {
                "bundle": str(bundle),
                "bytes": made.size,
                "made_at": manifest.made_at,
                "fingerprint": manifest.key.fingerprint,
                "feeds": [
                    {
                        "feed": part.name,
                        "as_of": part.as_of,
                        "revision": part.revision,
                        "counts": part.counts,
                    }
                    for part in manifest.feeds
                ],
            }
        )
        return
    for part in manifest.feeds:
        held = " and ".join(f"{count} {HELD[kind]}" for kind, count in part.counts.items())
        click.echo(f"{part.name}: as of {instant(part.as_of)}, {held or 'nothing'}")
    click.echo(f"wrote {bundle}: {made.size / 1e6:.1f} MB, signed by {manifest.key.fingerprint}")


@feeds.command("import")
@click.argument("bundle", type=click.Path(path_type=Path))
@ONLY
@click.option(
    "--key",
    metavar="FILE|FINGERPRINT",
    help="The key that must have signed it: a public key (PEM), or its fingerprint.",
)
@click.option(
    "--trust", "trusting", metavar="FINGERPRINT", help="As --key, and take its bundles ever after."
)
@click.option("--dry-run", is_flag=True, help="Verify, and print the difference; change nothing.")
@AS_JSON
@pass_app
def import_(
    app: App,
    bundle: Path,
    names: tuple[str, ...],
    key: str | None,
    trusting: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Bring in the feeds of BUNDLE: verified, and all of them or none."""
    from patchmgr.services import bundles

    try:
        taken = bundles.take(
            app.db,
            bundle,
            settings=app.settings,
            now=app.now,
            actor=app.actor,
            key=key,
            trusting=trusting,
            names=names,
            dry_run=dry_run,
            progress=_shown("import"),
        )
    finally:
        _shown("import")("")
    if as_json:
        show_json(
            {
                "applied": taken.applied,
                "made_at": taken.manifest.made_at,
                "fingerprint": taken.fingerprint,
                "feeds": [asdict(each) for each in taken.feeds],
            }
        )
        return
    made_at = instant(taken.manifest.made_at)
    click.echo(f"bundle of {made_at}, signed by {taken.fingerprint}")
    columns = ("feed", "was_as_of", "as_of", "new", "changed", "withdrawn", "unchanged")
    show_table(columns, [astuple(each)[: len(columns)] for each in taken.feeds])
    click.echo("imported" if taken.applied else "nothing was changed (--dry-run)")


@feeds.command()
@click.argument("name")
@pass_app
def enable(app: App, name: str) -> None:
    """Let the schedule sync the feed NAME."""
    from patchmgr.services.feeds import switch

    switch(app.db, name, on=True, actor=app.actor, now=app.now)
    click.echo(f"enabled {name}")


@feeds.command()
@click.argument("name")
@pass_app
def disable(app: App, name: str) -> None:
    """Sync the feed NAME only by hand; what it said stays."""
    from patchmgr.services.feeds import switch

    switch(app.db, name, on=False, actor=app.actor, now=app.now)
    click.echo(f"disabled {name}")


def _shown(name: str) -> Callable[[str], None]:
    """Return what shows the stage of a sync on a terminal's last line, and nothing in a pipe."""

    def show(stage: str) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r\x1b[K{name}: {stage}" if stage else "\r\x1b[K", nl=False, err=True)

    return show


def _statuses(app: App) -> list[FeedStatus]:
    from patchmgr.db.queries import feeds as queries
    from patchmgr.services.feeds import look

    look(app.db, app.settings)
    with app.db.reading() as session:
        return queries.listing(session, now=app.now, stale_hours=app.settings.stale_feed_hours)


def _summary(changed: bool, counts: dict[str, int]) -> str:
    holds = []
    if "advisories" in counts:
        statements = f" with {counts['fixes']} statements" if changed else ""
        holds.append(f"{counts['advisories']} advisories{statements}")
    if "notes" in counts:
        holds.append(f"notes about {counts['notes']} CVEs")
    if "offers" in counts:
        holds.append(f"{counts['offers']} offers")
    if "support" in counts:
        holds.append(f"{counts['support']} dates of support")
    what = " and ".join(holds) or "nothing that concerns what is stored"
    if not changed:
        return f"unchanged, {what}"
    return (
        f"{what}; {counts['new']} new, {counts['changed']} changed, {counts['withdrawn']} withdrawn"
    )


def _age(age: timedelta | None) -> str:
    """Return an age as people say it: "3 h", "2 d"."""
    if age is None:
        return ""
    minutes = int(age.total_seconds() // 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} d"
