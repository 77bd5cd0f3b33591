"""A whole report: each section stands for itself, but for the listings, which must be whole."""

import json
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory import documents, sections
from inventory.facts.dnf import Newer
from inventory.offers import Answers, offered
from patchmgr.domain.advisories import Match
from patchmgr.domain.facts import Candidate, Installable, installable
from patchmgr.domain.packages import Package, Platform
from patchmgr.errors import BadFileError, InputError

DPKG = (
    "libssl3\t3.0.15-1\tamd64\topenssl\t3.0.15-1\tinstall ok installed\n"
    "libssl3\t3.0.15-1\ti386\topenssl\t3.0.15-1\tinstall ok installed\n"
    "bash\t5.2.15-2+b8\tamd64\tbash\t5.2.15-2\thold ok installed\n"
    "perl\t5.36.0-7\tamd64\tperl\t5.36.0-7\tinstall ok installed\n"
    "gcc\t4:12.2.0-3\tamd64\tgcc-defaults\t1.203\tinstall ok installed\n"
)
OS = 'NAME="Debian GNU/Linux"\nID=debian\nVERSION_ID="12"\n'


def document(**sections):
    named = {name.replace("_", "-"): text for name, text in sections.items()}
    return {
        "version": 1,
        "collected_at": "2026-03-02T09:30:00Z",
        "host": {"hostname": "web01", "machine_id": "c0ffee", "addresses": ["192.0.2.1"]},
        "sections": {"dpkg": DPKG, "os-release": OS, **named},
    }


def read(**named):
    return read_body(json.dumps(document(**named)))


def read_body(text):
    return sections.read_report(documents.read(text.encode()))


def test_what_a_report_says():
    report = read(uname="6.1.0-18-amd64\n", uname_m="x86_64\n", holds="perl\n")

    assert report.hostname == "web01"
    assert report.collected_at == datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
    assert (report.os, report.machine, report.running_kernel) == (
        "debian:12", "x86_64", "6.1.0-18-amd64",
    )  # fmt: skip
    assert report.listing.held == {"bash", "perl"}
    assert report.facts.holds == ("bash", "perl")


def test_what_is_not_reported_is_not_known():
    facts = read().facts

    assert facts.reboot.pending is None
    assert (facts.services, facts.kernels, facts.modules, facts.pro) == (None,) * 4


def test_a_section_that_cannot_be_read_leaves_its_fact_unknown_and_says_why():
    report = read(pro_status="{", reboot_required="libc6\n", uname="?\n")

    assert report.facts.pro is None
    assert report.running_kernel == ""
    assert report.facts.reboot.pending is True
    assert report.facts.unreadable == {
        "pro-status": "line 1: is not JSON",
        "uname": "line 1: '?' is not what uname -r prints",
    }


def test_a_listing_that_cannot_be_read_refuses_the_report_and_names_section_and_line():
    with pytest.raises(BadFileError, match=r"section dpkg: row 2: 'no columns' is not dpkg-query"):
        read(dpkg="bash\t5.2\nno columns\n")


@pytest.mark.parametrize(
    ("sections", "pending", "why"),
    [
        ({"reboot_required": ""}, False, "no /run/reboot-required"),
        ({"reboot_required": "", "needs_restarting": "exit=1\n"}, True, "needs-restarting"),
        (
            {"uname": "6.1.0-18-amd64", "kernels": "vmlinuz-6.1.0-18-amd64\nvmlinuz-6.1.0-9-amd64"},
            False,
            "the newest installed kernel runs",
        ),
        (
            {
                "uname": "6.1.0-18-amd64",
                "kernels": "vmlinuz-6.1.0-18-amd64\nvmlinuz-6.1.0-40-amd64",
                "reboot_required": "",
            },
            True,
            "kernel 6.1.0-40-amd64 is installed and 6.1.0-18-amd64 runs",
        ),
    ],
)
def test_whether_it_waits_for_a_reboot(sections, pending, why):
    found = read(**sections).facts.reboot

    assert found.pending is pending
    assert why in " ".join(found.reasons)


def on_offer(report):
    return offered(report.answers, report.listing.packages, Platform("debian:12"))


