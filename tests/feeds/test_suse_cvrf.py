"""SUSE's CVRF: which hosts a product means, and how its documents are listed."""

import pytest

from patchmgr.domain.advisories import Kind, Severity
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds import FEEDS
from patchmgr.feeds.formats.suse_products import placed

SUSE = FEEDS["suse-cvrf"]
URL = "https://mirror.example/security/cvrf/"
ALL = "sles sles_sap sled sle_hpc sle_rt"


@pytest.mark.parametrize(
    ("product", "ids", "release", "channel"),
    [
        ("openSUSE Leap 15.1", "opensuse-leap", "15.1", ""),
        ("openSUSE Leap 16.0", "opensuse-leap", "16.0", ""),
        ("openSUSE Leap 42.3", "opensuse", "42.3", ""),
        ("openSUSE Leap 15.1 NonFree", "opensuse-leap", "15.1", ""),
        ("openSUSE 13.2", "opensuse", "13.2", ""),
        ("openSUSE Tumbleweed", "opensuse-tumbleweed", "rolling", ""),
        ("SUSE Linux Enterprise Server 15", "sles", "15", ""),
        ("SUSE Linux Enterprise Server 15 SP1", "sles", "15.1", ""),
        ("SUSE Linux Enterprise Server 16.0", "sles", "16.0", ""),
        ("SUSE Linux Enterprise Server 15-LTSS", "sles", "15", "ltss"),
        ("SUSE Linux Enterprise Server 12 SP2-LTSS", "sles", "12.2", "ltss"),
        ("SUSE Linux Enterprise Server 12 SP2-BCL", "sles", "12.2", "bcl"),
        ("SUSE Linux Enterprise Server 12 SP3-ESPOS", "sles", "12.3", "espos"),
        ("SUSE Linux Enterprise Server 11 SP3-TERADATA", "sles", "11.3", "teradata"),
        ("SUSE Linux Enterprise Server LTSS Extended Security 12 SP5", "sles", "12.5",
         "ltss-extended-security"),
        ("SUSE Linux Enterprise Server for SAP Applications 15 SP1", "sles_sap", "15.1", ""),
        ("SUSE Linux Enterprise Server for SAP Applications 11 SP4-LTSS", "sles_sap", "11.4",
         "ltss"),
        ("SUSE Linux Enterprise Desktop 12 SP4", "sled", "12.4", ""),
        ("SUSE Linux Enterprise High Performance Computing 15 SP3-ESPOS", "sle_hpc", "15.3",
         "espos"),
        ("SUSE Linux Enterprise Micro 5.5", "sle-micro", "5.5", ""),
        ("SUSE Linux Micro 6.0", "sl-micro", "6.0", ""),
        ("SUSE Linux Micro Extras 6.0", "sl-micro", "6.0", ""),
        ("SUSE Linux Enterprise Micro for Rancher 5.3", "sle-micro-rancher", "5.3", ""),
        ("SUSE Linux Enterprise High Performance Computing LTSS 15 SP3", "sle_hpc", "15.3",
         "ltss"),
        ("SUSE Linux Enterprise High Performance Computing ESPOS 15 SP4", "sle_hpc", "15.4",
         "espos"),
        ("SUSE Linux Enterprise Desktop 15 SP4 LTSS", "sled", "15.4", "ltss"),
        ("SUSE Real Time Module 15 SP5", ALL, "15.5", ""),
        ("SUSE Linux Enterprise Module for Basesystem 15 SP1", ALL, "15.1", ""),
        ("SUSE Linux Enterprise Module for Desktop Applications 15 SP4", ALL, "15.4", ""),
        ("SUSE Linux Enterprise Module for Legacy Software 12", ALL, "12", ""),
        ("SUSE Linux Enterprise Workstation Extension 12 SP4", ALL, "12.4", ""),
        ("SUSE Linux Enterprise Live Patching 12 SP4", ALL, "12.4", ""),
        ("SUSE Package Hub 15 SP1", ALL, "15.1", ""),
        ("openSUSE Backports SLE-15-SP1", ALL, "15.1", ""),
    ],
)  # fmt: skip
def test_a_product_is_what_os_release_calls_its_hosts(product, ids, release, channel):
    place = placed(product)

    assert place.platforms == tuple(f"{each}:{release}" for each in ids.split())
    assert place.channel == channel


