"""``patchmgr doctor``: what is wrong with this installation, and what to do about it."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
from sqlalchemy.exc import DBAPIError

from patchmgr.cli.app import EXIT_REFUSED, App, pass_app, show_json
from patchmgr.config import Settings
from patchmgr.db import migrate
from patchmgr.db.queries import accounts, coverage, feeds, jobs, lifecycle, plan_lists
from patchmgr.db.session import Database
from patchmgr.errors import PatchmgrError
from patchmgr.services import audit

LATE = timedelta(minutes=5)  # a job this late was not run by anybody
AHEAD = timedelta(minutes=5)  # what was recorded this far in the future had another clock
RESERVE = 1024  # MiB of free disk below which an import may not fit
PRIVATE = 0o077  # permission bits that nobody else should have on the home


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: well when there is no ``remedy``."""

    about: str
    found: str
    remedy: str = ""


@click.command()
@click.option("--json", "as_json", is_flag=True)
@pass_app
def doctor(app: App, as_json: bool) -> None:
    """Look for what is wrong: configuration, database, feeds, schedule, clock, disk."""
    checks = list(_checks(app))
    if as_json:
        show_json(
            [
                {"about": c.about, "ok": not c.remedy, "found": c.found, "remedy": c.remedy}
                for c in checks
            ]
        )
    else:
        for check in checks:
            click.echo(f"{'wrong' if check.remedy else 'ok':6} {check.about}: {check.found}")
            if check.remedy:
                click.echo(f"       {check.remedy}")
    if any(check.remedy for check in checks):
        raise SystemExit(EXIT_REFUSED)


def _checks(app: App) -> Iterator[Check]:
    try:
        settings = app.settings
    except PatchmgrError as error:
        yield Check("configuration", str(error), "see docs/settings.md")
        return
    yield _configuration(settings)
    yield _disk(settings)
    try:
        db = app.unchecked_db()
    except PatchmgrError as error:
        yield Check("database", str(error), "see docs/settings.md")
        return
    database = _database(db)
    yield database
    if not database.remedy:
        looks: tuple[Callable[[Database, Settings, datetime], Check], ...] = (
            _audit,
            _users,
            _feeds,
            _platforms,
            _releases,
            _reviews,
            _schedule,
            _clock,
        )
        for look in looks:
            yield look(db, settings, app.now)
    db.close()


def _configuration(settings: Settings) -> Check:
    home = settings.home
    if not os.access(home, os.W_OK):
        return Check(
            "configuration", f"{home} cannot be written", f"chown it to user {os.getuid()}"
        )
    if home.stat().st_mode & PRIVATE:
        return Check("configuration", f"others can read {home}", f"chmod 700 {home}")
    try:
        ZoneInfo("Europe/Berlin")
    except ZoneInfoNotFoundError:
        return Check("configuration", "no time zones are known", "install the package tzdata")
    return Check("configuration", f"data in {home}")


def _disk(settings: Settings) -> Check:
    free = shutil.disk_usage(settings.home).free // (1024 * 1024)
    found = f"{free} MiB free in {settings.home}"
    if free < RESERVE:
        return Check("disk", found, f"free some: an import may need {RESERVE} MiB")
    return Check("disk", found)


def _database(db: Database) -> Check:
    where = db.engine.url.render_as_string(hide_password=True)
    try:
        state = migrate.state(db)
    except DBAPIError as error:
        return Check("database", f"{where}: {error.orig}", "check PATCHMGR_DATABASE_URL")
    if not state.is_current:
        found = f"{where} is at schema {state.current or 'none'}, this program needs {state.head}"
        return Check("database", found, "patchmgr db upgrade")
    return Check("database", f"{where}, schema {state.head}")


def _audit(db: Database, _settings: Settings, _now: datetime) -> Check:
    with db.reading() as session:
        broken = audit.first_broken(session)
    if broken is None:
        return Check("audit log", "unbroken")
    return Check(
        "audit log",
        f"entry {broken} does not continue the one before",
        "somebody changed it: compare with a backup",
    )


def _users(db: Database, _settings: Settings, _now: datetime) -> Check:
    with db.reading() as session:
        if accounts.has_users(session):
            return Check("users", "somebody can sign in")
    return Check("users", "nobody can sign in", "patchmgr users add NAME --role admin")


