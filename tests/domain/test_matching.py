"""What a vendor's statement means for a version. Never a guess."""

from dataclasses import replace

import pytest

from patchmgr.domain.advisories import Fix, Match, Status
from patchmgr.domain.matching import (
    Subject,
    Verdict,
    assess,
    decisive,
    is_about,
    judge,
    overruled,
    platforms_of,
)


def fix(status=Status.AFFECTED, fixed="", **more):
    return Fix("debian:12", "x", Match.SOURCE, status, fixed, scheme="dpkg", **more)


@pytest.mark.parametrize(
    ("version", "statement", "status", "reason"),
    [
        ("1.0-1", fix(fixed="1.0-2"), "affected", "1.0-1 is older than 1.0-2"),
        ("1.0-2", fix(fixed="1.0-2"), "not_affected", "1.0-2 is 1.0-2"),
        ("1.0-10", fix(fixed="1.0-2"), "not_affected", "1.0-10 is newer than 1.0-2"),
        ("1.0~rc1", fix(fixed="1.0"), "affected", "1.0~rc1 is older than 1.0"),
        ("1:1.0", fix(fixed="9.9"), "not_affected", "1:1.0 is newer than 9.9"),
        ("1.0", fix(fixed="2", introduced="1.5"), "not_affected", "1.0 is older than 1.5"),
        ("1.5", fix(fixed="2", introduced="1.5"), "affected", "1.5 is older than 2"),
        ("1.0", fix(Status.NO_FIX, reason="no-dsa: minor"), "no_fix", "no-dsa: minor"),
        ("1.0", fix(Status.NO_FIX, introduced="2"), "not_affected", "1.0 is older than 2"),
        ("1.0", fix(Status.NO_FIX, last_affected="1.0"), "no_fix", ""),
        ("1.1", fix(Status.NO_FIX, last_affected="1.0"), "not_affected", "1.1 is newer than 1.0"),
        (
            "1.0",
            fix(Status.NO_FIX, last_affected="odd"),
            "undetermined",
            "'odd' is not a dpkg version",
        ),
        ("1.0", fix(Status.UNDETERMINED), "undetermined", ""),
        ("1.0", fix(Status.UNDETERMINED, "2", reason="perhaps"), "undetermined", "perhaps"),
        ("2.0", fix(Status.UNDETERMINED, "2"), "not_affected", "2.0 is newer than 2"),
        ("1.0", fix(Status.NOT_AFFECTED, reason="not built"), "not_affected", "not built"),
        ("odd", fix(Status.NOT_AFFECTED), "not_affected", "the vendor says it is not affected"),
        ("odd", fix(fixed="1.0"), "undetermined", "'odd' is not a dpkg version"),
        ("1.0", fix(fixed="odd"), "undetermined", "'odd' is not a dpkg version"),
        ("1.0", fix(fixed="2", introduced="odd"), "undetermined", "'odd' is not a dpkg version"),
    ],
)
def test_a_statement_means_for_a_version(version, statement, status, reason):
    verdict = judge(version, statement)

    assert (verdict.status, verdict.reason) == (status, reason)


def test_a_scheme_that_nobody_can_read_is_undetermined():
    statement = Fix("x:1", "x", Match.SOURCE, Status.AFFECTED, "2", scheme="runes")

    assert judge("1", statement).status is Status.UNDETERMINED


@pytest.mark.parametrize(
    ("platform", "all_of_them"),
    [
        ("debian:12", ("debian:12",)),
        ("rhel:9.4", ("rhel:9.4", "rhel:9")),
        ("alpine:3.19.1", ("alpine:3.19.1", "alpine:3.19", "alpine:3")),
        ("arch:rolling", ("arch:rolling",)),
        ("ubuntu:20.04/esm-infra", ("ubuntu:20.04", "ubuntu:20")),
        ("centos:7", ("centos:7", "rhel:7")),
        ("sles:15.1", ("sles:15.1",)),
        ("", ("",)),
    ],
)
def test_what_is_written_for_a_release_holds_for_its_parts(platform, all_of_them):
    assert platforms_of(platform) == all_of_them


def test_a_statement_is_about_packages_whose_versions_it_can_compare():
    assert is_about("dpkg", "dpkg")
    assert not is_about("dpkg", "pypi")
    assert is_about("pep440", "pypi")
    assert is_about("", "pypi")


