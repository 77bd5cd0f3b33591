"""Work as files: exact, harmless in a spreadsheet, and a playbook that says what it may do."""

import csv
import io
import json
import re
import subprocess
import zipfile

import pytest
import yaml

from patchmgr.domain.advisories import Match
from patchmgr.domain.plans import WorkLine
from patchmgr.domain.terms import Targets
from patchmgr.errors import InputError
from patchmgr.execution import ansible, manual
from patchmgr.execution.results import read


def line(host="web1", package="openssl", **more) -> WorkLine:
    values = {
        "plan": 7,
        "ring": "canary",
        "arch": "amd64",
        "from_version": "3.0.15-1~deb12u1",
        "to_version": "3.0.17-1~deb12u2",
        "match": Match.SOURCE,
        "source": "openssl",
        "attempt": 1,
        "state": "leased",
    } | more
    return WorkLine(host=host, package=package, **values)


WORK = [line(), line(package="libssl3"), line(host="db1", ring="Early 2", match=Match.BINARY)]


def test_the_csv_has_a_row_per_host_and_package():
    rows = list(csv.DictReader(io.StringIO(manual.work_csv(WORK))))

    assert rows[0] == {
        "plan": "7",
        "ring": "canary",
        "host": "web1",
        "package": "openssl",
        "arch": "amd64",
        "from": "3.0.15-1~deb12u1",
        "to": "3.0.17-1~deb12u2",
        "attempt": "1",
        "state": "leased",
        "match": "source",
        "source": "openssl",
        "targets": "at-least",
    }
    assert [row["host"] for row in rows] == ["web1", "web1", "db1"]


