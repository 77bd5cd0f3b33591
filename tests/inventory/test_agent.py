"""The collectors, run as hosts run them, against the console as it is served."""

import ast
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from inventory import agent, documents
from inventory.managers import dpkg
from patchmgr.config import Settings
from patchmgr.domain.packages import Package
from patchmgr.services import enrolment
from web.app import create_app

FOLDER = Path(agent.__file__).parent
PYTHON = [sys.executable, "-I", "-S", str(FOLDER / "agent.py")]
SHELLS = {"sh": ["sh"], "dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "sh"]}
AWKS = ("mawk", "gawk", "original-awk")
COLLECTORS = {"python": PYTHON} | {
    name: [*shell, str(FOLDER / "agent.sh")]
    for name, shell in SHELLS.items()
    if shutil.which(shell[0])
}
NASTY = 'a"b\\c\td\x01\x1f\x7f\r\n\\n \\" é 漢 \x08\x0c & \\& $x `y`\n\n'


class Host:
    """A machine whose tools print what a test says; a collector runs on it."""

    def __init__(self, folder):
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.state = folder / "state" / "token.json"
        self.tool(
            "dpkg-query", "openssl\t3.0.15-1\tamd64\topenssl\t3.0.15-1\tinstall ok installed\n"
        )
        for name in ("rpm", "apt", "apt-mark", "needrestart", "dnf", "yum", "needs-restarting"):
            self.tool(name, "", code=3)
        self.tool("apk", "", code=3)

    def tool(self, name, prints, code=0):
        (self.bin / f"{name}.txt").write_bytes(
            prints if isinstance(prints, bytes) else prints.encode()
        )
        script = self.bin / name
        script.write_text(f'#!/bin/sh\ncat "{self.bin}/{name}.txt"\nexit {code}\n')
        script.chmod(0o755)

    def run(self, collector, *words, said="", **environment):
        return subprocess.run(
            [*COLLECTORS[collector], *words],
            capture_output=True,
            check=False,
            encoding="utf-8",
            env={"PATH": f"{self.bin}:{os.environ['PATH']}", "TMPDIR": str(self.folder)}
            | environment,
            input=said,
            timeout=60,
        )

    def without_room(self, collector, *words, said=""):
        """Run a collector that can write no more than 512 bytes into a file."""
        line = ["sh", "-c", 'trap "" XFSZ; ulimit -f 1; exec "$@"', "sh", *COLLECTORS[collector]]
        return subprocess.run(
            [*line, *words, "--state", str(self.state)],
            capture_output=True,
            check=False,
            encoding="utf-8",
            env={"PATH": f"{self.bin}:{os.environ['PATH']}", "TMPDIR": str(self.folder)},
            input=said,
            timeout=60,
        )

    def enrol(self, collector, server, key):
        return self.run(
            *(collector, "enrol", "--server", server, "--token", "-"),
            *("--state", str(self.state), "--hostname", "web-1"),
            said=f"{key}\n",
        )

    def report(self, collector, *words):
        return self.run(collector, "report", "--once", "--state", str(self.state), *words)


@pytest.fixture(params=["python", "sh"])
def collector(request):
    return request.param


@pytest.fixture(params=COLLECTORS)
def any_collector(request):
    """Every one that runs here: each shell is another one."""
    return request.param


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


class Service:
    """The console on the loopback; remembers what it was sent."""

    def __init__(self, db, folder, now):
        self.db, self.now = db, now
        settings = Settings(home=folder, database_url=db.url, secret_key="0" * 64)
        app = create_app(db, settings, lambda: self.now)
        self.sent = []

        def remembering(environ, start):
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            packed = environ.get("HTTP_CONTENT_ENCODING") == "gzip"
            self.sent.append((environ["QUERY_STRING"], gzip.decompress(body) if packed else body))
            return app(environ | {"wsgi.input": io.BytesIO(body)}, start)

        self.server = make_server("127.0.0.1", 0, remembering, threaded=True)
        self.address = f"http://127.0.0.1:{self.server.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def key(self):
        return enrolment.create_token(self.db, "fleet", actor="ann", now=self.now)[1]

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def service(sqlite_db, tmp_path, now):
    (tmp_path / "home").mkdir()
    made = Service(sqlite_db, tmp_path / "home", now)
    yield made
    made.stop()


def test_it_enrols_then_sends_its_report_once(collector, host, service):
    enrolled = host.enrol(collector, service.address, service.key())
    first, again = host.report(collector), host.report(collector)
    host.tool("dpkg-query", "openssl\t3.0.17-1\tamd64\topenssl\t3.0.17-1\tinstall ok installed\n")
    changed = host.report(collector)

    assert [each.returncode for each in (enrolled, first, again, changed)] == [0, 0, 0, 0], (
        enrolled.stderr + first.stderr + again.stderr
    )
    assert "enrolled as web-1" in enrolled.stderr
    assert "sent: 1 packages" in first.stderr
    assert "unchanged" in again.stderr
    assert "sent: 1 packages" in changed.stderr
    assert [bool(body) for _, body in service.sent] == [True, False, True, False, False, True]
    assert stat.S_IMODE(host.state.stat().st_mode) == 0o600
    assert stat.S_IMODE(host.state.parent.stat().st_mode) == 0o700


def test_the_token_is_the_same_file_for_both(host, service):
    host.enrol("python", service.address, service.key())

    assert "sent" in host.report("sh").stderr
    host.enrol("sh", service.address, service.key())
    assert host.report("python").returncode == 0


def test_what_it_sends_is_what_the_tools_print(any_collector, host):
    host.tool("dpkg-query", NASTY)
    host.tool("rpm", "bash\t0\n")
    host.tool("needs-restarting", "Reboot is required\n", code=1)
    host.tool("apt-mark", "")
    host.tool("needrestart", "broken", code=1)

    shown = host.run(any_collector, "report", "--dry-run", "--hostname", "web-1")

    assert shown.returncode == 0, shown.stderr
    document = json.loads(shown.stdout)
    sections = document["sections"]
    assert sections["dpkg"] == NASTY
    assert sections["rpm"] == "bash\t0\n"
    assert sections["needs-restarting"] == "Reboot is required\nexit=1\n"
    assert sections["holds"] == ""
    assert "needrestart" not in sections
    assert sections["uname"] == f"{os.uname().release}\n"
    assert "pip" not in sections
    assert document["host"]["hostname"] == "web-1"
    assert document["version"] == 1
    documents.read(shown.stdout.encode())


def test_without_dpkg_query_dpkg_s_files_say_what_is_installed(tmp_path, monkeypatch):
    """A status file of any size, and the folder that images without dpkg have."""
    folded = "Description: y\n" + " and more\n" * 1000
    entry = "Package: p%d\nStatus: hold ok installed\n%sVersion: 1\nSource: s (2)\n"
    (tmp_path / "status").write_text("\n".join(entry % (n, folded) for n in range(1000)))
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "base").write_text("Package: base\nVersion: 12.4\nArchitecture: amd64")
    (tmp_path / "d" / "base.md5sums").write_text("0123  etc/passwd\n")
    monkeypatch.setattr(agent, "DPKG_STATUS", str(tmp_path / "status"))
    monkeypatch.setattr(agent, "DPKG_STATUS_D", f"{tmp_path}/d/*")

    listing = dpkg.read(agent.dpkg_status())

    assert (tmp_path / "status").stat().st_size > agent.LARGEST
    assert (len(listing.packages), len(listing.held)) == (1001, 1000)
    assert Package("dpkg", "base", "12.4", "amd64", "base", "12.4") in listing.packages
    monkeypatch.setattr(agent, "DPKG_STATUS", str(tmp_path / "none"))
    monkeypatch.setattr(agent, "DPKG_STATUS_D", f"{tmp_path}/none/*")
    assert agent.dpkg_status() is None