@pytest.mark.parametrize(
    "product",
    [
        "SUSE Manager Server 4.3",
        "SUSE Linux Enterprise Module for SUSE Manager Server 4.1",
        "SUSE Enterprise Storage 7.1",
        "SUSE OpenStack Cloud 9",
        "SUSE Linux Enterprise Point of Sale 11 SP3",
        "SUSE Linux Enterprise Server 12-CLIENT-TOOLS",
        "SUSE Linux Enterprise Server",
        "openSUSE Leap Micro 5.5",
        "Container suse/sle15:15.1",
        "",
    ],
)
def test_other_products_are_not_placed(product):
    assert placed(product) is None


def advisory(ident="SUSE-SU-2020:1-1", packages=("a-1-1",), product="openSUSE Leap 15.1", more=""):
    tree = "".join(
        f'<Relationship ProductReference="{each}" RelatesToProductReference="{product}">'
        f'<FullProductName ProductID="{product}:{each}"/></Relationship>'
        for each in packages
    )
    return (
        f"<cvrfdoc><DocumentTracking><Identification><ID>{ident}</ID></Identification>"
        f"</DocumentTracking><ProductTree>{tree}</ProductTree>{more}</cvrfdoc>"
    ).encode()


@pytest.mark.parametrize(
    ("ident", "kind"),
    [
        ("SUSE-SU-2020:1-1", Kind.SECURITY),
        ("openSUSE-SU-2020:1-1", Kind.SECURITY),
        ("SUSE-RU-2020:1-1", Kind.BUGFIX),
        ("openSUSE-RU-2020:1-1", Kind.BUGFIX),
        ("SUSE-OU-2020:1-1", Kind.ENHANCEMENT),
        ("SUSE-FU-2020:1-1", Kind.ENHANCEMENT),
    ],
)
def test_the_letters_of_an_advisory_say_what_it_is_for(ident, kind):
    (found,) = SUSE.read(URL, advisory(ident)).advisories

    assert (found.ref, found.kind) == (ident, kind)
    assert [(fix.package, fix.fixed) for fix in found.fixes] == [("a", "1-1")]


@pytest.mark.parametrize("ident", ["RHSA-2020:1", "SUSE-XX-2020:1-1", "CVE-2020-1"])
def test_an_advisory_of_somebody_else_is_refused(ident):
    with pytest.raises(FeedMalformedError, match=r"is no advisory of SUSE's$"):
        SUSE.read(URL, advisory(ident))


def flaw(cve, status, products, impact):
    ids = "".join(f"<ProductID>{each}</ProductID>" for each in products)
    return (
        f"<Vulnerability><CVE>{cve}</CVE><ProductStatuses><Status Type='{status}'>{ids}</Status>"
        f"</ProductStatuses><Threats><Threat Type='Impact'><Description>{impact}</Description>"
        "</Threat></Threats></Vulnerability>"
    )


def test_only_what_is_called_fixed_is_a_fix_and_the_worst_flaw_says_how_bad_it_is():
    fixed, other = "openSUSE Leap 15.1:a-1-1", "openSUSE Leap 15.1:b-1-1"
    flaws = (
        flaw("CVE-2020-1000", "Fixed", [fixed], "low")
        + flaw("CVE-2020-1001", "Fixed", [fixed], "important")
        + flaw("CVE-2020-1002", "Known Affected", [other], "not set")
    )

    (found,) = SUSE.read(URL, advisory(packages=("a-1-1", "b-1-1"), more=flaws)).advisories

    assert [fix.package for fix in found.fixes] == ["a"]
    assert found.severity is Severity.HIGH
    assert found.fixes[0].severity is Severity.HIGH
    assert found.cves == ("CVE-2020-1000", "CVE-2020-1001", "CVE-2020-1002")


