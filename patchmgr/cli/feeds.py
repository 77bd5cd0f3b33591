"""`patchmgr feeds`: where advisories come from, how fresh they are, and syncing them."""

import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import click

from patchmgr.cli.app import EXIT_TRY_LATER, App, fail, pass_app, show_json, show_listing
from patchmgr.db.queries.feeds import FeedStatus
from patchmgr.errors import FeedError, InputError

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def feeds() -> None:
    """Sources of advisories."""


@feeds.command("list")
@AS_JSON
@pass_app
def list_feeds(app: App, as_json: bool) -> None:
    """List the feeds there are."""
    rows = [
        (each.name, each.title, each.state, each.succeeded_at, each.counts.get("advisories"))
        for each in _statuses(app)
    ]
    show_listing(("name", "title", "state", "last_sync", "advisories"), rows, as_json)


@feeds.command()
@AS_JSON
@pass_app
def status(app: App, as_json: bool) -> None:
    """Show how fresh each feed is, what it holds, and why its last sync failed."""
    now = app.now
    columns = (
        "name",
        "state",
        "stale",
        "age",
        "last_sync",
        "last_attempt",
        "revision",
        "changed",
        "advisories",
        "fixes",
        "notes",
        "set_aside",
        "error",
    )
    rows = [
        (
            each.name,
            each.state,
            each.is_stale,
            _age(each.age(now)),
            each.succeeded_at,
            each.attempted_at,
            each.revision_id,
            each.revision_at,
            each.counts.get("advisories"),
            each.counts.get("fixes"),
            each.counts.get("notes"),
            each.counts.get("set_aside"),
            each.error,
        )
        for each in _statuses(app)
    ]
    show_listing(columns, rows, as_json)


@feeds.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    help="Read the vendor's files at this path instead of the network.",
)
@click.option("--platform", help="Platform of documents that do not name it, such as debian:12.")
@AS_JSON
@pass_app
def sync(
    app: App, names: tuple[str, ...], source: Path | None, platform: str | None, as_json: bool
) -> None:
    """Bring feeds up to date: those named, or all that are enabled."""
    from patchmgr.services.sync import named
    from patchmgr.services.sync import sync as sync_feed

    for name in names:
        named(name)
    if source is not None and len(names) != 1:
        raise InputError(f"--from {source} needs the name of one feed, such as debian")
    wanted = dict.fromkeys(names) or [each.name for each in _statuses(app) if each.enabled]
    results, failures = [], []
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
                progress=_shown(name),
            )
        except FeedError as error:
            _shown(name)("")
            failures.append(f"feed {name}: {error}")
            continue
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
        fail("\n".join(failures), EXIT_TRY_LATER)


@feeds.command()
@click.argument("name")
@pass_app
def enable(app: App, name: str) -> None:
    """Let the schedule sync the feed NAME."""
    from patchmgr.services.sync import switch

    switch(app.db, name, on=True, actor=app.actor, now=app.now)
    click.echo(f"enabled {name}")


@feeds.command()
@click.argument("name")
@pass_app
def disable(app: App, name: str) -> None:
    """Sync the feed NAME only by hand; what it said stays."""
    from patchmgr.services.sync import switch

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
    from patchmgr.services.sync import ensure_feeds

    ensure_feeds(app.db)
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
