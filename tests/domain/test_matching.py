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
    why_not,
)
from patchmgr.domain.modules import Catalogue


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
        ("1.0", fix(), "undetermined", "'' is not a dpkg version"),
    ],
)
def test_a_statement_means_for_a_version(version, statement, status, reason):
    verdict = judge(version, statement)

    assert (verdict.status, verdict.reason) == (status, reason)


@pytest.mark.parametrize(
    ("scheme", "reason"),
    [("runes", "'1' is not a runes version"), ("", "'1' is not a known version")],
)
def test_a_scheme_that_nobody_can_read_is_undetermined(scheme, reason):
    statement = Fix("x:1", "x", Match.SOURCE, Status.AFFECTED, "2", scheme=scheme)

    assert judge("1", statement) == Verdict(Status.UNDETERMINED, reason)


@pytest.mark.parametrize(
    ("platform", "all_of_them"),
    [
        ("debian:12", ("debian:12",)),
        ("rhel:9.4", ("rhel:9.4", "rhel:9")),
        ("alpine:3.19.1", ("alpine:3.19.1", "alpine:3.19", "alpine:3")),
        ("arch:rolling", ("arch:rolling",)),
        ("ubuntu:20.04/esm-infra", ("ubuntu:20.04", "ubuntu:20")),
        ("centos:6", ("centos:6", "rhel:6")),
        ("centos:7", ("centos:7", "rhel:7")),
        ("centos:8", ("centos:8",)),
        ("sles:15.1", ("sles:15.1",)),
        ("sled:15.1", ("sled:15.1",)),
        ("sles_sap:15.1", ("sles_sap:15.1",)),
        ("sle_hpc:15.1", ("sle_hpc:15.1",)),
        ("sle_rt:15.1", ("sle_rt:15.1",)),
        ("opensuse-leap:15.1", ("opensuse-leap:15.1", "opensuse-leap:15")),
        ("openeuler:22.03-lts-sp1", ("openeuler:22.03-lts-sp1", "openeuler:22")),
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
    assert is_about("dpkg", "one that nobody knows")


def test_a_package_is_known_by_its_own_name_and_by_its_source():
    subject = Subject("debian:12", "dpkg", "libssl3", "3.0-1+b1", "openssl", "3.0-1")

    assert subject.named(Match.SOURCE) == ("openssl", "3.0-1")
    assert subject.named(Match.BINARY) == ("libssl3", "3.0-1+b1")


def test_a_package_is_judged_by_the_version_of_what_the_statement_names():
    rebuilt = Subject("debian:12", "dpkg", "libssl3", "3.0-1+b1", "openssl", "3.0-1")
    of_source = fix(fixed="3.0-1+a")

    assert assess(rebuilt, of_source).reason == "3.0-1 is older than 3.0-1+a"
    assert assess(rebuilt, replace(of_source, match=Match.BINARY)).status is Status.NOT_AFFECTED


def test_a_statement_in_versions_of_another_kind_is_not_about_a_package():
    assert said("1.0", fix(fixed="2"), manager="pypi") is None
    assert said("1.0", replace(fix(fixed="2"), scheme="pep440"), manager="pypi") == "affected"


def deciding(version, *statements):
    chosen = decisive((each, judge(version, each)) for each in statements)
    return None if chosen is None else (chosen[1].status, chosen[0].fixed)


def test_of_several_statements_the_one_that_calls_it_affected_decides():
    assert deciding("1", fix(Status.NOT_AFFECTED), fix(fixed="2")) == ("affected", "2")
    assert deciding("1", fix(Status.NO_FIX), fix(fixed="2")) == ("affected", "2")
    assert deciding("1", fix(Status.UNDETERMINED), fix(Status.NO_FIX)) == ("no_fix", "")
    assert deciding("1", fix(Status.UNDETERMINED), fix(fixed="1")) == ("undetermined", "")
    assert deciding("1") is None


@pytest.mark.parametrize(
    ("status", "one", "other", "decides"),
    [
        (Status.AFFECTED, "1.10", "1.9", "1.10"),
        (Status.AFFECTED, "1.9", "odd", "1.9"),
        (Status.UNDETERMINED, "2", "", "2"),
        (Status.UNDETERMINED, "2", "odd", "2"),
        (Status.NOT_AFFECTED, "2", "odd", "2"),
    ],
)
def test_of_two_fixes_the_one_that_must_be_reached_last_decides(status, one, other, decides):
    pair = fix(status, one), fix(status, other)

    assert deciding("1", *pair) == (status, decides)
    assert deciding("1", *reversed(pair)) == (status, decides)


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
        ("all", "amd64", True),
        ("any", "x86_64", True),
        ("amd64", "all", True),
        ("x86_64", "any", True),
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
UNFIXED = replace(rpm(""), status=Status.NO_FIX)


@pytest.mark.parametrize(
    ("installed", "module", "statement", "status"),
    [
        ("1.0-1.el8", "", rpm(NEWER), None),
        (MODULE, "", rpm("1.0-2.el8"), None),
        (MODULE, "x:1", rpm(NEWER, module="x:1"), "affected"),
        (MODULE, "x:2", rpm(NEWER, module="x:1"), None),
        ("1.0-1.el8", "x:1", rpm(NEWER, module="x:1"), "affected"),
        ("1.0-1.el8", "", rpm("1.0-2.el8"), "affected"),
        # Where there is no fix, there is nothing that would tell whose it is.
        ("1.0-1.el8", "", UNFIXED, "no_fix"),
        (MODULE, "", UNFIXED, "no_fix"),
        (MODULE, "x:1", replace(UNFIXED, module="x:1"), "no_fix"),
        (MODULE, "x:2", replace(UNFIXED, module="x:1"), None),
        ("1.0-1.el8", "", replace(UNFIXED, module="x:1"), None),
    ],
)
def test_an_update_never_crosses_from_one_module_stream_to_another(
    installed, module, statement, status
):
    is_rpm = {"platform": "rhel:8", "manager": "rpm", "module": module}

    assert said(installed, replace(statement, scheme="rpm"), **is_rpm) == status


def test_only_rpms_have_module_streams():
    assert said("1.0-1.module+el8.9.0+1+aa", fix(fixed="1.0-2")) == "affected"


OF_ANOTHER = "0.8-1.module+el8.9.0+3+cc"
UNHEARD_OF = "0.9-1.module+el8.9.0+4+dd"
BY_NUMBER = "1.0-1.module+el8.9.0+4+dd"
SAID = [("x", MODULE, "x:1"), ("x", OF_ANOTHER, "x:2"), ("only", NEWER, "only:rhel8")]


@pytest.mark.parametrize(
    ("installed", "label", "statement", "told", "verdict"),
    [
        (MODULE, "", rpm(NEWER, module="x:1"), SAID, ("affected", True)),
        (OF_ANOTHER, "", rpm(NEWER, module="x:1"), SAID, None),
        (OF_ANOTHER, "x:1", rpm(NEWER, module="x:1"), SAID, ("affected", True)),
        (BY_NUMBER, "", rpm(NEWER, module="x:1"), SAID, ("affected", True)),
        (UNHEARD_OF, "", rpm(NEWER, module="x:1"), SAID, ("affected", False)),
        (UNHEARD_OF, "", rpm(NEWER, module="x:rhel8"), [], ("affected", False)),
        (UNHEARD_OF, "", replace(rpm(NEWER, module="only:rhel8"), package="only"), SAID,
         ("affected", True)),
        (MODULE, "", rpm(NEWER), SAID, ("affected", False)),
        (MODULE, "x:1", rpm(NEWER), SAID, ("affected", False)),
        (NEWER, "", rpm(NEWER), SAID, ("not_affected", True)),
    ],
)  # fmt: skip
def test_whether_a_build_is_of_the_stream_that_is_meant_is_told_or_said_not_to_be_sure(
    installed, label, statement, told, verdict
):
    about = subject(installed, "rhel:8", "rpm", module=label)
    found = assess(about, replace(statement, scheme="rpm"), Catalogue.of(told))

    assert (found and (found.status, found.is_sure)) == verdict


LOWER, HIGHER = rpm("1.1-9"), rpm("1.2-9")
SURE = Verdict(Status.AFFECTED, "older")
UNSURE = replace(SURE, is_sure=False)
NOTHING = Verdict(Status.NO_FIX, "older")
NEW_ENOUGH = Verdict(Status.NOT_AFFECTED, "newer")
NO_SCHEME = Fix("rhel:8", "x", Match.BINARY, Status.NO_FIX, "")  # it has no version to compare


@pytest.mark.parametrize(
    ("judged", "status"),
    [
        ([(LOWER, UNSURE)], "undetermined"),
        ([(LOWER, UNSURE), (HIGHER, NEW_ENOUGH)], "undetermined"),
        ([(LOWER, UNSURE), (HIGHER, SURE)], "affected"),
        ([(LOWER, SURE), (HIGHER, UNSURE)], "affected"),
        ([(LOWER, UNSURE), (HIGHER, UNSURE)], "affected"),
        ([(HIGHER, UNSURE), (LOWER, SURE), (LOWER, NEW_ENOUGH)], "affected"),
        ([(HIGHER, UNSURE), (LOWER, NOTHING), (LOWER, NEW_ENOUGH)], "no_fix"),
        ([(HIGHER, UNSURE), (LOWER, replace(NOTHING, is_sure=False))], "undetermined"),
        ([(NO_SCHEME, NOTHING), (NO_SCHEME, NEW_ENOUGH)], "no_fix"),
    ],
)
def test_a_build_of_an_unknown_stream_is_undetermined_unless_all_streams_agree(judged, status):
    unknown = "older, if it is of that module stream or service pack, which is not known"

    _, verdict = decisive(judged)

    assert (verdict.status, verdict.reason) == (
        status,
        unknown if status == "undetermined" else "older",
    )


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


@pytest.mark.parametrize(
    ("installed", "fixed"), [("1-1.oe1", "1-2.oe1"), ("1-1", "1-2.oe1"), ("1-1.oe1", "1-2")]
)
def test_builds_that_tell_of_no_service_pack_are_undetermined(installed, fixed):
    of_20_03 = Fix("openeuler:20.03-lts", "x", Match.BINARY, Status.AFFECTED, fixed, scheme="rpm")
    verdict = assess(subject(installed, "openeuler:20.03", "rpm"), of_20_03)

    assert verdict == Verdict(Status.AFFECTED, f"{installed} is older than {fixed}", is_sure=False)
    assert decisive([(of_20_03, verdict)])[1].status is Status.UNDETERMINED


@pytest.mark.parametrize(
    ("channel", "subscription"),
    [
        ("esm-infra", "Ubuntu Pro (esm-infra)"),
        ("esm-infra-legacy", "Ubuntu Pro with Legacy support (esm-infra-legacy)"),
        ("esm-apps", "Ubuntu Pro (esm-apps)"),
        ("ltss", "Long Term Service Pack Support (LTSS)"),
        ("ltss-extended-security", "LTSS Extended Security"),
        ("els", "Extended Life Cycle Support (ELS)"),
    ],
)
def test_a_fix_for_subscribers_is_named_to_everybody_and_said_to_need_one(channel, subscription):
    statement = fix(fixed="2", channel=channel)

    everybody = assess(subject("1", platform="debian:12"), statement)
    subscriber = assess(subject("1", platform=f"debian:12/{channel}"), statement)

    assert everybody == Verdict(Status.AFFECTED, f"1 is older than 2; the fix needs {subscription}")
    assert subscriber == Verdict(Status.AFFECTED, "1 is older than 2")


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
        ("3.0-1.el9_fips", "3.0-2.ksplice1.el9", "ksplice", False),
    ],
)
def test_a_special_build_is_fixed_by_builds_of_its_kind(installed, fixed, channel, concerned):
    statement = replace(rpm(fixed, channel=channel), scheme="rpm")

    assert (said(installed, statement, platform="ol:7", manager="rpm") == "affected") is concerned


