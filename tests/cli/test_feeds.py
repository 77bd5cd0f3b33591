"""`patchmgr feeds`, `advisories`, `cves` and `versions`, as scripts call them."""

import json

import pytest
from click.testing import CliRunner

from patchmgr.cli import main
from patchmgr.cli.app import App
from patchmgr.domain.versions import SCHEMES
from patchmgr.feeds import FEEDS


@pytest.fixture
def run(tmp_path, server):
    """Run a command; return exit code, standard output and standard error."""
    environ = {"PATCHMGR_HOME": str(tmp_path / "home"), "PATCHMGR_DEBIAN_URL": server.url()}

    def call(*arguments, stdin=None):
        result = CliRunner().invoke(main, arguments, input=stdin, obj=App(environ))
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result.exit_code, result.stdout, result.stderr

    return call


@pytest.fixture
def tracker(tmp_path):
    path = tmp_path / "tracker.json"
    release = {"status": "resolved", "fixed_version": "1.2-3", "urgency": "high"}
    path.write_text(json.dumps({"openssl": {"CVE-2026-1000": {"releases": {"bookworm": release}}}}))
    return path


@pytest.mark.parametrize(
    ("a", "b", "answer"), [("1.0~rc1", "1.0", "<"), ("1.0", "0:1.0-0", "="), ("1.10", "1.9", ">")]
)
def test_two_versions_are_compared(run, a, b, answer):
    assert run("versions", "compare", "dpkg", a, b) == (0, f"{answer}\n", "")


def test_pairs_are_answered_line_by_line(run):
    code, out, err = run(
        "versions", "compare", "dpkg", "-", stdin="1\t2\n2\t1-\n\n1\t1-0\r\n1\t2\t3\n3\t2"
    )

    assert (code, out) == (2, "<\n?\n?\n=\n?\n>\n")
    assert err.splitlines() == [
        "patchmgr: line 2: '1-' is not a dpkg version",
        "patchmgr: line 3: '' is not two versions with a tab between them",
        "patchmgr: line 5: '2\\t3' is not a dpkg version",
    ]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_compares_a_pair_and_a_list_of_them(run, scheme):
    assert run("versions", "compare", scheme, "1.2", "1.10") == (0, "<\n", "")
    assert run("versions", "compare", scheme, "-", stdin="1.2\t1.10\n2\t2\n") == (0, "<\n=\n", "")


def test_pairs_without_fault_end_well(run):
    assert run("versions", "compare", "dpkg", "-", stdin="1\t2\n") == (0, "<\n", "")
    assert run("versions", "compare", "dpkg", "-", stdin="") == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("dpkg", "1", "1-"), "'1-' is not a dpkg version"),
        (("dpkg", "", "1"), "'' is not a dpkg version"),
        (("dpkg", "-1", "1"), "'-1' is not a dpkg version"),
        (
            ("nix", "1", "1"),
            f"unknown version scheme 'nix'; known: {', '.join(sorted(SCHEMES))}",
        ),
        (("dpkg", "1"), "give two versions, or - to read pairs from the standard input"),
    ],
)
def test_what_cannot_be_compared_is_bad_input(run, arguments, error):
    assert run("versions", "compare", *arguments) == (2, "", f"patchmgr: {error}\n")


def named(feed, lines):
    (line,) = (each for each in json.loads(lines) if each["name"] == feed)
    return line


def test_a_feed_is_read_from_a_file_and_shown(run, tracker):
    code, out, err = run("feeds", "sync", "debian", "--from", str(tracker))
    assert (code, err) == (0, "")
    assert out == "debian: 1 advisories with 1 statements; 1 new, 0 changed, 0 withdrawn\n"
    assert run("feeds", "sync", "debian", "--from", str(tracker))[1] == (
        "debian: unchanged, 1 advisories\n"
    )

    listed = named("debian", run("feeds", "list", "--json")[1])
    status = named("debian", run("feeds", "status", "--json")[1])

    assert (listed["name"], listed["state"], listed["advisories"]) == ("debian", "ok", 1)
    assert (status["stale"], status["fixes"], status["error"]) == (False, 1, "")


def test_an_advisory_and_a_cve_are_shown(run, tracker):
    run("feeds", "sync", "debian", "--from", str(tracker))

    shown = json.loads(run("advisories", "show", "CVE-2026-1000", "--json")[1])
    by_cve = json.loads(run("cves", "show", "cve-2026-1000", "--json")[1])

    (statement,) = shown["statements"]
    assert (statement["package"], statement["fixed"], statement["severity"]) == (
        "openssl",
        "1.2-3",
        "high",
    )
    assert by_cve["advisories"] == [shown]
    assert (
        "debian:12  openssl  source  affected  1.2-3  high"
        in run("advisories", "show", "CVE-2026-1000")[1]
    )


