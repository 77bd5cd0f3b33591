"""Commands that end by SIGKILL anywhere; then `patchmgr db check`, again, and the same content.

Each work is carried out once undisturbed. Then it is carried out in processes that are killed: at
points drawn at random among all statements, commits, and files made, renamed or removed; and at
random times. After each kill the check must find nothing, and what is done in one transaction has
happened whole or not at all. Then the work is done again, and must leave what it does undisturbed.

    crashes.py KILLS [SEED [WORK...]]
"""

import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path

import psycopg

sys.path.insert(0, str(Path(__file__).parent))
from content import Content, content, difference
from dying import in_a_process
from stores import Store, opened

from inventory import import_work, uploads
from patchmgr.cli import main as patchmgr
from patchmgr.cli.app import App
from patchmgr.cli.demo import fleet
from patchmgr.db import migrate
from patchmgr.db.session import Database
from patchmgr.services import signing

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
LINES = 12  # that are printed of a problem
DATABASES = ("sqlite", "postgresql")
KEPT = {"PATCHMGR_KEEP_HISTORY_DAYS": "10", "PATCHMGR_KEEP_FINDINGS_DAYS": "10"}
KEPT |= {"PATCHMGR_KEEP_JOBS_DAYS": "10", "PATCHMGR_KEEP_REPORTS_DAYS": "10"}
_numbers = count(1)


@dataclass
class Still(App):
    """The program, at an instant that stands still: so that what it writes can be compared."""

    instant: datetime = NOW

    @property
    def now(self) -> datetime:
        return self.instant


@dataclass(frozen=True)
class Place:
    """A home, its database, and the files that come in."""

    home: Path
    files: Path
    url: str  # "" for the database in the home

    def app(self, days_ago: float = 0, **settings: str) -> App:
        environ = {"PATCHMGR_HOME": str(self.home), "PATCHMGR_DEBIAN_URL": "http://127.0.0.1:9/"}
        environ |= {"PATCHMGR_DATABASE_URL": self.url} if self.url else {}
        return Still(environ | settings, NOW - timedelta(days=days_ago))

    def run(self, *words: object, days_ago: float = 0, **settings: str) -> None:
        app = self.app(days_ago, **settings)
        patchmgr([str(word) for word in words], obj=app, prog_name="patchmgr")

    def must(self, *words: object, days_ago: float = 0, **settings: str) -> str:
        outcome = in_a_process(partial(self.run, *words, days_ago=days_ago, **settings))
        if outcome.code:
            raise SystemExit(f"{words}: {outcome.said}")
        return outcome.said

    @contextmanager
    def database(self) -> Iterator[Database]:
        url = self.url or f"sqlite:///{self.home / 'patchmgr.db'}"
        with closing(Database(url)) as db:
            yield db

    def content(self, without: Collection[str] = ()) -> Content:
        with self.database() as db, db.reading() as session:
            return content(session, without)


Act = Callable[[Place], object]


@dataclass(frozen=True)
class Work:
    """What is killed: how it is prepared, what is done, and whether that is one transaction."""

    do: Act
    before: Sequence[Act] = ()
    is_one: bool = True
    without: Collection[str] = ()  # tables in which a repetition leaves traces of its own
    databases: Sequence[str] = DATABASES
    left: Callable[[Place], object] = lambda _place: None  # what else must be the same at the end
    again: Act | None = None  # how it is done again, if not by doing the same
    is_counted: bool = False  # no two times it says the same; it has as many rows

    def content(self, place: Place) -> Content:
        found = place.content(self.without)
        if self.is_counted:
            return {name: Counter(rows=rows.total()) for name, rows in found.items()}
        return found


def words(*said: object, days_ago: float = 0, **settings: str) -> Act:
    """Return the act of giving a command; ``{files}`` and ``{home}`` stand for its folders."""

    def act(place: Place) -> None:
        given = [str(word).format(files=place.files, home=place.home) for word in said]
        place.run(*given, days_ago=days_ago, **settings)

    return act


def machines() -> list[fleet.Machine]:
    return fleet.machines()[::8]


