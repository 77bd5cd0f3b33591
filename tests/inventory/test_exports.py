"""What Ansible and osquery export, as they write it."""

import json

import pytest

from inventory import formats
from inventory.exports import ansible, osquery
from patchmgr.domain.packages import Package
from patchmgr.errors import BadFileError

APT = {"name": "libssl3", "version": "3.0.15-1", "arch": "amd64", "origin": "Debian"}
RPM = {"name": "openssl-libs", "epoch": 1, "version": "3.0.7", "release": "27.el9"}
FACTS = {
    "libssl3": [APT | {"category": "libs", "source": "apt"}],
    "openssl-libs": [RPM | {"arch": "x86_64", "source": "rpm"}],
    "kernel": [
        {"name": "kernel", "epoch": None, "version": "5.14.0", "release": number, "source": "rpm"}
        for number in ("362.el9", "427.el9")
    ],
    "musl": [{"name": "musl", "version": "1.2.4", "release": "r2", "source": "apk"}],
    "pacman": [{"name": "pacman", "version": "6.0.1-1", "source": "pacman"}],
    "PyYAML": [{"name": "PyYAML", "version": "6.0", "source": "pip"}],
    "gpg-pubkey": [{"name": "gpg-pubkey", "version": "a", "release": "b", "source": "rpm"}],
}
PACKAGES = {
    Package("dpkg", "libssl3", "3.0.15-1", "amd64", origin="Debian"),
    Package("rpm", "openssl-libs", "1:3.0.7-27.el9", "x86_64"),
    Package("rpm", "kernel", "5.14.0-362.el9"),
    Package("rpm", "kernel", "5.14.0-427.el9"),
    Package("apk", "musl", "1.2.4-r2"),
    Package("alpm", "pacman", "6.0.1-1"),
    Package("pypi", "pyyaml", "6.0"),
}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"ansible_facts": {"packages": FACTS}, "changed": False}),
        json.dumps({"packages": FACTS}),
        "web01 | SUCCESS => " + json.dumps({"ansible_facts": {"packages": FACTS}}, indent=4),
        json.dumps(FACTS),
        json.dumps({"__payload__": json.dumps({"packages": FACTS})}),
        json.dumps({"ansible_facts": {}, "packages": FACTS}),
        json.dumps({"web01": {"ansible_facts": {"packages": FACTS}}}),
        json.dumps(
            {
                "plays": [
                    {
                        "tasks": [
                            {"hosts": {"web01": {"changed": False}}},
                            {"hosts": {"web01": {"ansible_facts": {"packages": FACTS}}}},
                        ]
                    }
                ],
                "stats": {"web01": {"ok": 2}},
            }
        ),
    ],
)
def test_facts_are_read_in_each_of_their_forms(text):
    assert ansible.recognises(text)
    assert ansible.read(text).packages == PACKAGES


@pytest.mark.parametrize(
    ("distribution", "version", "system"),
    [
        ("Debian", "12.5", "debian:12"),
        ("Ubuntu", "22.04", "ubuntu:22.04"),
        ("RedHat", "9.3", "rhel:9.3"),
        ("OracleLinux", "8.9", "ol:8.9"),
        ("Amazon", "2023", "amzn:2023"),
        ("openSUSE Leap", "15.5", "opensuse-leap:15.5"),
        ("AlmaLinux", "9.3", "almalinux:9.3"),
        ("Alpine", "3.19.1", "alpine:3.19.1"),
        ("SLES", "15.5", "sles:15.5"),
        ("Archlinux", "N/A", ""),
        (None, None, ""),
    ],
)
def test_setup_names_the_system(distribution, version, system):
    facts = {
        "packages": FACTS,
        "ansible_distribution": distribution,
        "ansible_distribution_version": version,
    }

    assert ansible.read(json.dumps(facts)).system == system
    inside = {key.removeprefix("ansible_"): said for key, said in facts.items()}
    assert ansible.read(json.dumps({"ansible_facts": inside})).system == system


def test_packages_of_other_managers_are_not_judged():
    facts = {"a": [{"name": "a", "version": "1", "source": "portage"}], "musl": FACTS["musl"]}

    listing = ansible.read(json.dumps({"packages": facts}))

    assert listing.not_judged_why == ("a: is of portage, of which no feed speaks",)


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({}, "column packages: is missing; gather it with the module package_facts"),
        ({"packages": []}, "column packages: is no JSON object"),
        ({"packages": {"a": {}}}, "column packages: is no JSON list"),
        ({"packages": {}}, "lists no installed package"),
        ({"packages": {"a": [{"source": "apt"}]}}, "packages[0].version: is missing for a"),
        ({"packages": {"a": [{"source": "apt", "version": []}]}}, "packages.version: '[]' of 'a'"),
    ],
)
def test_what_are_no_facts_is_said(facts, why):
    with pytest.raises(BadFileError) as error:
        ansible.read(json.dumps({"ansible_facts": facts}))

    assert why in str(error.value)


# --- osquery

DEB = {
    "name": "libssl3",
    "version": "3.0.15-1",
    "source": "openssl",
    "size": "6000",
    "arch": "amd64",
    "revision": "1",
    "status": "install ok installed",
    "maintainer": "",
    "section": "libs",
    "priority": "optional",
}
REDHAT = {
    "name": "openssl-libs",
    "version": "3.0.7",
    "release": "27.el9",
    "source": "openssl-3.0.7-27.el9.src.rpm",
    "arch": "x86_64",
    "epoch": "1",
    "install_time": "1700000000",
    "vendor": "Red Hat, Inc.",
}
OS = {"name": "Ubuntu", "version": "22.04.3 LTS (Jammy)", "major": "22", "platform": "ubuntu"}