def test_what_is_no_package_is_set_aside_unless_it_is_much():
    good = [f"p{n}-1-1" for n in range(7)]

    page = SUSE.read(URL, advisory(packages=[*good, "odd"]))

    assert len(page.advisories[0].fixes) == 7
    assert [(each.ref, each.where) for each in page.set_aside] == [
        ("SUSE-SU-2020:1-1", "openSUSE Leap 15.1:odd")
    ]
    with pytest.raises(FeedMalformedError, match=r"2 of 3 packages are not SUSE's, such as .*odd"):
        SUSE.read(URL, advisory(packages=["p-1-1", "odd", "even"]))


def test_a_status_without_a_component_is_set_aside():
    ids = [f"openSUSE Leap 15.1:p{n}-1-1" for n in range(4)]
    flaws = flaw("CVE-2020-1000", "Fixed", [*ids, "openSUSE Leap 15.1:lost-1-1"], "low")

    page = SUSE.read(URL, advisory(packages=[f"p{n}-1-1" for n in range(4)], more=flaws))

    (lost,) = page.set_aside
    assert lost.where == "openSUSE Leap 15.1:lost-1-1"
    assert lost.reason == "is not a component of any product in its product tree"


def test_a_document_that_is_not_well_formed_is_refused():
    with pytest.raises(FeedMalformedError, match=f"^{URL}: not whole XML"):
        SUSE.read(URL, advisory().replace(b"</ProductTree>", b"</Product<Tree>"))


def test_the_listing_is_followed_to_the_advisories_in_it():
    page = b"""<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN"><html><body>
        <a href="?C=M;O=A">Last modified</a> <a href="/pub/projects/security/">Parent</a>
        <a href="cvrf-opensuse-su-2015%3A0225-1.xml">a</a>
        <a href="cvrf-suse-su-2019:1608-1.xml">a colon is no scheme</a>
        <A HREF='./cvrf-suse-ru-2020_1-1.xml'>b</A>
        <a href="/security/cvrf/cvrf-suse-su-2021-2-1.xml">c</a>
        <a href="cvrf-suse-su-2021-2-1.xml">c again</a>
        <a href="https://elsewhere.example/security/cvrf/cvrf-suse-su-2021-3-1.xml">elsewhere</a>
        <a href="../cvrf-cve/cvrf-suse-su-2021-4-1.xml">elsewhere</a>
        <a href="cvrf-CVE-2014-6271.xml">not an advisory</a> <a href="cvrf.tar.bz2">all</a>"""

    assert SUSE.read(URL, page).follow == (
        f"{URL}cvrf-opensuse-su-2015%3A0225-1.xml",
        f"{URL}cvrf-suse-su-2019:1608-1.xml",
        f"{URL}cvrf-suse-ru-2020_1-1.xml",
        f"{URL}cvrf-suse-su-2021-2-1.xml",
    )
    assert SUSE.read(URL, page).stands == (
        "openSUSE-SU-2015:0225-1",
        "SUSE-SU-2019:1608-1",
        "SUSE-RU-2020:1-1",
        "SUSE-SU-2021:2-1",
    )


@pytest.mark.parametrize(
    ("row", "changed"),
    [
        ('<a href="{}">x</a> 2021-09-01 10:20  45K', "2021-09-01+10:20"),
        ('<a href="{}">x</a></td><td>01-Sep-2021 10:20:30</td>', "01-Sep-2021+10:20:30"),
        ('<a href="{}">x</a> 45K', ""),
        ('<a href="{}">x</a> <a href="?">y</a> 2021-09-01 10:20', ""),
    ],
)
def test_a_listing_says_when_each_document_changed(row, changed):
    name = "cvrf-suse-su-2021-2-1.xml"

    (found,) = SUSE.read(URL, f"<html>{row.format(name)}".encode()).follow

    assert found == f"{URL}{name}" + (f"#changed={changed}" if changed else "")