@pytest.mark.parametrize("evil", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx"])
def test_no_cell_becomes_a_formula(evil):
    assert list(csv.reader(io.StringIO(manual.work_csv([line(ring=evil)]))))[1][1] == f"'{evil}"


def test_no_work_is_a_header():
    assert manual.work_csv([]).count("\n") == 1


def test_the_playbook_carries_its_hosts_by_ring():
    hosts, upgrade, results = yaml.safe_load(ansible.playbook(7, WORK))

    carried = hosts["vars"]["patchmgr_hosts"]
    assert [(one["host"], one["group"]) for one in carried] == [
        ("web1", "ring_canary"),
        ("db1", "ring_early_2"),
    ]
    assert carried[0]["packages"][1] == {
        "name": "libssl3",
        "to": "3.0.17-1~deb12u2",
        "match": "source",
    }
    steps = {step["name"]: step for step in upgrade["tasks"][0]["block"]}
    module = steps["Upgrade packages that are there"]["ansible.builtin.apt"]
    assert (module["only_upgrade"], module["allow_change_held_packages"]) == (True, False)
    assert "'latest'" in module["state"]
    assert upgrade["vars"]["patchmgr_exact"] is False
    assert "rescue" in upgrade["tasks"][0]
    assert results["tasks"][0]["ansible.builtin.copy"]["dest"].endswith("results-plan-7.csv")


def test_the_same_package_in_two_architectures_is_named_with_its_own():
    work = [line(package="libc6"), line(package="libc6", arch="i386")]
    hosts = yaml.safe_load(ansible.playbook(7, work))[0]["vars"]["patchmgr_hosts"]

    assert [one["name"] for one in hosts[0]["packages"]] == ["libc6:amd64", "libc6:i386"]


def test_the_inventory_says_the_same():
    document = json.loads(ansible.inventory(7, WORK))
    rings = document["all"]["children"]["patchmgr_plan_7"]["children"]

    assert set(rings) == {"ring_canary", "ring_early_2"}
    assert set(rings["ring_canary"]["hosts"]) == {"web1"}
    assert yaml.safe_load(ansible.inventory(7, WORK)) == document


@pytest.mark.parametrize("names", [("東", "京"), ("early 2", "Early-2")])
def test_each_ring_is_a_group_of_its_own_whatever_its_letters(names):
    work = [line(host=f"web{number}", ring=name) for number, name in enumerate(names)]
    rings = json.loads(ansible.inventory(7, work))["all"]["children"]["patchmgr_plan_7"]["children"]

    assert [[*group["hosts"]] for group in rings.values()] == [["web0"], ["web1"]]
    assert all(re.fullmatch("[a-z0-9_]+", name) for name in rings)


def test_the_archive_has_both_and_is_the_same_each_time():
    body = ansible.archive(7, WORK)
    with zipfile.ZipFile(io.BytesIO(body)) as packed:
        names = packed.namelist()

    assert names == ["plan-7/playbook.yml", "plan-7/inventory.yml"]
    assert body == ansible.archive(7, WORK)


@pytest.mark.parametrize("evil", ["{{ lookup('pipe', 'id') }}", "a b", "-x", "x;y", "x\ny", ""])
def test_what_ansible_could_read_as_more_than_a_word_is_refused(evil):
    for work in (line(host=evil), line(package=evil), line(to_version=evil)):
        with pytest.raises(InputError, match="cannot be written into a playbook"):
            ansible.playbook(7, [work])


def test_a_plan_without_work_is_a_playbook_without_hosts():
    assert yaml.safe_load(ansible.playbook(7, []))[0]["vars"]["patchmgr_hosts"] == []


def test_what_the_playbook_writes_can_be_read_back():
    """The template's lines, as Ansible fills them in."""
    written = (
        "host,result,attempt,reboot,output\n"
        'web1,installed,1,no,""\n'
        "db1,failed,2,no,\"Upgrade: E: broken 'packages', see log\"\n"
    )
    first, second = read(written.encode(), "results-plan-7.csv")

    assert (first.outcome.value, first.attempt) == ("installed", 1)
    assert second.output.startswith("Upgrade: E: broken")


APT = """\
Package: libssl3
Source: openssl (3.0.18-1)
Version: 3.0.18-1+b2

Package: libssl3
Source: openssl (3.0.17-1)
Version: 3.0.17-1+b1

Package: libssl3
Version: 3.0.16-1
"""


@pytest.mark.parametrize(
    ("target", "match", "found"),
    [
        ("3.0.17-1", "source", "3.0.17-1+b1"),  # a rebuild of the planned source
        ("3.0.18-1", "source", "3.0.18-1+b2"),
        ("3.0.16-1", "source", "3.0.16-1"),  # a stanza without a source is its own
        ("3.0.18-1+b2", "binary", "3.0.18-1+b2"),
        ("3.0.17-1", "binary", ""),
        ("3.0.19-1", "source", ""),
    ],
)
def test_an_exact_target_is_looked_up_among_what_the_host_is_offered(
    tmp_path, target, match, found
):
    work = [line(targets=Targets.EXACT, include_held=True)]
    _, upgrade, _ = yaml.safe_load(ansible.playbook(7, work))
    steps = {step["name"]: step for step in upgrade["tasks"][0]["block"]}
    fake = tmp_path / "apt-cache"
    fake.write_text(f"#!/bin/sh\ncat <<'END'\n{APT}END\n")
    fake.chmod(0o755)
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "NAME": "libssl3"}

    lookup = steps["Find the package of each exact target"]["ansible.builtin.shell"]["cmd"]
    ran = subprocess.run(
        ["/bin/sh", "-c", lookup],
        env={**environ, "TARGET": target, "MATCH": match},
        capture_output=True,
        check=False,
        text=True,
    )

    assert (ran.returncode, ran.stdout.strip()) == (0 if found else 1, found)
    assert ("no repository of this host offers" in ran.stderr) is not bool(found)
    module = steps["Upgrade packages that are there"]["ansible.builtin.apt"]
    assert module["allow_change_held_packages"] is True
    assert upgrade["vars"]["patchmgr_exact"] is True