def write_files(files: Path) -> None:
    fleet.write_hosts(files / "hosts.csv", machines())
    fleet.write_hosts(files / "more-hosts.csv", fleet.machines()[::4])
    for days in (30, 20, 0):
        fleet.write_packages(files / f"packages-{days}.csv", machines(), days_ago=days, patched={})
        fleet.write_feed(files / f"tracker-{days}.json", days_ago=days)
    name = machines()[0].hostname
    lines = (files / "packages-0.csv").read_text().splitlines()[1:]
    listing = [line.split(",") for line in lines if line.startswith(f"{name},")]
    (files / "listing").write_text(
        "".join(f"{cells[2]}\t{cells[3]}\t{cells[4]}\n" for cells in listing[5:])
    )


HOSTS = words("hosts", "import", "{files}/hosts.csv", days_ago=31)
OLD = words("packages", "import", "{files}/packages-30.csv", days_ago=30)
TOLD = words("feeds", "sync", "debian", "--from", "{files}/tracker-30.json", days_ago=30)
FOUND = words("scan", days_ago=30)
MIDDLE = words("packages", "import", "{files}/packages-20.csv", days_ago=20)
LATER = words("scan", days_ago=20)
NEW = words("packages", "import", "{files}/packages-0.csv")
NEWS = words("feeds", "sync", "debian", "--from", "{files}/tracker-0.json")
FLEET = (HOSTS, OLD, TOLD, FOUND)
LATELY = (MIDDLE, LATER, NEW, NEWS, words("scan"))
PAST = (*FLEET, *LATELY)
RUNS = ("audit_entry", "job_run")
SAID = ("+ audit_entry:", "+ feed_sync:", "+ scan_run:")  # where each time is on record


def upload(place: Place) -> None:
    """Send a file and have it looked into and confirmed, as a person does."""
    app = place.app()
    folder = app.settings.uploads
    with (place.files / "packages-0.csv").open("rb") as sent:
        wish = uploads.Wish("packages")
        number = uploads.receive(
            app.db, sent, wish, filename="p.csv", uploads=folder, actor="ann", now=NOW
        )
    import_work.work(app.db, folder, lambda: NOW)
    uploads.confirm(app.db, number, take_good=False, actor="ann", now=NOW)


def old_report(place: Place) -> None:
    words("reports", "compliance", "--format", "json", "--out", "{files}/r.json", days_ago=25)(
        place
    )


def tidied(place: Place) -> None:
    """Do the housekeeping when what was left half removed is older than reports in the making."""
    long_ago = (NOW - timedelta(days=2)).timestamp()
    for folder in (place.home / "reports").glob("*"):
        os.utime(folder, (long_ago, long_ago))
    words("jobs", "run", "housekeeping", **KEPT)(place)


def keyed(place: Place) -> None:
    signing.signing_key(place.app().settings.home)


def bundle(place: Place) -> None:
    """Have another installation make a bundle, once; this one has yesterday's."""
    far = Place(place.files / "far", place.files, "")
    target = place.files / "all.bundle"
    if not target.exists():
        far.must("feeds", "sync", "debian", "--from", place.files / "tracker-0.json")
        said = far.must("feeds", "export", target)
        (place.files / "key").write_text(re.search(r"SHA256:\w+", said).group())


def take_bundle(place: Place) -> None:
    key = (place.files / "key").read_text()
    place.run("feeds", "import", place.files / "all.bundle", "--key", key)


def backed_up(place: Place) -> None:
    place.run("db", "backup", place.home / "one.backup")


def aged(place: Place) -> None:
    """Make a backup, and have it be of an older program."""
    backed_up(place)
    from alembic import command

    settings = migrate.configuration()
    with (
        closing(Database(f"sqlite:///{place.home / 'one.backup'}")) as db,
        migrate.changing(db) as connection,
    ):
        settings.attributes["connection"] = connection
        command.downgrade(settings, migrate.revisions()[-4])


def older(revision: str) -> Act:
    """Return the act of bringing a database with data in it back to an older schema."""

    def act(place: Place) -> None:
        from alembic import command

        settings = migrate.configuration()
        with place.database() as db, migrate.changing(db) as connection:
            settings.attributes["connection"] = connection
            command.downgrade(settings, revision)

    return act


def files(place: Place, of: str) -> list[str]:
    """Return what lies in a folder of the home."""
    folder = place.home / of
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def named(place: Place, name: str) -> list[str]:
    """Return the files of the home that are called ``name``, or something with it."""
    return sorted(path.name for path in place.home.glob(f"*{name}*"))