@pytest.mark.parametrize("installed", ["2.17-1.el7", "2.17-1.ksplice1.el7", "3.0-1.el9_fips"])
def test_where_there_is_no_fix_there_is_none_for_special_builds_either(installed):
    statement = replace(UNFIXED, scheme="rpm")

    assert said(installed, statement, platform="ol:7", manager="rpm") == "no_fix"


def test_only_rpms_come_in_special_builds():
    assert said("2.17-1.ksplice1.1", fix(fixed="2.17-2")) == "affected"


@pytest.mark.parametrize(
    ("platform", "overruled_on"),
    [
        ("rhel:8.6/eus", {"CVE-1"}),
        ("rhel:8.6/aus,eus", {"CVE-1", "CVE-3"}),
        ("rhel:8.6/els", set()),  # what carries on after the main line does not leave it
        ("rhel:8.6", set()),
    ],
)
def test_on_an_extended_update_line_that_line_has_the_word_on_its_cves(platform, overruled_on):
    statements = [
        (rpm("1-5"), frozenset({"CVE-1", "CVE-2"})),
        (rpm("1-3", channel="eus"), frozenset({"CVE-1"})),
        (rpm("1-4", channel="aus"), frozenset({"CVE-3"})),
        (rpm("1-6", channel="els"), frozenset({"CVE-4"})),
    ]

    assert overruled(statements, subject(platform=platform)) == overruled_on