def _feeds(db: Database, settings: Settings, now: datetime) -> Check:
    from patchmgr.services.feeds import mark_idle

    mark_idle(db, settings)
    with db.reading() as session:
        known = feeds.listing(session, now=now, stale_hours=settings.stale_feed_hours)
    used = [feed for feed in known if feed.is_used]
    failed = [f"{feed.name}: {feed.error}" for feed in used if feed.state == "failed"]
    held = [feed for feed in used if feed.state == "held"]
    stale = [feed.name for feed in used if feed.is_stale]
    if held:
        names = " ".join(feed.name for feed in held)
        found = "; ".join(feed.error for feed in held)
        return Check("feeds", found, f"patchmgr feeds sync {names} --accept-smaller")
    if failed:
        return Check("feeds", "; ".join(failed), "patchmgr feeds sync NAME, or --from PATH")
    if stale or not any(feed.enabled for feed in known):
        found = f"no good sync for {settings.stale_feed_hours} hours: {', '.join(stale) or 'any'}"
        return Check("feeds", found, "patchmgr feeds sync, or import BUNDLE")
    return Check("feeds", ", ".join(feed.name for feed in used) or "no host needs one yet")


def _platforms(db: Database, settings: Settings, now: datetime) -> Check:
    from patchmgr.services.feeds import would_speak_of

    since = now - timedelta(days=settings.silent_days)
    with db.reading() as session:
        known = feeds.platforms_with_feed(session)
        lines = coverage.platforms(lifecycle.fleet(session, since), known)
    blind = [line for line in lines if not line.has_feed]
    if not blind:
        return Check("platforms", "a feed speaks of each")
    found = ", ".join(f"{line.platform or 'not known'} ({line.hosts} hosts)" for line in blind)
    wanted = sorted({name for line in blind for name in would_speak_of(line.platform)})
    remedy = f"patchmgr feeds sync {' '.join(wanted)}" if wanted else "see docs/feeds.md"
    return Check("platforms", f"no feed speaks of {found}", remedy)


def _reviews(db: Database, _settings: Settings, _now: datetime) -> Check:
    """Name plans that were started without their approvals and that nobody has looked at since."""
    with db.reading() as session:
        waiting = plan_lists.unreviewed(session)
    if not waiting:
        return Check("reviews", "no start without approvals waits for one")
    found = ", ".join(f"plan {number} of {by}" for number, _, by, _ in waiting)
    return Check(
        "reviews",
        f"started without approvals, and not reviewed: {found}",
        "patchmgr plans review ID --reason TEXT, by somebody who neither made nor started it",
    )


def _releases(db: Database, _settings: Settings, now: datetime) -> Check:
    """Name releases past their end of life: no fault of this installation, so never wrong."""
    with db.reading() as session:
        told = lifecycle.said(session)
        hosts = lifecycle.fleet(session, now)
    lines, unknown = lifecycle.releases(hosts, told, now.date()), lifecycle.unknown(hosts, told)
    past = [line for line in lines if line.uncovered]
    if not told:
        return Check("releases", "nobody has said until when they are supported")
    found = ", ".join(
        f"{line.platform} since {line.ending.since} on {line.uncovered} "
        f"host{'s' if line.uncovered > 1 else ''}"
        for line in past
    )
    said = f"past end of life: {found}" if past else "none is past its end of life"
    rest = f"; not known of {unknown} host{'s' if unknown > 1 else ''}" if unknown else ""
    return Check("releases", said + rest if past or unknown else "all get fixes")


def _schedule(db: Database, _settings: Settings, now: datetime) -> Check:
    with db.reading() as session:
        known = jobs.listing(session)
    late = [job.name for job in known if job.next_at < now - LATE]
    failed = [
        f"{job.name}: {job.last.error}" for job in known if job.last and job.last.state == "failed"
    ]
    if not known:
        return Check(
            "schedule", "no scheduler has run yet", "patchmgr serve, or patchmgr scheduler"
        )
    if late:
        found = f"nobody runs it; overdue: {', '.join(late)}"
        return Check("schedule", found, "patchmgr serve, or patchmgr scheduler")
    if failed:
        return Check("schedule", "; ".join(failed), "patchmgr jobs history; patchmgr jobs run NAME")
    return Check("schedule", f"{len(known)} jobs, none late")


def _clock(db: Database, _settings: Settings, now: datetime) -> Check:
    with db.reading() as session:
        newest = max(jobs.last_starts(session).values(), default=datetime(1970, 1, 1, tzinfo=UTC))
    if newest > now + AHEAD:
        found = f"a job started at {newest:%Y-%m-%d %H:%M} UTC, but it is {now:%Y-%m-%d %H:%M} now"
        return Check("clock", found, "set this machine's clock (NTP)")
    return Check("clock", f"{now:%Y-%m-%d %H:%M} UTC")
