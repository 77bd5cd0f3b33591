"""`patchmgr plans`, `windows` and `freezes`, as scripts and people call them."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from patchmgr.cli import main
from patchmgr.cli.app import App
from patchmgr.domain import rings as ring_settings

DOCS = Path(__file__).parents[2] / "docs"
HOSTS = "hostname,os_id,os_release,ring\nc1,debian,12,canary\nb1,debian,12,\n"
PACKAGES = (
    "hostname,manager,name,version,arch,source,source_version\n"
    "c1,dpkg,curl,{},amd64,,\n"
    "b1,dpkg,curl,{},amd64,,\n"
)
TRACKER = {
    "curl": {
        "CVE-2026-2001": {
            "releases": {
                "bookworm": {
                    "status": "resolved",
                    "fixed_version": "7.88.1-10+deb12u9",
                    "urgency": "high",
                    "repositories": {"bookworm": "7.88.1-10+deb12u9"},
                }
            }
        }
    }
}
RINGS = '[[rings]]\nname = "canary"\nfields = {ring = "canary"}\n[[rings]]\nname = "rest"\n'


@pytest.fixture
def run(tmp_path):
    """Run a command; return exit code, standard output and standard error."""
    environ = {"PATCHMGR_HOME": str(tmp_path / "home")}

    def call(*arguments, stdin=None):
        words = [str(word) for word in arguments]
        result = CliRunner().invoke(main, words, input=stdin, obj=App(environ))
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result.exit_code, result.stdout, result.stderr

    return call


@pytest.fixture
def file(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.fixture
def fleet(run, file):
    """Two hosts with a finding each, and an approver."""
    run("hosts", "import", file("hosts.csv", HOSTS))
    old = "7.88.1-10+deb12u8"
    run("packages", "import", file("packages.csv", PACKAGES.format(old, old)))
    run("feeds", "sync", "debian", "--from", file("tracker.json", json.dumps(TRACKER)))
    run("scan")
    code, _, error = run(
        "users", "add", "bob", "--role", "approver", "--password-stdin",
        stdin="correct horse battery\n",
    )  # fmt: skip
    assert (code, error) == (0, "")


def shown(run, plan_id="1"):
    code, out, _ = run("plans", "show", plan_id, "--json")
    assert code == 0
    return json.loads(out)


def test_what_is_phased_is_said_of_a_plan(run, file, fleet):
    stanza = (
        "Package: curl\nVersion: 7.88.1-10+deb12u9\nArchitecture: amd64\n"
        "Phased-Update-Percentage: 20\n"
    )
    archive = ("feeds", "sync", "archive", "--from", file("Packages", stanza))
    assert run(*archive, "--platform", "debian:12")[0] == 0
    run("plans", "create", "--rings", file("rings.toml", RINGS))

    said = "curl 7.88.1-10+deb12u9 (20 % of hosts)"
    assert shown(run)["summary"]["phased"] == [said]
    assert f"phased, so not offered to every host yet: {said}\n" in run("plans", "show", 1)[1]


def test_a_plan_from_the_shell_to_its_end(run, file, fleet):
    assert run("plans", "create", "--rings", file("rings.toml", RINGS)) == (0, "1\n", "")
    assert run("plans", "propose", 1) == (0, "plan 1 is proposed\n", "")
    code, _, error = run("plans", "approve", 1)
    assert (code, "somebody else must approve it" in error) == (1, True)
    content = shown(run)["content_hash"]
    said = f"to approve this: patchmgr plans approve 1 --hash {content}\n"
    assert said in run("plans", "show", 1)[1]
    code, out, _ = run("plans", "approve", 1, "--as", "bob")
    assert "  bob approved, " in run("plans", "show", 1)[1]
    how = "as it is stored; --hash names what you looked at"
    assert (code, out) == (0, f"plan 1 is approved\napproved content {content}, {how}\n")
    assert run("plans", "start", 1) == (0, "plan 1 is running\n", "")

    code, out, _ = run("plans", "export", 1, "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(out))
    assert (row["host"], row["to"], row["match"]) == ("c1", "7.88.1-10+deb12u9", "source")
    assert run("plans", "results", 1, "-", stdin="host,result\nc1,installed\n") == (
        0,
        "1 taken, 0 said nothing new\n",
        "",
    )
    new = "7.88.1-10+deb12u9"
    run("packages", "import", file("packages.csv", PACKAGES.format(new, "7.88.1-10+deb12u8")))
    assert json.loads(run("plans", "tick", "--json")[1])["dispatched"] == 1
    run("packages", "import", file("packages.csv", PACKAGES.format(new, new)))
    run("plans", "tick")

    plan = shown(run)
    assert plan["state"] == "completed"
    assert [(ring["name"], ring["state"], ring["counts"]) for ring in plan["rings"]] == [
        ("canary", "passed", {"verified": 1}),
        ("rest", "passed", {"verified": 1}),
    ]
    assert {task["host"]: task["state"] for task in plan["tasks"]} == {
        "b1": "verified",
        "c1": "verified",
    }
    assert len(plan["content_hash"]) == 64


def test_create_says_the_plan_as_json(run, fleet):
    code, out, _ = run("plans", "create", "--cve", "CVE-2026-2001", "--title", "curl", "--json")
    plan = json.loads(out)

    assert (code, plan["id"], plan["title"], plan["state"]) == (0, 1, "curl", "draft")
    assert json.loads(run("plans", "list", "--json")[1])[0]["id"] == 1
    assert "plan 1: curl" in run("plans", "show", 1)[1]


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("create", "--cve", "CVE-1"), 1, "no CVE 'CVE-1'"),
        (("create", "--host", "nobody"), 1, "no host 'nobody'"),
        (("create", "--advisory", "DSA-1"), 1, "no advisory 'DSA-1'"),
        (("create", "--policy", "mine"), 2, "there is no policy 'mine'; no planning policy"),
        (
            ("create", "--policy", "pci-dss-6.3.3"),
            2,
            "'pci-dss-6.3.3' is not in force, 'severity' is",
        ),
        (("create", "--approvals", "0"), 2, "approvals: from 1 to 5"),
        (("create", "--all", "--host", "c1"), 2, "takes no other selection"),
        (("create", "--rings", "nowhere.toml"), 2, "No such file"),
        (("create", "--as", "nobody"), 1, "no user 'nobody'"),
        (("show", "7"), 1, "no plan 7"),
        (("start", "7"), 1, "no plan 7"),
        (("export", "7", "--format", "csv"), 1, "no plan 7"),
        (("results", "7", "nowhere.csv"), 2, "No such file"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(run, fleet, arguments, code, complaint):
    ended, out, error = run("plans", *arguments)

    assert (ended, out) == (code, "")
    assert complaint in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("r.toml", "[[rings]\n", "cannot be read"),
        ("r.json", "{", "cannot be read"),
        ("r.toml", '[[rings]]\nname = "a"\nsoak = "soon"\n', "is not a duration"),
        ("r.toml", '[[rings]]\nname = "a"\nspeed = 1\n', "no such ring setting"),
        ("r.toml", '[[rings]]\nname = "a"\nwindow = "w"\n', "there is no maintenance window 'w'"),
    ],
)
def test_a_rings_file_that_cannot_be_is_refused(run, file, fleet, name, text, complaint):
    code, _, error = run("plans", "create", "--rings", file(name, text))

    assert code == 2
    assert complaint in error


def test_a_ring_settings_file_may_be_json(run, file, fleet):
    text = json.dumps([{"name": "canary", "percent": 50}, {"name": "rest"}])

    assert run("plans", "create", "--rings", file("rings.json", text))[0] == 0
    assert [ring["hosts"] for ring in shown(run)["rings"]] == [1, 1]


def test_stopping_needs_a_reason(run, fleet):
    run("plans", "create")

    assert run("plans", "cancel", 1)[0] == 2
    assert run("plans", "cancel", 1, "--reason", "never mind") == (0, "plan 1 is cancelled\n", "")
    assert run("plans", "start", 1)[0] == 1


def test_an_edit_says_what_changed(run, file, fleet):
    run("plans", "create", "--rings", file("rings.toml", RINGS))
    other = RINGS.replace('"canary"}', '"canary"}\nsoak = "1h"')
    code, out, _ = run("plans", "edit", 1, "--rings", file("rings.toml", other))

    assert (code, out) == (0, "ring canary: soak 0m -> 1h\nring canary: min_soak 0m -> 15m\n")
    same = json.loads(run("plans", "edit", 1, "--approvals", 1, "--json")[1])
    assert {name: value for name, value in shown(run).items() if name in same} == same


def test_an_export_goes_where_it_is_told(run, tmp_path, fleet):
    run("plans", "create")
    code, out, _ = run(
        "plans", "export", 1, "--format", "ansible", "--whole", "--out", tmp_path / "p.zip"
    )

    assert (code, out) == (0, f"{tmp_path / 'p.zip'}: 2 hosts\n")
    assert (tmp_path / "p.zip").read_bytes().startswith(b"PK")


def test_windows_and_freezes(run):
    added = run(
        "windows", "add", "night", "--rrule", "FREQ=DAILY;BYHOUR=2", "--duration", "PT4H",
        "--zone", "Europe/Berlin",
    )  # fmt: skip
    assert added == (0, "added window night\n", "")
    (window,) = json.loads(run("windows", "list", "--json")[1])
    assert (window["name"], window["duration"], window["zone"]) == ("night", "4h", "Europe/Berlin")

    frozen = run(
        "freezes", "add", "f", "--from", "2026-12-20", "--until", "2027-01-04", "--reason", "year"
    )
    assert frozen[0] == 0
    (freeze,) = json.loads(run("freezes", "list", "--json")[1])
    assert freeze["reason"] == "year"
    assert (freeze["starts"], freeze["ends"]) == ("2026-12-20T00:00:00Z", "2027-01-04T23:59:59Z")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--rrule", "FREQ=MINUTELY", "--duration", "4h"), "needs FREQ="),
        (("--rrule", "FREQ=DAILY", "--duration", "soon"), "duration: 'soon' is not a duration"),
        (("--rrule", "FREQ=DAILY", "--duration", "9d"), "shorter than 7 days"),
        (("--rrule", "FREQ=DAILY", "--duration", "4h", "--zone", "Mars"), "no IANA time zone"),
    ],
)
def test_a_window_that_cannot_be_is_refused(run, arguments, complaint):
    code, _, error = run("windows", "add", "w", *arguments)

    assert code == 2
    assert complaint in error


def test_the_documented_ring_settings_are_the_ones_there_are():
    text = (DOCS / "plans.md").read_text()
    table = text[text.index("| setting |") : text.index("Durations are")]
    rows = [line for line in table.splitlines() if line.startswith("|")]
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}

    assert documented == set(ring_settings.SETTINGS)


def test_the_documented_rings_file_can_be_used(run, file, fleet):
    text = (DOCS / "plans.md").read_text()
    example = re.search(r"```toml\n(.*?)```", text, re.DOTALL)[1]
    run("windows", "add", "sunday-night", "--rrule", "FREQ=WEEKLY;BYDAY=SU", "--duration", "4h")

    assert run("plans", "create", "--rings", file("rings.toml", example))[0] == 0


POLICY = """\
kind = "planning"
name = "monthly"
targets = "at-least"
[[rings]]
name = "canary"
representative = 1
[[rings]]
name = "rest"
[[groups]]
by = "ring"
max_unavailable = "50%"
"""


def test_policies_holds_and_decisions_from_the_shell(run, file, fleet):
    assert run("policies", "import", file("monthly.toml", POLICY)) == (
        0,
        "planning policy monthly is at version 1\n",
        "",
    )
    assert 'kind = "planning"' in run("policies", "export", "monthly")[1]
    assert run("policies", "show", "monthly")[1].splitlines() == [
        'kind = "planning"',
        'name = "monthly"',
        "version = 1",
        'targets = "at-least"',
        *("", "[[rings]]", 'name = "canary"', "representative = 1"),
        *("", "[[rings]]", 'name = "rest"'),
        *("", "[[groups]]", 'name = "ring"', 'by = "ring"', 'max_unavailable = "50%"'),
    ]
    assert json.loads(run("policies", "export", "severity", "--format", "json")[1])["kind"] == "sla"
    assert run("policies", "export", "none")[0] == 1
    code, _, error = run("policies", "import", file("bad.toml", 'kind = "planning"'))
    assert (code, "bad.toml" in error, "needs a name" in error) == (2, True, True)
    assert run("policies", "propose", "--json") == (0, "[]\n", "")
    first = run("policies", "export", "monthly")[1]
    run("policies", "import", file("two.toml", first.replace("at-least", "exact")))
    assert [
        one["version"] for one in json.loads(run("policies", "versions", "monthly", "--json")[1])
    ] == [2, 1]
    assert run("policies", "export", "monthly", "--version", "1") == (0, first, "")
    assert "at-least" in run("policies", "show", "monthly", "--version", "1")[1]
    assert (
        "no planning policy 'monthly version 3'"
        in run("policies", "export", "monthly", "--version", "3")[2]
    )
    run("policies", "import", "-", stdin=first)

    plan = json.loads(run("plans", "create", "--policy", "monthly", "--json")[1])
    assert (plan["policy"], plan["terms"]["targets"]) == ("monthly 3", "at-least")
    assert [group["by"] for group in plan["groups"]] == ["ring"]
    missing = run("plans", "create", "--policy", "weekly")
    assert (missing[0], "planning policies are 'monthly'" in missing[2]) == (2, True)
    both = run("plans", "create", "--policy", "monthly", "--approvals", 2)
    assert (both[0], "says rings, groups, approvals and versions itself" in both[2]) == (2, True)
    said = run("plans", "show", 1)[1]
    assert "1 host covers 100 % of 1 changes" in said
    assert "first time this change is made here" in said

    newer = run("plans", "create", "--approver", "bob", "--approval-valid", "48h", "--include-held")
    assert newer == (0, "2\n", "")
    assert "patchmgr plans supersede 2 1" in run("plans", "show", 2)[1]
    assert run("plans", "supersede", 2, 1) == (0, "plan 1 is superseded\n", "")
    edited = run("plans", "edit", 2, "--targets", "at-least")
    assert edited == (0, "target versions exact -> at-least\n", "")
    code, _, error = run("plans", "start", 2, "--break-glass")
    assert (code, "say why" in error) == (2, True)
    assert run("plans", "start", 2, "--break-glass", "--reason", "now") == (
        0,
        "plan 2 is running\n",
        "",
    )
    assert "not reviewed yet" in run("plans", "show", 2)[1]
    assert run("plans", "review", 2, "--reason", "fine")[0] == 1  # whoever started it
    assert run("plans", "review", 2, "--reason", "fine", "--as", "bob")[0] == 0
    assert "reviewed by bob: fine" in run("plans", "show", 2)[1]

    added = run("holds", "add", "curl", "--version", ">=7.88", "--reason", "leaks")
    assert added == (0, "hold 1 on curl >=7.88 is in force\n", "")
    assert json.loads(run("holds", "list", "--json")[1])[0]["reason"] == "leaks"
    assert "known to be bad (hold 1: leaks)" in run("plans", "show", 2)[1]
    code, _, error = run("plans", "create")
    assert (code, "known to be bad" in error) == (1, True)
    assert run("holds", "confirm", 1)[0] == 1
    assert run("holds", "revoke", 1, "--reason", "fixed") == (0, "hold 1 is revoked\n", "")


def test_groups_forecasts_and_what_people_overrule(run, file, fleet):
    groups = '[[groups]]\nname = "pair"\nhosts = ["c1", "b1"]\n'
    run("plans", "create", "--rings", file("rings.toml", RINGS + groups))
    assert [group["name"] for group in shown(run)["groups"]] == ["pair"]

    code, out, _ = run("plans", "forecast", 1, "--json", "--soak", "1h")
    made = json.loads(out)
    assert code == 0
    assert [ring["name"] for ring in made["rings"]] == ["canary", "rest"]
    assert made["starts"] < made["ends"]
    assert [one["hosts"] for one in made["compliance"]] == [2, 1, 0]
    assert "no maintenance window" in run("plans", "forecast", 1, "--window", "w")[2]
    assert "soak: 'x' is not a duration" in run("plans", "forecast", 1, "--soak", "x")[2]
    assert "ends 2" in run("plans", "forecast", 1)[1]
    code, log, _ = run("simulate", 1, "--json")
    kinds = [json.loads(line)["kind"] for line in log.splitlines()]
    assert (code, kinds.count("verified"), kinds[-1]) == (0, 2, "ended")

    run("plans", "propose", 1)
    run("plans", "approve", 1, "--as", "bob")
    run("plans", "start", 1)
    run("plans", "results", 1, "-", stdin="host,result\nc1,failed\n")
    assert shown(run)["state"] == "halted"
    assert run("plans", "acknowledge", 1, "--host", "c1")[0] == 2  # without a reason
    assert run("plans", "acknowledge", 1, "--host", "c1", "--reason", "known")[0] == 0
    assert shown(run)["state"] == "halted"
    assert run("plans", "acknowledge", 1, "--reason", "go on")[0] == 0
    assert run("plans", "roll-back", 1, "c1", "--reason", "slow")[0] == 0
    (back,) = csv.DictReader(
        io.StringIO(run("plans", "export", 1, "--format", "csv", "--rollback")[1])
    )
    assert (back["host"], back["to"]) == ("c1", "7.88.1-10+deb12u8")
    assert run("plans", "skip-ring", 1, "rest", "--reason", "no time", "--as", "bob")[0] == 0
    assert shown(run)["state"] == "completed_with_failures"