def test_a_snapshot_is_judged_as_the_rolling_release_that_it_is_of():
    snapshot = "opensuse-tumbleweed:20260101"

    assert platforms_of(snapshot, "rpm") == (snapshot, "opensuse-tumbleweed:rolling")


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
        ("ubuntu:22.04", "LP-PPA-ubuntu-toolchain-r-test", "13", "LP-PPA-ubuntu-toolchain-r-test"),
        ("ubuntu:22.04", "LP-PPA-canonical-hwe", "13", "LP-PPA-canonical-hwe"),
        ("ubuntu:22.04", "UbuntuESMApps", "1.0", ""),
        ("debian:12", "Debian Backports", "1.0~bpo12+1", ""),
        ("debian:12", "Docker", "5:27.3.1-1~debian.12~bookworm", "Docker"),
        ("fedora:40", "Fedora Copr - user someone", "1-1.fc40", "Fedora Copr - user someone"),
        ("fedora:40", "RPM Fusion", "1-1.fc40", "RPM Fusion"),
        ("rhel:9", "Red Hat, Inc.", "1-1.el9", ""),
        ("rhel:9", "Fedora Project", "1-1.el9", "Fedora Project"),
        ("centos:7", "CentOS", "1-1.el7", ""),
        ("fedora:40", "Fedora Project", "1-1.fc40", ""),
        ("almalinux:9", "AlmaLinux", "1-1.el9", ""),
        ("almalinux:9", "CloudLinux", "1-1.el9", ""),
        ("rocky:9", "Rocky Enterprise Software Foundation", "1-1.el9", ""),
        ("ol:9", "Oracle America", "1-1.el9", ""),
        ("amzn:2023", "Amazon Linux", "1-1.amzn2023", ""),
        ("sles:15.5", "SUSE LLC <https://www.suse.com/>", "1-1", ""),
        ("sled:15.5", "SUSE LLC <https://www.suse.com/>", "1-1", ""),
        ("opensuse-leap:15.5", "openSUSE", "1-1", ""),
        ("opensuse-tumbleweed:20260101", "openSUSE", "1-1", ""),
        ("opensuse-leap:15.5", "obs://build.opensuse.org/openSUSE:Leap", "1-1", ""),
        ("sles:15.5", "obs://build.suse.de/SUSE:SLE-15-SP5", "1-1", ""),
        (
            "opensuse-leap:15.5",
            "obs://build.opensuse.org/home:me",
            "1-1",
            "obs://build.opensuse.org/home:me",
        ),
        ("azurelinux:3.0", "Microsoft Corporation", "1-1.azl3", ""),
        ("mariner:2.0", "Microsoft Corporation", "1-1.cm2", ""),
        ("openeuler:22.03", "http://openeuler.org", "1-1.oe2203", ""),
        ("ubuntu:22.04", "Canonical", "1.0", ""),
        ("ubuntu:22.04", "Debian", "1.0", "Debian"),
        ("debian:12", "", "8.2.1-1+0~20230101.1+debian12~1.gbp1+deb.sury.org", "deb.sury.org"),
        ("ubuntu:22.04", "", "1.0-1~ppa1", "ppa1"),
        ("ubuntu:22.04", "", "1.0-1+ppa2", "ppa2"),
        ("rhel:9", "", "8.2-1.el9.remi", "remi"),
        ("rhel:9", "", "6.1-1.el9.elrepo", "elrepo"),
        ("rhel:7", "", "1.0-1.el7.ius", "ius"),
        ("rhel:9", "", "1.0-1.el9.remington", ""),
        ("unheard:1", "Anybody", "1", ""),
    ],
)
def test_what_the_vendor_did_not_build_is_not_its_package(platform, origin, version, builder):
    assert subject(version, platform, origin=origin).foreign == builder