def test_both_collectors_read_the_same_of_dpkg_s_files(collector, host):
    host.tool("dpkg-query", "broken", code=1)

    shown = host.run(collector, "report", "--dry-run")

    sections = json.loads(shown.stdout)["sections"]
    assert sections.get("dpkg-status") == agent.dpkg_status()
    assert "dpkg" not in sections


@pytest.mark.parametrize("awk", [name for name in (*AWKS, "busybox") if shutil.which(name)])
def test_every_awk_writes_the_same_json(host, awk):
    (host.bin / "awk").write_text(
        f'#!/bin/sh\nexec {awk}{" awk" if awk == "busybox" else ""} "$@"\n'
    )
    (host.bin / "awk").chmod(0o755)
    every = "".join(chr(code) for code in range(1, 128)) + NASTY
    for number, text in enumerate(("", "x", every)):
        host.tool("dpkg-query", text)

        shown = host.run("sh", "report", "--dry-run").stdout

        assert json.loads(shown)["sections"]["dpkg"] == text, number


def test_both_make_the_digest_that_the_service_makes(any_collector, host, service):
    host.tool("dpkg-query", "openssl\t1\tamd64\topenssl\t1\tinstall ok installed\n")
    host.tool("apt-mark", NASTY)
    host.enrol(any_collector, service.address, service.key())

    done = host.report(any_collector)

    assert done.returncode == 0, done.stderr
    (path, body) = service.sent[-1]
    document = json.loads(body)
    digest = documents.digest(document["host"], document["sections"]).hex()
    assert path.endswith(f"digest={digest}")
    content = {"host": document["host"], "sections": document["sections"]}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(canonical.encode()).hexdigest() == digest