def test_what_apt_lists_covers_every_package():
    found = on_offer(
        read(
            apt_upgradable="Listing...\n"
            "libssl3/bookworm-security 3.0.17-1 amd64 [upgradable from: 3.0.15-1]\n"
            "bash/bookworm 5.2.15-2+b13 amd64 [upgradable from: 5.2.15-2+b8]\n"
            "gcc/bookworm 4:12.2.0-4 amd64 [upgradable from: 4:12.2.0-3]\n"
            "strange/bookworm 1 amd64 [upgradable from: 0]\n"
        )
    )

    assert found.covers("dpkg", "perl")
    assert found.candidates == {
        Candidate("dpkg", "libssl3", "amd64", "3.0.17-1", "3.0.17-1", ("bookworm-security",)),
        Candidate("dpkg", "bash", "amd64", "5.2.15-2+b13", "5.2.15-2", ("bookworm",)),
        Candidate("dpkg", "gcc", "amd64", "4:12.2.0-4", "", ("bookworm",)),
    }


def test_what_apt_says_of_some_covers_those_and_says_more():
    policy = (
        "libssl3:\n  Installed: 3.0.15-1\n  Candidate: 3.0.17-1\n  Version table:\n"
        "     3.0.17-1 500 (phased 30%)\n"
        "        500 http://mirror.example/debian bookworm/main amd64 Packages\n"
        " *** 3.0.15-1 100\n        100 /var/lib/dpkg/status\n"
    )

    found = on_offer(read(apt_policy=policy))

    assert found.covers("dpkg", "libssl3")
    assert not found.covers("dpkg", "perl")
    assert {(each.arch, each.phased) for each in found.candidates} == {("amd64", 30), ("i386", 30)}


def test_of_versions_beside_each_other_the_newest_is_there_already():
    old, new = (Package("rpm", "kernel-core", f"5.14.0-{n}.el9", "x86_64") for n in (427, 503))
    newer = Newer("kernel-core", "x86_64", "5.14.0-570.el9", "baseos")

    there = offered(Answers(check_update=()), [new, old], Platform("almalinux:9"))
    more = offered(Answers(check_update=(newer,)), [old, new], Platform("almalinux:9"))

    assert [(each.version, each.words) for each in there.candidates] == [
        ("5.14.0-503.el9", "5.14.0-503.el9 is installed already, beside the older version")
    ]
    assert [each.version for each in more.candidates] == ["5.14.0-570.el9"]


def test_dnf_lists_nothing_of_a_locked_package_whatever_there_is():
    bash = Package("rpm", "bash", "5.1.8-6.el9", "x86_64")
    answers = Answers(check_update=(), locked=frozenset({"bash"}))

    (found,) = offered(answers, [bash], Platform("almalinux:9")).candidates

    assert installable(found, "5.1.8-9.el9", Match.BINARY, covered=True) is Installable.UNKNOWN


def test_without_any_answer_nothing_is_known_of_what_is_offered():
    assert on_offer(read()) is None
    assert on_offer(read(apt_upgradable="E: locked\n")) is None


BAD = {
    "version": ({"version": 2}, "version: must be 1"),
    "version as truth": ({"version": True}, "version: must be 1"),
    "no host": ({"host": None}, "host: must be a JSON object"),
    "host name": ({"host": {"hostname": "a b"}}, "host.hostname: 'a b' is not a hostname"),
    "no time": ({"collected_at": None}, "collected_at: must be an instant"),
    "time without zone": (
        {"collected_at": "2026-03-02T09:30:00"},
        "collected_at: must be an instant",
    ),
    "sections": ({"sections": []}, "sections: must be a JSON object"),
    "no listing": ({"sections": {"uname": "6.1.0"}}, "sections: have no package listing"),
    "not text": ({"sections": {"dpkg": 1}}, "sections.dpkg: must be text"),
    "too many": ({"sections": {str(n): "" for n in range(65)}}, "sections: has more than 64"),
}


@pytest.mark.parametrize(("change", "why"), BAD.values(), ids=BAD)
def test_a_document_that_is_no_report(change, why):
    with pytest.raises(InputError) as caught:
        read_body(json.dumps(document() | change))

    assert why in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "[" * 100_000, '{"a": NaN'])
def test_what_is_not_json(text):
    with pytest.raises(InputError):
        documents.read(text.encode())


WHOLE = json.dumps(document(uname="6.1.0-18-amd64\n", reboot_required="", holds="bash\n"))


@given(st.integers(0, len(WHOLE)), st.text(max_size=8), st.integers(0, 40))
def test_a_damaged_report_is_refused_or_read(start, between, skipped):
    with suppress(InputError):
        read_body(WHOLE[:start] + between + WHOLE[start + skipped :])