def test_a_package_of_a_language_comes_from_nobody_else():
    assert subject("1.0-1nodesource1", manager="npm", origin="Anybody").foreign == ""


@pytest.mark.parametrize(
    ("manager", "reported", "match", "said"),
    [
        ("dpkg", "", Match.SOURCE, True),
        ("dpkg", "x", Match.SOURCE, False),
        ("dpkg", None, Match.SOURCE, False),
        ("dpkg", "", Match.BINARY, False),
        ("pypi", "", Match.SOURCE, False),
    ],
)
def test_a_verdict_on_a_source_that_is_not_known_says_so(manager, reported, match, said):
    subject = Subject("debian:12", manager, "x", "1", "x", "1", reported_source=reported)
    scheme = "pep440" if manager == "pypi" else "dpkg"

    verdict = assess(subject, replace(fix(fixed="2"), match=match, scheme=scheme))

    assert verdict.reason.startswith("1 is older than 2")
    assert verdict.reason.endswith("; judged by its own name") is said


def el8_fix(fixed="2-1.el8", **more):
    return Fix("rhel:8", "x", Match.BINARY, Status.AFFECTED, fixed, scheme="rpm", **more)


def el8(version="1-1.el8", platform="rhel:8", **more):
    return subject(version, platform, "rpm", **more)


