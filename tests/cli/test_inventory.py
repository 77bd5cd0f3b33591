"""``patchmgr hosts``, ``packages`` and ``report`` as scripts use them (design.md 5.2)."""

import json
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from patchmgr.cli import main
from patchmgr.cli.app import App
from patchmgr.db import models


@pytest.fixture
def home(tmp_path, _sqlite_template):
    home = tmp_path / "home"
    home.mkdir()
    (home / "patchmgr.db").write_bytes(_sqlite_template.read_bytes())
    return home


@pytest.fixture
def run(home):
    """Run the command in ``home``; return exit code, stdout and stderr. No error may escape."""

    def run(*words, text=None, **environ):
        app = App({"PATCHMGR_HOME": str(home), **environ})
        words = [str(word) for word in words]
        result = CliRunner().invoke(main, words, obj=app, input=text, catch_exceptions=False)
        return result.exit_code, result.stdout, result.stderr

    return run


@pytest.fixture
def file(tmp_path):
    def file(text, name="file.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return file


NO_FEED = (  # what is said of the hosts below, as nothing has been synced
    "2 rows name a release that no feed speaks of, on which nothing can be judged: debian:12; "
    "correct it, or see coverage for the feed to sync\n"
)
HOSTS = (
    "hostname,external_id,os_id,os_release,environment\nb,i-2,debian,12,test\na,i-1,debian,12,\n"
)
PACKAGES = "hostname,manager,name,version,arch\na,dpkg,x,1,amd64\na,dpkg,y,2,all\n"


@pytest.fixture
def fleet(run, file):
    assert run("hosts", "import", file(HOSTS))[0] == 0
    assert run("packages", "import", file(PACKAGES))[0] == 0


def test_an_import_says_what_it_did(run, file):
    assert run("hosts", "import", file(HOSTS)) == (
        0,
        (
            "read as UTF-8, separated by ,\n"
            "new: b\nnew: a\n2 rows; hosts: 2 new, 0 changed, 0 unchanged\n"
        ),
        NO_FEED,
    )
    assert run("packages", "import", file(PACKAGES))[1] == (
        "read as UTF-8, separated by ,\nnew: a  +2 packages; -0 packages\n"
        "2 rows; hosts: 1 new, 0 changed, 0 unchanged; package versions: +2 -0\n"
    )


def test_a_dry_run_prints_what_would_be(run, file):
    code, out, err = run("hosts", "import", "--dry-run", file(HOSTS))

    assert (code, err) == (0, NO_FEED)
    assert out.endswith("2 rows; hosts: 2 would be new, 0 would be changed, 0 unchanged\n")
    assert run("hosts", "list")[1] == "nothing to show\n"


def test_differences_and_listings_are_json_when_asked(run, file, fleet):
    code, out, _ = run("packages", "import", "--json", file(PACKAGES))
    assert (code, json.loads(out)["unchanged"], json.loads(out)["dry_run"]) == (0, 1, False)

    listed = json.loads(run("hosts", "list", "--json")[1])
    assert [(line["hostname"], line["packages"], line["platform"]) for line in listed] == [
        ("a", 2, "debian:12"),
        ("b", 0, "debian:12"),
    ]
    shown = json.loads(run("hosts", "show", "A", "--json")[1])
    assert [each["name"] for each in shown["package_versions"]] == ["x", "y"]
    assert [each["until"] for each in shown["history"]] == [None]
    assert shown["has_feed"] is False  # none has been synced
    report = run(
        "report",
        "submit",
        "--host",
        "c",
        "--os",
        "debian:12",
        "--format",
        "dpkg",
        "--json",
        "-",
        text="x\t1\n",
    )
    assert json.loads(report[1])["new"] == 1


def test_a_source_is_saved_used_listed_and_forgotten(run, file):
    saving = ("--map", "Server=hostname", "--save-mapping", "cmdb")
    assert run("hosts", "import", file("Server\na\nb\n"), *saving, "--full-export")[0] == 0

    out = run("hosts", "import", file("Server\na\n"), "--source", "cmdb", "--full-export")[1]
    assert "gone: b  the file does not name it any more" in out
    assert "nothing is retired unasked" in out
    assert json.loads(run("sources", "list", "--json")[1])[0]["hosts"] == 2
    assert "Server = hostname" in run("sources", "show", "cmdb")[1]
    assert run("sources", "delete", "cmdb") == (0, "cmdb is forgotten\n", "")
    assert run("hosts", "import", file("Server\na\n"), "--source", "cmdb")[0] == 1


def test_who_is_gone_is_retired_at_the_explicit_word_only(run, file):
    cmdb = ("--save-mapping", "cmdb", "--full-export")
    run("hosts", "import", file("hostname\na\nb\n"), *cmdb)
    one = file("hostname\na\n")

    assert (
        "would be retired: b"
        in run("hosts", "import", one, *cmdb, "--retire-missing", "--dry-run")[1]
    )
    assert "\nretired: b\n" in run("hosts", "import", one, *cmdb, "--retire-missing")[1]
    assert run("hosts", "import", one, "--retire-missing")[0] == 2
    assert [each["hostname"] for each in json.loads(run("hosts", "list", "--json")[1])] == ["a"]


def test_presets_are_listed(run):
    listed = json.loads(run("sources", "presets", "--json")[1])

    assert {"servicenow", "configmgr", "landscape"} <= {each["name"] for each in listed}


def test_a_report_may_be_recognised_and_its_system_read_from_the_host_s_file(run, tmp_path):
    release = tmp_path / "os-release"
    release.write_text('ID="rhel"\nVERSION_ID="9.4"\n')
    submit = ("report", "submit", "--host", "a", "--os-release", release)
    text = "bash-5.1.8-6.el9.x86_64\n"

    code, out, _ = run(*submit, "-", text=text)
    assert (code, out.splitlines()[0]) == (0, "a: 1 packages stored (+1 -0), read as rpm")
    assert "names no epochs" in out
    assert json.loads(run("hosts", "list", "--json")[1])[0]["platform"] == "rhel:9.4"

    said = json.loads(run(*submit, "--format", "pip", "--json", "-", text="-e /srv/x\n")[1])
    assert (said["format"], said["not_judged"]) == ("pip", 1)
    assert said["not_judged_why"] == [
        "/srv/x: is installed from a working copy, which is no release"
    ]
    assert "not judged: 1" in run(*submit, "-", text="-e /srv/x\n")[1]
    assert json.loads(run("hosts", "list", "--json")[1])[0]["packages"] == 1


@pytest.mark.parametrize(
    ("content", "more", "why"),
    [
        ("ID=debian\n", ("--os", "debian:12"), "--os-release: says what --os says already"),
        ("VERSION_ID=12\n", (), "os-release: column ID: is missing"),
    ],
)
def test_a_system_that_is_not_told_is_one_line_and_exit_2(run, tmp_path, content, more, why):
    release = tmp_path / "os-release"
    release.write_text(content)

    code, _, err = run("report", "submit", "--host", "a", "--os-release", release, *more, "-")

    assert code == 2
    assert why in err


def test_a_format_that_cannot_be_told_asks_for_its_name(run):
    code, _, err = run("report", "submit", "--host", "a", "--os", "debian:12", "-", text="hello\n")

    assert code == 2
    assert "format: cannot be told from what the file says; name it" in err


def test_columns_are_mapped_on_the_command_line(run, file):
    path = file("name;stage;note\na;test;hello\n")

    code, *_ = run(
        "hosts",
        "import",
        path,
        "--map",
        "name=hostname",
        "--map",
        "environment=stage",
        "--map",
        "note=-",
    )

    assert code == 0
    assert json.loads(run("hosts", "list", "--json")[1])[0]["environment"] == "test"


def test_rejects_are_written_and_told(run, file, tmp_path):
    out = tmp_path / "bad.csv"

    code, _, err = run("hosts", "import", file("hostname\na\nb b\n"), "--rejects", out)

    assert (code, err) == (0, f"1 rows refused to {out}\n")
    assert out.read_text().splitlines()[0] == "hostname,reason"


def test_merging_adds(run, file, fleet):
    run(
        "packages", "import", "--mode", "merge", file("hostname,manager,name,version\na,dpkg,z,1\n")
    )

    assert json.loads(run("hosts", "show", "a", "--json")[1])["packages"] == 3


def test_a_host_as_of_before_it_was_known_has_no_packages(run, fleet):
    shown = json.loads(run("hosts", "show", "a", "--at", "2020-01-01", "--json")[1])

    assert (shown["packages"], shown["package_versions"]) == (0, [])


def test_a_host_is_shown_with_its_conflicts_and_what_to_do(run, fleet, home, now):
    assert "conflict" not in run("hosts", "show", "a")[1]
    with App({"PATCHMGR_HOME": str(home)}).db.writing() as session:
        shown = select(models.Host.id).where(models.Host.hostname == "a")
        told = {"kind": "same_name", "hostname": "a", "why": "it is another machine", "times": 3}
        nothing = ("machine_id", "product_uuid", "boot_id", "address", "new_name", "resolved_by")
        session.add(
            models.IdentityConflict(
                **dict.fromkeys(nothing, ""),
                **told,
                key=bytes(32),
                host_id=session.scalar(shown),
                state="open",
                first_at=now,
                last_at=now,
            )
        )

    text = run("hosts", "show", "a")[1]
    (conflict,) = json.loads(run("hosts", "show", "a", "--json")[1])["conflicts"]

    assert "conflict 1: a, refused 3 times: it is another machine" in text
    assert f"  {conflict['remedy']}" in text.splitlines()
    assert "patchmgr hosts resolve 1 --as same (it is a)" in conflict["remedy"]
    assert run("hosts", "resolve", "1", "--as", "dismissed")[0] == 0
    assert json.loads(run("hosts", "show", "a", "--json")[1])["conflicts"] == []


def test_a_retired_host_is_listed_only_with_the_retired(run, fleet):
    assert run("hosts", "retire", "a")[0] == 0

    assert [line["hostname"] for line in json.loads(run("hosts", "list", "--json")[1])] == ["b"]
    assert json.loads(run("hosts", "list", "--retired", "--json")[1])[0]["hostname"] == "a"
    assert run("hosts", "retire", "a") == (1, "", "patchmgr: no host 'a'\n")


# --- bad input: one line that says what, where and what to do; nothing changed -------------------

SUBMIT = ("report", "submit", "--host", "a", "--os", "debian:12", "--format", "dpkg")
BAD = {
    "missing file": (("hosts", "import", "/no/such.csv"), "/no/such.csv: No such file"),
    "directory": (("hosts", "import", "/"), "'/' is a directory"),
    "no file": (("packages", "import"), "Missing argument 'FILE'"),
    "mode": (("packages", "import", "x", "--mode", "all"), "'all' is not one of"),
    "map": (("hosts", "import", "x", "--map", "name"), "--map name: is not NEW=COLUMN"),
    "half a map": (("hosts", "import", "x", "--map", "name="), "--map name=: is not NEW=COLUMN"),
    "option": (("hosts", "list", "--color"), "No such option '--color'"),
    "verb": (("hosts", "remove"), "No such command 'remove'"),
    "noun": (("host",), "No such command 'host'"),
    "state": (("hosts", "list", "--state", "bad"), "state: 'bad' is not one of overdue"),
    "time": (("hosts", "show", "a", "--at", "soon"), "'soon' is not an ISO 8601 date or time"),
    "far time": (("findings", "--at", "0001-01-01T00:00+14:00"), "is not an ISO 8601"),
    "report file": ((*SUBMIT, "/no/such"), "/no/such: No such file"),
    "report directory": ((*SUBMIT, "/"), "/: Is a directory"),
    "report format": (("report", "submit", "--host", "a", "--format", "x", "-"), "'x' is not"),
    "report host": (("report", "submit", "--format", "dpkg", "-"), "every host needs a hostname"),
    "no role": (("users", "add", "a"), "Missing option '--role'. Choose from: viewer, operator"),
    "empty report": ((*SUBMIT, "-"), "-: lists no installed package"),
    "host name": (
        ("report", "submit", "--host", "a b", "--os", "x:1", "--format", "dpkg", "-"),
        "host: 'a b' is not a hostname",
    ),
    "status": (("findings", "--status", "fixed"), "'fixed' is not one of"),
    "format": (("findings", "--format", "xml"), "'xml' is not one of"),
}


@pytest.mark.parametrize(("words", "why"), BAD.values(), ids=BAD)
def test_bad_input_is_one_line_and_exit_2(run, words, why):
    code, out, err = run(*words)

    assert (code, out) == (2, "")
    assert err.startswith("patchmgr: ")
    assert why in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("hosts", b"", "is empty; the first row is the header"),
        ("hosts", b"hostname\nb b\n", "row 2, column hostname: 'b b' is not a hostname"),
        ("hosts", b"hostname\n\xff\n", "row 2, column hostname: 'ÿ' is not a hostname"),
        ("hosts", "hostname\n".encode("utf-32"), "is UTF-32; save the file as UTF-8"),
        ("hosts", b"\x00\x1b[31m" * 99, "is not the header of a CSV file"),
        ("packages", b"\x89PNG\r\n\x1a\n\x00", "is neither UTF-8 nor Windows-1252"),
        ("packages", b"hostname,name\n", "column manager: is missing from the header"),
        (
            "packages",
            b'hostname,manager,name,version\na,dpkg,"x,1\n',
            "row 2: begins a quoted field",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line_and_exit_2(run, file, name, content, why):
    code, out, err = run(name, "import", file(content))

    assert (code, out) == (2, "")
    assert why in err
    assert "file.csv" in err
    assert "".join(err.splitlines()).isprintable()


def test_every_bad_row_is_a_line(run, file, fleet):
    rows = "hostname,manager,name,version\na,dpkg,,1\na,yum,x,1\nc,dpkg,x,1\n"

    code, out, err = run("packages", "import", file(rows))

    assert (code, out) == (2, "")
    assert [line.split(": ")[:3] for line in err.splitlines()] == [
        ["patchmgr", "file.csv", "row 2, column name"],
        ["patchmgr", "file.csv", "row 3, column manager"],
        ["patchmgr", "file.csv", "row 4, column hostname"],
    ]


def test_a_file_that_cannot_be_opened_is_said(run, file):
    path = file(HOSTS) / "hosts.csv"

    assert run("hosts", "import", path) == (2, "", f"patchmgr: {path}: Not a directory\n")


# --- the database --------------------------------------------------------------------------------


def test_a_fresh_home_gets_its_database_and_nobody_else_can_read_it(tmp_path, run, home):
    (home / "patchmgr.db").unlink()
    new = tmp_path / "new"

    assert run("hosts", "list", PATCHMGR_HOME=str(new)) == (0, "nothing to show\n", "")
    assert (new / "patchmgr.db").exists()
    assert stat.S_IMODE(new.stat().st_mode) == 0o700
    assert stat.S_IMODE((new / "secret-key").stat().st_mode) == 0o600


def test_a_database_of_somebody_else_is_refused_and_left_alone(run, home):
    path = home / "patchmgr.db"
    path.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE songs (title TEXT)")

    code, out, err = run("hosts", "list")

    assert (code, out) == (1, "")
    assert err.startswith("patchmgr: the database is at schema none, this program needs ")
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("songs",)]


@pytest.mark.parametrize(
    ("schema", "remedy"),
    [
        ("0001", "this program needs {head}; run: patchmgr db upgrade"),
        ("9999", "this program knows {head} and older; install the patchmgr that wrote it"),
    ],
)
def test_an_older_or_newer_schema_is_refused_with_the_remedy(run, home, schema, remedy):
    with closing(sqlite3.connect(home / "patchmgr.db")) as db:
        (head,) = db.execute("SELECT version_num FROM alembic_version").fetchone()
        db.execute("UPDATE alembic_version SET version_num = ?", (schema,))
        db.commit()

    code, _, err = run("hosts", "list")

    said = f"patchmgr: the database is at schema {schema}, {remedy.format(head=head)}\n"
    assert (code, err) == (1, said)


@pytest.mark.parametrize(
    ("url", "code", "why"),
    [
        ("nonsense", 2, "PATCHMGR_DATABASE_URL: Could not parse"),
        ("mysql://x/y", 2, "PATCHMGR_DATABASE_URL: 'mysql' is not one of sqlite, postgresql"),
        ("sqlite:////proc/no/x.db", 2, "PATCHMGR_DATABASE_URL: "),
        ("postgresql://127.0.0.1:1/x", 75, "the database did not answer: connection failed"),
    ],
)
def test_a_database_that_cannot_be_had_is_one_line(run, url, code, why):
    got, out, err = run("hosts", "list", PATCHMGR_DATABASE_URL=url)

    assert (got, out) == (code, "")
    assert err.startswith(f"patchmgr: {why}")
    assert err.count("\n") == 1


def test_a_file_that_is_no_database_is_one_line(run, home):
    (home / "patchmgr.db").write_bytes(b"not a database" * 100)

    assert run("hosts", "list") == (
        1,
        "",
        "patchmgr: the database cannot be used: file is not a database\n",
    )


# --- as a process --------------------------------------------------------------------------------


def process(home, *words, **options):
    environ = os.environ | {"PATCHMGR_HOME": str(home)}
    command = [sys.executable, "-m", "patchmgr", *map(str, words)]
    return subprocess.run(command, env=environ, capture_output=True, check=False, **options)


def test_the_command_runs_as_a_process(home, file):
    imported = process(home, "hosts", "import", file(HOSTS), text=True)
    refused = process(home, "hosts", "import", file("hostname\na a\n"), text=True)

    assert (imported.returncode, imported.stderr) == (0, NO_FEED)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("patchmgr: file.csv: row 2, column hostname: 'a a' is not")


def test_a_reader_that_goes_away_is_no_error(home, file):
    rows = "".join(f"host-{number:05},\n" for number in range(2_000))
    process(home, "hosts", "import", file("hostname,site\n" + rows))

    command = f"{sys.executable} -m patchmgr hosts list | head -1; echo ${{PIPESTATUS[0]}}"
    environ = os.environ | {"PATCHMGR_HOME": str(home)}
    done = subprocess.run(
        ["bash", "-c", command], env=environ, capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[1:] == ["0"]
    assert done.stderr == ""