def test_a_password_of_a_repository_stays_on_the_host(collector, host):
    host.tool("apt", "Listing...\ncurl/stable 2 amd64 [upgradable from: 1]\n")
    host.tool("apt-cache", "curl:\n  500 https://me:secret@apt.example/debian stable/main\n")

    shown = host.run(collector, "report", "--dry-run")

    policy = json.loads(shown.stdout)["sections"]["apt-policy"]
    assert policy == "curl:\n  500 https://apt.example/debian stable/main\n"


def test_what_is_no_text_becomes_text(collector, host):
    host.tool("dpkg-query", b"a\xff\xfeb\0c \xc3\xa9\n\xe6")

    shown = host.run(collector, "report", "--dry-run")

    text = json.loads(shown.stdout)["sections"]["dpkg"]
    assert text[0] == "a"
    assert "bc é\n" in text
    assert "\0" not in text


def test_it_runs_on_without_enrolment_only_to_show(collector, host):
    refused = host.report(collector)

    assert refused.returncode == 2
    assert "not enrolled yet" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_a_token_that_is_no_good_is_refused_in_one_line(collector, host, service):
    refused = host.enrol(collector, service.address, "pme_nonsense")

    assert refused.returncode == 1
    assert "refused (401" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert not host.state.exists()


def test_a_report_that_cannot_be_read_says_what_the_service_says(collector, host, service):
    host.enrol(collector, service.address, service.key())
    host.tool("dpkg-query", "this is not a listing\n")

    refused = host.report(collector)

    assert refused.returncode == 2
    assert "not taken (422" in refused.stderr