EL8_STREAM = "1-1.module_el8.5.0+1+a"


@pytest.mark.parametrize(
    ("statement", "installed", "why"),
    [
        (el8_fix(), el8(), ""),
        (
            el8_fix(), el8(origin="Remi's RPM repository"),
            "Remi's RPM repository built it, and the vendor speaks of its own builds only",
        ),
        (
            el8_fix(), subject("1", "rhel:8", "pypi"),
            "it compares versions as rpm, and this is a package of pypi",
        ),
        (
            el8_fix(arch="i686 s390x"), el8(arch="x86_64"),
            "it is for i686 and s390x, and this build is for x86_64",
        ),
        (
            el8_fix("2-1.ksplice1.el8", channel="ksplice"), el8(),
            "it is for ksplice builds, and this is not one",
        ),
        (
            el8_fix(), el8("1-1.ksplice1.el8"),
            "it is for ordinary builds, and this is a ksplice build",
        ),
        (el8_fix(), el8("1-1_fips"), "it is for ordinary builds, and this is a fips build"),
        (
            el8_fix(channel="unheard-of"), el8(),
            "it is for hosts entitled to unheard-of, and this one is not",
        ),
        (
            el8_fix("2-1.module_el8.5.0+1+a", module="nodejs:16"), el8(),
            "it is for the module stream nodejs:16, and this is a build of no module",
        ),
        (
            el8_fix("2-1.module_el8.5.0+1+a"), el8(),
            "it is for a module stream, and this is a build of no module",
        ),
        (
            el8_fix(), el8(EL8_STREAM),
            "it is for builds of no module, and this is a build of another stream",
        ),
        (
            el8_fix("2-1.module_el8.5.0+1+a", module="nodejs:16"),
            el8(EL8_STREAM, module="nodejs:18"),
            "it is for the module stream nodejs:16, and this is a build of nodejs:18",
        ),
    ],
)  # fmt: skip
def test_why_a_statement_that_names_a_package_is_not_about_it(statement, installed, why):
    assert why_not(statement, installed) == why
    if not installed.foreign:  # those are left out before
        assert (why == "") is (assess(installed, statement) is not None)


def test_a_package_of_unknown_source_is_judged_by_its_own_name_and_says_so():
    verdict = assess(subject("1.0-1", reported_source=""), fix(fixed="1.0-2"))

    assert verdict is not None
    assert verdict.reason == (
        "1.0-1 is older than 1.0-2; the report does not say from which source package it was "
        "built; judged by its own name"
    )


def test_the_stream_of_a_build_is_told_by_what_else_the_vendor_says():
    other = "3-1.module_el8.5.0+2+b"
    statement = el8_fix("2-1.module_el8.5.0+1+a", module="nodejs:16")
    modules = Catalogue.of([("x", other, "nodejs:18"), ("x", statement.fixed, "nodejs:16")])
    installed = el8("1-1.module_el8.5.0+2+b")

    assert why_not(statement, installed) == ""
    assert why_not(statement, installed, modules) == (
        "it is for the module stream nodejs:16, and this is a build of another stream"
    )
