"""What hosts were like and how they differ: ``hosts show --at``, ``diff``, ``coverage``."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click
from sqlalchemy.orm import Session

from patchmgr.cli.app import AT, App, instant, pass_app, show_json, show_table
from patchmgr.db.queries import coverage as coverage_queries
from patchmgr.db.queries import past as queries
from patchmgr.db.queries.hosts import PackageLine
from patchmgr.db.queries.past import Known, Step
from patchmgr.domain.differences import Difference
from patchmgr.errors import InputError


@click.command()
@click.argument("name")
@click.argument("other", required=False)
@click.option("--from", "since", type=AT, help="The host as of this instant (ISO 8601).")
@click.option("--to", "until", type=AT, help="And as of this one, by default now.")
@click.option("--at", type=AT, help="Both hosts as of this instant, by default now.")
@click.option("--json", "as_json", is_flag=True)
@pass_app
def diff(
    app: App,
    name: str,
    other: str | None,
    since: datetime | None,
    until: datetime | None,
    at: datetime | None,
    as_json: bool,
) -> None:
    """Say how a host differs from OTHER, or from itself at another time.

    Without an instant, from what it was before its last change.
    """
    if other is not None and (since or until):
        raise InputError({"--from, --to": "are of one host; with OTHER it is --at"})
    if other is None and at is not None:
        raise InputError({"--at": "is of two hosts; with one it is --from and --to"})
    with app.db.reading(snapshot=True) as session:
        if other is None:
            after = queries.known(session, name, until)
            before = queries.known(session, name, since or _before_last(session, after))
        else:
            before, after = (queries.known(session, each, at) for each in (name, other))
        found = queries.compared(session, before, after)
    _warn(app, before, after)
    not_kept = before.not_kept or after.not_kept
    compared = before.has_packages and after.has_packages
    if as_json:
        sides = {"before": _side(before), "after": _side(after), "packages_compared": compared}
        sides["facts_not_kept"] = list(not_kept)
        show_json(sides | difference_json(found))
        return
    click.echo(f"before: {_words(before)}")
    click.echo(f"after:  {_words(after)}")
    if not_kept:
        click.echo(f"not kept of the past, so not compared: {_plain(not_kept)}")
    if not compared:
        click.echo("packages are not compared: of one side no inventory is known")
    if not found:
        click.echo("no difference" if compared else "no other difference is known")
        return
    if found.facts:
        click.echo()
        rows = [(each.fact.replace("_", " "), each.before, each.after) for each in found.facts]
        show_table(("fact", "before", "after"), rows)
    if found.packages:
        click.echo()
        show_table(
            ("package", "arch", "before", "after", ""),
            [
                (p.name, p.arch, " ".join(p.before), " ".join(p.after), p.direction or p.kind)
                for p in found.packages
            ],
        )
    counts = ", ".join(f"{len(found.of(kind))} {kind}" for kind in ("changed", "added", "removed"))
    counts = counts if compared else "not compared"
    click.echo(f"\npackages: {counts}; facts: {len(found.facts)} changed")


@click.command()
@click.option("--json", "as_json", is_flag=True)
@pass_app
def coverage(app: App, as_json: bool) -> None:
    """Say what of the fleet cannot be judged: blind spots, by number and by name."""
    settings = app.settings
    with app.db.reading(snapshot=True) as session:
        found = coverage_queries.coverage(
            session,
            now=app.now,
            silent_days=settings.silent_days,
            stale_hours=settings.stale_feed_hours,
        )
    if as_json:
        show_json(coverage_json(found))
        return
    show_facts(found.numbers)
    for title, columns, rows in (
        (
            "releases",
            ("platform", "hosts", "reporting", "has_feed"),
            [
                (p.platform or "(unknown)", p.hosts, p.reporting, p.has_feed)
                for p in found.platforms
            ],
        ),
        (
            "silent hosts",
            ("host", "platform", "last report", "silent since"),
            [(s.hostname, s.platform, s.reported_at, s.silent_since) for s in found.silent],
        ),
        (
            "entries of reports that cannot be judged",
            ("host", "platform", "entries", "reports", "the first of them"),
            [(n.hostname, n.platform, n.entries, " ".join(n.of), n.why[0]) for n in found.left],
        ),
        (
            "releases past their standard support",
            ("platform", "ended", "carried on", "hosts", "without fixes"),
            [
                (r.platform, r.ending.since, r.extensions, r.hosts, r.uncovered)
                for r in found.releases
            ],
        ),
    ):
        if rows:
            click.echo(f"\n{title}:")
            show_table(columns, rows)


COMMANDS = (diff, coverage)


def coverage_json(found: coverage_queries.Coverage) -> dict[str, Any]:
    """Return the numbers and lists of blind spots."""
    return {
        **found.numbers,
        "platforms": [asdict(line) for line in found.platforms],
        "silent_hosts": [asdict(line) for line in found.silent],
        "releases": [
            {
                "platform": line.platform,
                "standard_support_ended": str(line.ending.since),
                "extensions": line.extensions,
                "hosts": line.hosts,
                "uncovered": line.uncovered,
            }
            for line in found.releases
        ],
        "stale_feeds": [line.name for line in found.stale],
        "not_judged_hosts": [asdict(line) for line in found.left],
    }


def show_then(app: App, session: Session, name: str, at: datetime, *, as_json: bool) -> None:
    """Show a host as it was known at ``at``."""
    found = queries.known(session, name, at)
    packages = queries.installed(session, found)
    history = queries.timeline(session, found.id).lines
    _warn(app, found)
    facts = {
        "hostname": found.hostname,
        "as_of": at,
        "packages_since": found.since,
        "packages": len(packages),
        "facts_known": found.facts is not None,
        **(found.facts or {}),
    }
    if as_json:
        listed = [package_json(each) for each in packages]
        steps = [step_json(each) for each in history]
        more = {"facts_not_kept": found.not_kept, "package_versions": listed, "history": steps}
        show_json(facts | more)
        return
    if not found.has_packages:
        facts["packages"] = "not known"
    show_facts(facts | {"not kept": _plain(found.not_kept)})
    click.echo()
    show_packages(packages)
    click.echo()
    show_steps(history)


def _before_last(session: Session, after: Known) -> datetime | None:
    """Return an instant before the last change that ``after`` knows of. Raises `InputError`."""
    past = queries.before(session, after)
    if past is None:
        raise InputError({"--from": "nothing is known of the host before; say an instant"})
    return past


def _warn(app: App, *known: Known) -> None:
    kept = app.settings.history_since(app.now)
    for each in known:
        if each.at and kept and each.at < kept:
            click.echo(
                f"patchmgr: history is kept since {instant(kept)} (PATCHMGR_KEEP_HISTORY_DAYS);"
                f" what {each.hostname} was like at {instant(each.at)} may be gone",
                err=True,
            )


def _plain(facts: Iterable[str]) -> str:
    return ", ".join(queries.NOT_KEPT[each] for each in facts)


def _words(known: Known) -> str:
    when = instant(known.at) if known.at else "now"
    if not known.has_packages:
        return f"{known.hostname} at {when}: no inventory is known"
    return f"{known.hostname} at {when}, packages since {instant(known.since)}"


def _side(known: Known) -> dict[str, Any]:
    return {
        "host": known.hostname,
        "at": known.at,
        "packages_since": known.since,
        "packages": len(known.installed),
        "facts_known": known.facts is not None,
    }


def difference_json(found: Difference) -> dict[str, Any]:
    """Return what differs, packages by kind."""
    return {
        "facts": [asdict(each) for each in found.facts],
        **{
            kind: [asdict(each) for each in found.of(kind)]
            for kind in ("changed", "added", "removed")
        },
    }


def package_json(line: PackageLine) -> dict[str, Any]:
    return {key: value for key, value in asdict(line).items() if key != "id"}


def step_json(step: Step) -> dict[str, Any]:
    """Return a step of a history with its counts; null ones of the first that is known."""
    return {
        "since": step.since,
        "until": step.until,
        "packages": step.packages,
        **{
            kind: step.count(kind) if step.difference is not None else None
            for kind in ("changed", "added", "removed")
        },
    }


def show_facts(facts: Mapping[str, Any]) -> None:
    """Print each fact in a line."""
    for key, value in facts.items():
        shown = " ".join(value) if isinstance(value, (list, tuple)) else value
        text = instant(shown) if isinstance(shown, datetime) else shown
        click.echo(f"{key.replace('_', ' ')}: {'' if text is None else text}")


def show_packages(packages: Iterable[PackageLine]) -> None:
    show_table(
        ("package", "version", "arch", "source", "source_version"),
        [(p.name, p.version, p.arch, p.source, p.source_version) for p in packages],
    )


def show_steps(steps: Iterable[Step]) -> None:
    show_table(
        ("since", "until", "packages", "changed", "added", "removed"),
        [
            (s.since, s.until or "now", s.packages)
            + (
                ("", "", "")
                if s.difference is None
                else (s.count("changed"), s.count("added"), s.count("removed"))
            )
            for s in steps
        ],
    )