def unless(name: str, act: Act) -> Act:
    """Return the act of doing ``act`` where there is no file ``name``, which it never replaces."""
    return lambda place: None if (place.home / name).exists() else act(place)


WORKS = {
    "hosts": Work(words("hosts", "import", "{files}/more-hosts.csv"), FLEET),
    "packages": Work(NEW, FLEET),
    "report": Work(
        words(
            "report", "submit", "--host", machines()[0].hostname, "--os", "debian:12",
            "--format", "dpkg", "{files}/listing",
        ),
        FLEET,
    ),
    "upload": Work(
        words("jobs", "run", "imports"), (*FLEET, upload), False, (*RUNS, "import"),
        left=partial(files, of="uploads"),
    ),
    "sync": Work(NEWS, FLEET),
    "scan": Work(words("scan"), (*FLEET, NEW, NEWS)),
    "scan-full": Work(words("scan", "--full"), (*FLEET, NEW, NEWS)),
    "bundle": Work(take_bundle, (*FLEET, bundle), without=("feed",)),
    "export": Work(
        words("feeds", "export", "{home}/out.bundle"), PAST, False, RUNS,
        again=unless("out.bundle", words("feeds", "export", "{home}/out.bundle")),
        left=partial(named, name="out.bundle"),
    ),
    "compliance": Work(
        words(
            "reports", "compliance", "--format", "html", "--format", "csv", "--format", "json",
            "--at", NOW.isoformat(), "--out", "{home}/out",
        ),
        (*PAST, keyed), False, RUNS, left=partial(files, of="out"),
    ),
    "housekeeping": Work(
        words("jobs", "run", "housekeeping", **KEPT), (*FLEET, old_report, *LATELY, upload),
        False, RUNS, again=tidied,
        left=partial(files, of="reports"),
    ),
    "backup": Work(
        words("db", "backup", "{home}/two.backup"), PAST, databases=("sqlite",),
        again=unless("two.backup", words("db", "backup", "{home}/two.backup")),
        left=partial(named, name="two.backup"),
    ),
    "restore": Work(
        words("db", "restore", "{home}/one.backup"), (*FLEET, backed_up, MIDDLE, NEW),
        databases=("sqlite",),
    ),
    "restore-older": Work(
        words("db", "restore", "{home}/one.backup"),
        (*FLEET, aged, MIDDLE, NEW), databases=("sqlite",),
    ),
    "demo": Work(words("demo"), is_one=False, is_counted=True),
    **{
        f"upgrade-{revision}": Work(words("db", "upgrade"), (*PAST, older(revision)), is_one=False)
        for revision in migrate.revisions()[:-1]
    },
}  # fmt: skip