def test_a_package_is_known_by_its_own_name_and_by_its_source():
    subject = Subject("debian:12", "dpkg", "libssl3", "3.0-1+b1", "openssl", "3.0-1")

    assert subject.named(Match.SOURCE) == ("openssl", "3.0-1")
    assert subject.named(Match.BINARY) == ("libssl3", "3.0-1+b1")


def deciding(version, *statements):
    chosen = decisive((each, judge(version, each)) for each in statements)
    return None if chosen is None else (chosen[1].status, chosen[0].fixed)


def test_of_several_statements_the_one_that_calls_it_affected_decides():
    assert deciding("1", fix(Status.NOT_AFFECTED), fix(fixed="2")) == ("affected", "2")
    assert deciding("1", fix(Status.NO_FIX), fix(fixed="2")) == ("affected", "2")
    assert deciding("1", fix(Status.UNDETERMINED), fix(Status.NO_FIX)) == ("no_fix", "")
    assert deciding("1", fix(Status.UNDETERMINED), fix(fixed="1")) == ("undetermined", "")
    assert deciding("1") is None


def test_of_two_fixes_the_one_that_must_be_reached_last_decides():
    assert deciding("1", fix(fixed="1.10"), fix(fixed="1.9")) == ("affected", "1.10")
    assert deciding("1", fix(fixed="1.9"), fix(fixed="odd")) == ("affected", "1.9")


def subject(version="1.0-1", platform="debian:12", manager="dpkg", **more):
    return Subject(platform, manager, "x", version, "x", version, **more)


def said(version, statement, **about):
    """Return the status that a statement gives a package; None when it is not about it."""
    verdict = assess(subject(version, **about), statement)
    return verdict and verdict.status.value


@pytest.mark.parametrize(
    ("listed", "installed", "concerned"),
    [
        ("", "amd64", True),
        ("x86_64", "x86_64", True),
        ("x86_64", "", True),
        ("x86_64", "i686", False),
        ("i686 x86_64", "i686", True),
        ("x86_64", "noarch", True),
        ("noarch", "x86_64", True),
        ("aarch64 noarch", "x86_64", True),
    ],
)
def test_a_statement_is_for_its_architectures_and_for_none_in_particular(
    listed, installed, concerned
):
    verdict = said("1-1", fix(fixed="2-1", arch=listed), arch=installed)

    assert (verdict == "affected") is concerned


def rpm(fixed, **more):
    return Fix("rhel:8", "x", Match.BINARY, Status.AFFECTED, fixed, scheme="dpkg", **more)


MODULE = "1.0-1.module+el8.9.0+1+aa"
NEWER = "1.0-2.module+el8.9.0+2+bb"


@pytest.mark.parametrize(
    ("installed", "module", "statement", "status"),
    [
        ("1.0-1.el8", "", rpm(NEWER), None),
        (MODULE, "", rpm("1.0-2.el8"), None),
        (MODULE, "x:1", rpm(NEWER, module="x:1"), "affected"),
        (MODULE, "x:2", rpm(NEWER, module="x:1"), None),
        ("1.0-1.el8", "", rpm("1.0-2.el8"), "affected"),
    ],
)
def test_an_update_never_crosses_from_one_module_stream_to_another(
    installed, module, statement, status
):
    is_rpm = {"platform": "rhel:8", "manager": "rpm", "module": module}

    assert said(installed, replace(statement, scheme="rpm"), **is_rpm) == status


def test_a_build_of_an_unknown_stream_is_undetermined_unless_all_streams_agree():
    fix, other = rpm("1.1-9"), rpm("1.2-9")
    unsure = Verdict(Status.AFFECTED, "older", is_sure=False)

    alone = decisive([(fix, unsure)])
    disputed = decisive([(fix, unsure), (other, Verdict(Status.NOT_AFFECTED, "newer"))])
    agreed = decisive([(fix, unsure), (other, Verdict(Status.AFFECTED, "older"))])

    assert alone[1].status is Status.UNDETERMINED
    assert disputed[1].status is Status.UNDETERMINED
    assert "module stream" in disputed[1].reason
    assert agreed[1].status is Status.AFFECTED