def test_what_is_not_there_is_said_so(run):
    assert run("advisories", "show", "DSA-1") == (1, "", "patchmgr: no advisory 'DSA-1'\n")
    assert run("cves", "show", "CVE-1") == (1, "", "patchmgr: no advisory about CVE 'CVE-1'\n")


def test_the_network_is_asked_without_a_file(run, server, tracker):
    server.answer((200, {}, tracker.read_bytes()))
    for other in ("epss", "kev"):  # which every fleet needs
        run("feeds", "disable", other)

    (result,) = json.loads(run("feeds", "sync", "--json")[1])

    assert (result["feed"], result["changed"], result["counts"]["new"]) == ("debian", True, 1)


@pytest.mark.parametrize(
    ("answer", "why"),
    [((404, {}, b""), "the server says 404 Not Found"), ((200, {}, b"<html>"), "a page of HTML")],
)
def test_a_feed_that_fails_is_for_later(run, server, answer, why):
    server.answer(answer)

    code, out, err = run("feeds", "sync", "debian")

    assert (code, out) == (75, "")
    assert err.startswith(f"patchmgr: feed debian: {server.url()}: ")
    assert why in err
    assert why in run("feeds", "status")[1]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("nix",), f"no feed 'nix'; known: {', '.join(sorted(FEEDS))}"),
        (("debian", "--from", "/nowhere"), "/nowhere: no such file or directory"),
        (("--from", "/nowhere"), "--from /nowhere needs the name of one feed, such as debian"),
        (("debian", "--platform", "x"), "'x' is not a platform such as debian:12"),
    ],
)
def test_a_wrong_call_is_bad_input(run, arguments, error):
    assert run("feeds", "sync", *arguments) == (2, "", f"patchmgr: {error}\n")


def test_a_bad_file_is_bad_input(run, tracker):
    tracker.write_text('{"openssl": {"CVE')

    code, out, err = run("feeds", "sync", "debian", "--from", str(tracker))

    assert (code, out) == (2, "")
    assert err.startswith(f"patchmgr: {tracker}: not whole JSON: ")


def test_a_feed_that_no_host_needs_is_idle_and_says_what_would_wake_it(run):
    idle = named("ubuntu", run("feeds", "list", "--json")[1])

    assert (idle["state"], idle["why"]) == ("idle", "no host needs it: it is for ubuntu")
    assert "no host needs it: it is for ubuntu" in run("feeds", "status")[1]


def test_a_sync_of_a_feed_without_an_address_says_what_to_do(run):
    code, out, err = run("feeds", "sync", "ubuntu")

    assert (code, out) == (2, "")
    assert err == (
        "patchmgr: feed ubuntu: no host needs it: it is for ubuntu, so there is nothing to fetch; "
        "give --from FILE or set PATCHMGR_UBUNTU_URL\n"
    )


def test_a_feed_that_shrinks_is_refused_until_it_is_accepted(run, server, tracker):
    release = {"releases": {"bookworm": {"status": "open"}}}
    many = json.dumps({"p": {f"CVE-2026-100{n}": release for n in range(5)}})
    server.answer((200, {}, many.encode()))
    run("feeds", "sync", "debian")
    server.answer((200, {}, tracker.read_bytes()))

    code, out, err = run("feeds", "sync", "debian")

    assert (code, out) == (1, "")
    assert err == (
        "patchmgr: feed debian: it would shrink from 5 to 1 advisories, by more than 20 %, so it "
        "is held and what it said before stays; if that is right, confirm it: "
        "patchmgr feeds sync debian --accept-smaller\n"
    )
    held = named("debian", run("feeds", "status", "--json")[1])
    assert (held["state"], held["held"], held["advisories"]) == ("held", {"advisories": [5, 1]}, 5)
    accepted = run("feeds", "sync", "debian", "--accept-smaller")
    assert accepted[:2] == (
        0,
        "debian: 1 advisories with 1 statements; 0 new, 1 changed, 4 withdrawn\n",
    )


def test_what_is_accepted_has_to_be_named(run):
    assert run("feeds", "sync", "--accept-smaller")[0] == 2


def test_the_status_says_where_a_feed_comes_from_and_how_often(run, server, tracker):
    server.answer((200, {}, tracker.read_bytes()))
    run("feeds", "sync", "debian")

    status = named("debian", run("feeds", "status", "--json")[1])

    assert (status["mirror"], status["addresses"]) == (server.url(), [server.url()])
    assert (status["hours"], status["set_aside_examples"], status["skipped"]) == (6, [], {})
    assert len(status["digest"]) == 64