class Bench:
    """Places by what was done there; copies of them to be killed in."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store, self._folder = store, folder
        self._made: dict[tuple[Act, ...], Place] = {}
        self.files = folder / "files"
        self.files.mkdir(exist_ok=True)
        write_files(self.files)
        if store.postmaster:
            self._sql("ALTER SYSTEM SET fsync = off")
            self._sql("SELECT pg_reload_conf()")

    def _sql(self, statement: str) -> None:
        url = self._store.environ["PATCHMGR_DATABASE_URL"].replace("+psycopg", "")
        admin = re.sub(r"/bench(?=$|\?)", "/postgres", url)
        with closing(psycopg.connect(admin, autocommit=True)) as connection:
            connection.execute(statement)

    def place(self, acts: Sequence[Act]) -> Place:
        """Return where ``acts`` were done, each once however many begin with it."""
        key = tuple(acts)
        if key not in self._made:
            if key:
                place = self.copy(self.place(key[:-1]))
                self.do(key[-1], place)
            else:
                place = self._new(None)
                self.do(words("db", "upgrade"), place)
            self._made[key] = place
        return self._made[key]

    def copy(self, of: Place) -> Place:
        place = self._new(of)
        shutil.rmtree(place.home, ignore_errors=True)
        shutil.copytree(of.home, place.home)
        return place

    def _new(self, of: Place | None) -> Place:
        number = next(_numbers)
        url = ""
        if self._store.postmaster:
            name = f"c{number}"
            template = "template1" if of is None else re.search(r"/(c\d+)(?=$|\?)", of.url).group(1)
            self._sql(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
            own = self._store.environ["PATCHMGR_DATABASE_URL"]
            url = re.sub(r"/bench(?=$|\?)", f"/{name}", own)
        return Place(self._folder / f"home-{number}", self.files, url)

    def drop(self, place: Place) -> None:
        shutil.rmtree(place.home, ignore_errors=True)
        if place.url:
            name = re.search(r"/(c\d+)(?=$|\?)", place.url).group(1)
            self._sql(f"DROP DATABASE {name} WITH (FORCE)")

    def do(self, act: Act, place: Place) -> int:
        outcome = in_a_process(partial(act, place))
        if outcome.code:
            raise SystemExit(f"prepared wrongly: {outcome.said}")
        return outcome.points


def judge(bench: Bench, name: str, work: Work, kills: int, seed: int) -> list[str]:
    """Kill ``work`` some times, and say what was not as it must be after it."""
    start = bench.place(work.before)
    undisturbed = bench.copy(start)
    began = time.perf_counter()
    points = bench.do(work.do, undisturbed)
    seconds = time.perf_counter() - began
    ends = Ends(
        None if name.startswith("upgrade") else work.content(start),
        work.content(undisturbed),
        work.left(undisturbed),
    )
    bench.drop(undisturbed)
    draw = random.Random(f"{seed} {name}")
    at = {points - 1, points - 2, *(draw.randrange(points) for _ in range(kills))}
    tries: list[dict[str, float]] = [{"at": point} for point in sorted(at) if point >= 0]
    tries += [{"after": draw.uniform(0, seconds)} for _ in range(kills // 3)]
    killed, problems = 0, []
    for each in tries:
        place = bench.copy(start)
        outcome = in_a_process(partial(work.do, place), **each)
        killed += outcome.killed
        if wrong := ends.wrong(work, place):
            problems.append(f"{name} {each}: " + "\n    ".join(wrong[:LINES]))
        bench.drop(place)
    print(
        f"{name:18} {points:6} points {killed:4} kills {len(problems):3} problems"
        f" {time.perf_counter() - began:5.0f} s",
        *problems,
        sep="\n",
        flush=True,
    )
    return problems


@dataclass(frozen=True)
class Ends:
    """What is there before a work and after it; before is None where it cannot be read yet."""

    untouched: Content | None
    done: Content
    left: object

    def wrong(self, work: Work, place: Place) -> list[str]:
        """Say what is wrong in ``place``, where ``work`` was killed, and after it is done again."""
        happened = False  # then to do it again may be on record, and nothing else
        if wrong := _checked(place, is_old=self.untouched is None):
            return wrong
        if self.untouched is not None:
            now = work.content(place)
            happened = now == self.done
            if work.is_one and now not in (self.untouched, self.done):
                return ["neither before nor done", *difference(self.done, now)]
        again = in_a_process(partial(work.again or work.do, place))
        if again.code:
            return [f"again: {again.said}"]
        differs = difference(self.done, work.content(place))
        new = [line for line in differs if not (happened and line.startswith(SAID))]
        if new:
            return ["done again differs", *new]
        if (left := work.left(place)) != self.left:
            return [f"left {left}, undisturbed {self.left}"]
        return _checked(place)


def _checked(place: Place, *, is_old: bool = False) -> list[str]:
    """Return what the check finds; of an older schema, it may ask for the upgrade."""
    check = in_a_process(partial(place.run, "db", "check"))
    asks = is_old and "patchmgr db upgrade" in check.said
    return [f"check: {check.said}"] if check.code and not asks else []


def main(kills: int, seed: int, wanted: Sequence[str]) -> None:
    problems: list[str] = []
    for database in DATABASES:
        with (
            tempfile.TemporaryDirectory(prefix="crashes-", ignore_cleanup_errors=True) as folder,
            opened(database, Path(folder)) as store,
        ):
            bench = Bench(store, Path(folder))
            print(database)
            for name, work in WORKS.items():
                if database in work.databases and (not wanted or any(map(name.startswith, wanted))):
                    problems += judge(bench, name, work, kills, seed)
    sys.exit(bool(problems))


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:3]]
    kills, seed = (*given, random.randrange(10**6))[:2]
    print(f"seed {seed}")
    main(kills, seed, sys.argv[3:])