def test_a_refused_machine_names_the_remedy(collector, host, service):
    host.enrol(collector, service.address, service.key())
    state = json.loads(host.state.read_text())
    host.state.write_text(json.dumps(state | {"host_id": state["host_id"] + 1}))

    refused = host.report(collector)

    assert refused.returncode == 1
    assert "refused (403: this token speaks for web-1 only)" in refused.stderr


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        ((503, {"Retry-After": "0"}, b'{"detail": "too much"}'), 75, "later (503: too much)"),
        ((429, {"Retry-After": "0"}, b"{}"), 75, "later (429"),
        ((500, {}, b"{}"), 75, "not taken (500"),
        ((302, {"Location": "http://127.0.0.1:9/"}, b""), 2, "use that address"),
        ((200, {}, b"<html>"), 2, "does not answer as patchmgr does"),
        ((404, {}, b"<html>"), 2, "not taken (404"),
        ((200, {}, b"[]"), 2, "does not answer as patchmgr does"),
        ((200, {"Content-Length": "500"}, b'{"id": 7, "host'), 75, "does not answer"),
        ((503, {"Retry-After": "\xb2"}, b"{}"), 75, "later (503"),
        ((413, {}, b"<html>"), 2, "what stands before the service must take 32 MiB"),
        ((507, {}, b"{}"), 75, "not taken (507"),
    ],
)
def test_what_a_server_may_answer_has_a_code(collector, host, posted, answer, code, said):
    posted.answer(answer)

    done = host.run(
        *(collector, "enrol", "--server", posted.url(""), "--token", "pme_x", "--tries", "1"),
        *("--state", str(host.state)),
    )

    assert done.returncode == code, done.stderr
    assert said in done.stderr.replace("another address; use that one", "use that address")
    assert len(posted.asked) == 1


def test_it_comes_again_when_it_is_told_to(collector, host, posted):
    later = (503, {"Retry-After": "0"}, b"{}")
    good = (201, {}, b'{"id":7,"host":"web-1","token":"pmh_x"}')
    posted.answer(later, good)

    done = host.run(
        *(collector, "enrol", "--server", posted.url(""), "--token", "pme_x"),
        *("--state", str(host.state)),
    )

    assert done.returncode == 0, done.stderr
    assert len(posted.asked) == 2
    assert json.loads(host.state.read_text())["host_id"] == 7


def test_where_there_is_no_room_no_half_report_is_sent_and_no_token_spent(
    any_collector, host, service
):
    key = service.key()
    refused = host.without_room(
        any_collector, "enrol", "--server", service.address, "--token", "-", said=f"{key}\n"
    )
    assert refused.returncode == 2
    assert "cannot be written" in refused.stderr
    assert not list(host.state.parent.iterdir())
    assert host.enrol(any_collector, service.address, key).returncode == 0
    service.sent.clear()
    host.tool("dpkg-query", "".join(f"p{n}\t1\tall\tp\t1\tinstalled\n" for n in range(5000)))

    sent = host.without_room(any_collector, "report", "--once")

    if any_collector == "python":  # needs no files
        assert sent.returncode == 0, sent.stderr
    else:
        assert (sent.returncode, service.sent) == (75, [])
        assert "is there no room?" in sent.stderr


def test_a_dry_run_shows_the_name_that_would_be_sent(collector, host, service):
    host.enrol(collector, service.address, service.key())

    shown = host.run(collector, "report", "--dry-run", "--state", str(host.state))

    assert json.loads(shown.stdout)["host"]["hostname"] == "web-1"


def test_what_goes_to_this_machine_goes_by_no_proxy(collector, host, service):
    host.enrol(collector, service.address, service.key())

    sent = host.run(
        *(collector, "report", "--once", "--state", str(host.state)),
        http_proxy="http://127.0.0.1:9",  # nobody listens there
    )

    assert sent.returncode == 0, sent.stderr