@pytest.mark.parametrize(
    ("platform", "installed", "status"),
    [
        ("openeuler:22.03-lts-sp1", "1-1.oe2203sp1", "affected"),
        ("openeuler:22.03-lts-sp3", "1-1.oe2203sp3", "affected"),
        ("openeuler:22.03", "1-1.oe2203sp1", "affected"),
        ("openeuler:22.03", "1-1.oe2203sp3", None),
        ("openeuler:22.03", "1-1.oe1", None),
    ],
)
def test_a_service_pack_that_os_release_does_not_tell_is_told_by_the_build(
    platform, installed, status
):
    pack = "openeuler:22.03-lts-sp3" if "sp3" in platform else "openeuler:22.03-lts-sp1"
    fixed = "1-2.oe2203sp3" if "sp3" in platform else "1-2.oe2203sp1"
    statement = Fix(pack, "x", Match.BINARY, Status.AFFECTED, fixed, scheme="rpm")

    assert said(installed, statement, platform=platform, manager="rpm") == status
    assert pack in platforms_of(platform, "rpm")


def test_builds_that_tell_of_no_service_pack_are_undetermined():
    of_20_03 = Fix(
        "openeuler:20.03-lts", "x", Match.BINARY, Status.AFFECTED, "1-2.oe1", scheme="rpm"
    )
    verdict = assess(subject("1-1.oe1", "openeuler:20.03", "rpm"), of_20_03)

    assert decisive([(of_20_03, verdict)])[1].status is Status.UNDETERMINED


def test_a_fix_for_subscribers_is_named_to_everybody_and_said_to_need_one():
    statement = fix(fixed="2", channel="esm-infra")

    everybody = assess(subject("1", platform="debian:12"), statement)
    subscriber = assess(subject("1", platform="debian:12/esm-infra"), statement)

    assert (everybody.status, everybody.reason) == (
        Status.AFFECTED,
        "1 is older than 2; the fix needs Ubuntu Pro (esm-infra)",
    )
    assert subscriber.reason == "1 is older than 2"


@pytest.mark.parametrize("channel", ["eus", "aus", "hotpatch"])
def test_a_line_of_its_own_concerns_only_hosts_that_are_on_it(channel):
    statement = fix(fixed="2", channel=channel)

    assert said("1", statement) is None
    assert said("1", statement, platform=f"debian:12/{channel}") == "affected"


@pytest.mark.parametrize(
    ("installed", "fixed", "channel", "concerned"),
    [
        ("2.17-1.el7", "2.17-2.el7", "", True),
        ("2.17-1.ksplice1.el7", "2.17-2.ksplice1.el7", "ksplice", True),
        ("2.17-1.ksplice1.el7", "2.17-2.el7", "", False),
        ("2.17-1.el7", "2.17-2.ksplice1.el7", "ksplice", False),
        ("3.0-1.el9_fips", "3.0-2.el9_fips", "fips", True),
        ("3.0-1.el9", "3.0-2.el9_fips", "fips", False),
        ("3.0-1.el9_fips", "3.0-2.el9", "", False),
    ],
)
def test_a_special_build_is_fixed_by_builds_of_its_kind(installed, fixed, channel, concerned):
    statement = replace(rpm(fixed, channel=channel), scheme="rpm")

    assert (said(installed, statement, platform="ol:7", manager="rpm") == "affected") is concerned


def test_on_an_extended_update_line_that_line_has_the_word_on_its_cves():
    main, own = rpm("1-5"), rpm("1-3", channel="eus")
    statements = [(main, frozenset({"CVE-1", "CVE-2"})), (own, frozenset({"CVE-1"}))]

    assert overruled(statements, subject(platform="rhel:8.6/eus")) == {"CVE-1"}
    assert overruled(statements, subject(platform="rhel:8.6")) == frozenset()


def test_a_package_of_a_language_is_judged_by_its_ecosystem_alone():
    assert platforms_of("debian:12", "pypi") == ("pypi",)


@pytest.mark.parametrize(
    ("platform", "origin", "version", "builder"),
    [
        ("debian:12", "", "18.19.0+dfsg-6", ""),
        ("debian:12", "", "20.19.5-1nodesource1", "nodesource"),
        ("debian:12", "Debian", "20.19.5-1nodesource1", ""),
        ("debian:12", "Google LLC", "1.0", "Google LLC"),
        ("debian:12", "", "15.4-1.pgdg120+1", "pgdg"),
        ("ubuntu:22.04", "UbuntuESM", "1.0", ""),
        ("ubuntu:22.04", "LP-PPA-ondrej-php", "8.2", "LP-PPA-ondrej-php"),
        ("rhel:9", "Red Hat, Inc.", "1-1.el9", ""),
        ("rhel:9", "Fedora Project", "1-1.el9", "Fedora Project"),
        ("unheard:1", "Anybody", "1", ""),
    ],
)
def test_what_the_vendor_did_not_build_is_not_its_package(platform, origin, version, builder):
    assert subject(version, platform, origin=origin).foreign == builder