def snapshot(rows, name="packages", host="web01"):
    return json.dumps(
        {"snapshot": rows, "action": "snapshot", "name": name, "hostIdentifier": host}
    )


def test_rows_of_both_tables_are_read():
    text = json.dumps([DEB, DEB | {"name": "zlib1g", "source": ""}])
    gone = DEB | {"name": "gone", "status": "deinstall ok config-files"}

    assert osquery.read(text).packages == {
        Package("dpkg", "libssl3", "3.0.15-1", "amd64", "openssl", "3.0.15-1"),
        Package("dpkg", "zlib1g", "3.0.15-1", "amd64", "zlib1g", "3.0.15-1"),
    }
    assert (
        osquery.read(json.dumps([DEB, gone])).packages == osquery.read(json.dumps([DEB])).packages
    )
    key = REDHAT | {"name": "gpg-pubkey"}
    assert osquery.read(json.dumps([REDHAT, key])).packages == {
        Package(
            "rpm",
            "openssl-libs",
            "1:3.0.7-27.el9",
            "x86_64",
            "openssl",
            "1:3.0.7-27.el9",
            origin="Red Hat, Inc.",
        )
    }


def test_answers_to_distributed_queries_are_read():
    answers = {"deb": [DEB], "os": [OS], "users": [{"uid": "0"}], "none": []}
    text = json.dumps({"node_key": "k", "queries": answers, "statuses": {"deb": 0}})

    listing = osquery.read(text)

    assert osquery.recognises(text)
    assert (listing.packages, listing.system) == (
        osquery.read(json.dumps([DEB])).packages,
        "ubuntu:22.04",
    )


def test_without_the_source_column_the_source_is_not_known():
    row = {key: DEB[key] for key in ("name", "version", "status")}

    (package,) = osquery.read(json.dumps([row])).packages

    assert package.source == ""


def test_of_a_log_the_last_snapshot_of_each_query_counts():
    text = "\n".join(
        (
            snapshot([DEB | {"version": "1"}]),
            snapshot([{"pid": "1"}], name="processes"),
            json.dumps({"action": "added", "columns": {"pid": "2"}, "hostIdentifier": "web01"}),
            snapshot([DEB]),
            snapshot([OS], name="system"),
            "",
        )
    )

    listing = osquery.read(text)

    assert [each.version for each in listing.packages] == ["3.0.15-1"]
    assert listing.system == "ubuntu:22.04"
    assert osquery.read(snapshot([DEB])).packages == listing.packages


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[]", "lists no installed package"),
        ('[{"name": "a"}]', "column [0]: 'a' is no row of deb_packages"),
        (json.dumps([DEB | {"version": ["1"]}]), "column [0].version: \"['1']\" is no text"),
        ("[1]", "column [0]: is no JSON object"),
        (snapshot([DEB]) + "\n" + snapshot([DEB], host="b"), "is of several hosts (b, web01)"),
        (snapshot([DEB]) + "\n{", "row 2: is not whole JSON"),
        (snapshot([DEB]) + "\n[]", "row 2: is no JSON object"),
        (json.dumps({"action": "added", "columns": DEB}), "line 1: says what changed only"),
        (
            json.dumps({"diffResults": {"added": [DEB], "removed": ""}, "hostIdentifier": "a"}),
            "line 1: says what changed only",
        ),
        (snapshot({}), "line 1.snapshot: is no JSON list"),
    ],
)
def test_what_are_no_results_is_said(text, why):
    with pytest.raises(BadFileError) as error:
        osquery.read(text)

    assert why in str(error.value)


def test_rows_of_several_hosts_are_refused():
    rows = [{"host_hostname": name, **DEB} for name in ("web01", "web02")]

    with pytest.raises(BadFileError, match=r"is of several hosts \(web01, web02\)"):
        osquery.read(json.dumps(rows))
    assert len(osquery.read(json.dumps(rows[:1])).packages) == 1


# --- what ansible prints around a host's facts

RESULT = json.dumps({"ansible_facts": {"packages": {"bash": [{"version": "1", "source": "apt"}]}}})


def test_warnings_above_a_result_are_left_out():
    text = (
        f"[WARNING]: Platform linux on host web01\nis using python\nweb01 | SUCCESS => {RESULT}\n"
    )

    assert formats.read(text)[0] == "ansible"
    assert [package.name for package in ansible.read(text).packages] == ["bash"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            f"web01 | SUCCESS => {RESULT}\nweb02 | SUCCESS => {RESULT}\n",
            r"is of several hosts \(web01, web02\); send each on its own",
        ),
        (
            json.dumps({name: json.loads(RESULT) for name in ("web01", "web02")}),
            r"is of several hosts \(web01, web02\)",
        ),
        ('web01 | UNREACHABLE! => {"msg": "no route"}', "is no result: web01 is UNREACHABLE"),
        ('web01 | FAILED! => {"msg": "no module"}', "is no result: web01 is FAILED"),
    ],
)
def test_results_that_are_not_of_one_host_are_refused(text, why):
    with pytest.raises(BadFileError, match=why):
        ansible.read(text)