@pytest.fixture
def posted(server, monkeypatch):
    """A server that answers posts to the enrolment address as a test says."""
    handler = server.RequestHandlerClass

    def do_post(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.path = "/data/json"
        self.do_GET()

    monkeypatch.setattr(handler, "do_POST", do_post, raising=False)
    return server


def test_nobody_there_is_for_later(collector, host):
    done = host.run(
        *(collector, "enrol", "--server", "http://127.0.0.1:9", "--token", "pme_x"),
        *("--state", str(host.state), "--tries", "1"),
    )

    assert done.returncode == 75
    assert "does not answer" in done.stderr


@pytest.mark.parametrize("server", ["http://patchmgr.example", "ftp://x", "patchmgr.example", ""])
def test_a_token_goes_by_tls_only(collector, host, server):
    done = host.run(collector, "enrol", "--server", server, "--token", "pme_x")

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_certificates_that_are_not_there_are_named(collector, host):
    done = host.run(
        *(collector, "enrol", "--server", "https://127.0.0.1:9", "--token", "pme_x"),
        *("--ca", "/nowhere.pem", "--state", str(host.state)),
    )

    assert done.returncode == 2
    assert "/nowhere.pem" in done.stderr


def test_words_that_it_does_not_know_are_bad_input(collector, host):
    assert host.run(collector, "report", "--colour").returncode == 2
    assert host.run(collector).returncode == 2
    assert host.run(collector, "--help").returncode == 0


# The Python one alone


def test_it_is_of_python_3_6_and_the_standard_library_alone():
    text = (FOLDER / "agent.py").read_text()
    tree = ast.parse(text, feature_version=(3, 6))
    imported = {
        name.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for name in node.names
    } | {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    newer = r"capture_output|removeprefix|removesuffix|\btext="

    assert imported <= sys.stdlib_module_names
    assert not re.search(newer, text)
    assert not any(isinstance(node, (ast.JoinedStr, ast.NamedExpr)) for node in ast.walk(tree))


def test_its_waiting_is_spread_and_always_the_same():
    assert agent.spread(3600) == agent.spread(3600)
    assert 0 <= agent.spread(3600) < 3600
    assert agent.spread(0) == agent.spread(1) == 0


def test_it_waits_as_the_service_says_and_no_longer_than_it_must():
    waits, answers = [], [7, None, None]

    def call():
        if answers:
            raise agent.LaterError("busy", answers.pop(0))
        return {"done": True}

    assert agent.trying(call, 5, waits.append) == {"done": True}
    assert 7 <= waits[0] <= 7 * 1.5 + 1
    assert agent.FIRST_WAIT <= waits[1] <= waits[2] * 1.5
    assert agent.wait_of("86400") == agent.LONGEST_WAIT
    assert agent.wait_of("Wed, 21 Oct") is None
    with pytest.raises(agent.LaterError):
        agent.trying(lambda: (_ for _ in ()).throw(agent.LaterError("busy")), 2, waits.append)


def test_a_command_that_hangs_or_floods_is_ended(monkeypatch, capsys):
    monkeypatch.setattr(agent, "PATIENCE", 0.2)
    monkeypatch.setattr(agent, "LARGEST", 1000)

    assert agent.run(("sh", "-c", "sleep 60 & wait")) == (124, None)
    assert agent.run(("sh", "-c", "yes")) == (124, None)
    assert agent.run(("sh", "-c", "echo done; exit 3")) == (3, "done\n")
    assert agent.run(("/nowhere/at-all",)) == (127, None)
    assert capsys.readouterr().err.count("left out") == 2


def test_files_of_the_kernel_are_read_though_they_refuse_large_reads():
    assert re.fullmatch(r"[0-9a-f-]{36}\n", agent.first_of(agent.BOOT_ID))


def test_a_section_that_is_too_large_is_left_out_whole(monkeypatch, capsys):
    monkeypatch.setattr(agent, "LARGEST", 3)
    sections = {}

    for name, text in (("short", "abc"), ("long", "abcd"), ("none", None)):
        agent.keep(sections, name, text)

    assert sections == {"short": "abc"}
    assert "section long" in capsys.readouterr().err


def test_a_damaged_token_file_is_said(tmp_path):
    for text in ("", "{}", "[]", '{"server": "x", "token": "y", "host_id": "z"}'):
        (tmp_path / "token.json").write_text(text)
        with pytest.raises(agent.AgentError, match="damaged"):
            agent.read_state(str(tmp_path / "token.json"))
