"""Microsoft's CVRF: which Windows a product is, which build fixes it, what later months tell."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from patchmgr.domain.advisories import Advisory, Fix, Match, Severity, Status
from patchmgr.domain.packages import SCHEME_OF_MANAGER
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds import FEEDS
from patchmgr.feeds.vendors.msrc import updates, windows

MSRC = FEEDS["msrc"]
URL = "https://api.example/cvrf/2026-Nov"
CLIENT, SERVER, CORE = "windows-client", "windows-server", "windows-server-core"


@pytest.mark.parametrize(
    ("product", "package", "arch", "build"),
    [
        ("Windows 10 for 32-bit Systems", CLIENT, "x86", "10.0.10240"),
        ("Windows 10 Version 1607 for x64-based Systems", CLIENT, "amd64", "10.0.14393"),
        ("Windows 10 Version 22H2 for ARM64-based Systems", CLIENT, "arm64", "10.0.19045"),
        ("Windows 11 version 21H2 for x64-based Systems", CLIENT, "amd64", "10.0.22000"),
        ("Windows 11 Version 23H2 for x64-based Systems", CLIENT, "amd64", "10.0.22631"),
        ("Windows 11 Version 29H2 for x64-based Systems", CLIENT, "amd64", ""),
        ("Windows 7 for x64-based Systems Service Pack 1", CLIENT, "amd64", "6.1.7601"),
        ("Windows 8.1 for 32-bit systems", CLIENT, "x86", "6.3.9600"),
        ("Windows RT 8.1", CLIENT, "", "6.3.9600"),
        ("Windows Server 2016", SERVER, "", "10.0.14393"),
        ("Windows Server 2016  (Server Core installation)", CORE, "", "10.0.14393"),
        ("Windows Server, version 1709  (Server Core Installation)", CORE, "", "10.0.16299"),
        ("Windows Server 2022", SERVER, "", "10.0.20348"),
        ("Windows Server 2022, 23H2 Edition (Server Core installation)", CORE, "", "10.0.25398"),
        ("Windows Server 2025 (Server Core installation)", CORE, "", "10.0.26100"),
        ("Windows Server 2031", SERVER, "", ""),
        ("Windows Server 2012 R2", SERVER, "", "6.3.9600"),
        ("Windows Server 2008 for 32-bit Systems Service Pack 2 (Server Core installation)",
         CORE, "x86", "6.0.6003"),
        ("Windows Server 2008 R2 for Itanium-Based Systems Service Pack 1",
         SERVER, "ia64", "6.1.7601"),
    ],
)  # fmt: skip
def test_a_product_is_an_installation(product, package, arch, build):
    assert windows.installation(product) == (package, arch, build)


@pytest.mark.parametrize(
    "product",
    [
        "Adobe Flash Player on Windows Server 2016",
        "Microsoft XML Core Services 3.0 on Windows 7 for 32-bit Systems Service Pack 1",
        "Microsoft Edge (Chromium-based)",
        "Azure Linux 3.0 x64",
        "Windows Malicious Software Removal Tool 64-bit",
        "Windows Subsystem for Linux (WSL2)",
        "",
    ],
)
def test_what_is_not_windows_itself_is_none(product):
    assert windows.installation(product) is None


def test_windows_is_a_manager_whose_versions_the_feed_speaks():
    assert SCHEME_OF_MANAGER["windows"] == updates.SCHEME


def remedy(kb, *products, build="", sub="Security Update", restart="Yes"):
    ids = "".join(f"<ProductID>{each}</ProductID>" for each in products)
    return (
        f"<Remediation Type='Vendor Fix'><Description>{kb}</Description>{ids}"
        f"<RestartRequired>{restart}</RestartRequired><SubType>{sub}</SubType>"
        f"<FixedBuild>{build}</FixedBuild></Remediation>"
    )


def flaw(*remedies, products=("1",), ident="CVE-2026-1000", status="Known Affected"):
    ids = "".join(f"<ProductID>{each}</ProductID>" for each in products)
    return (
        f"<Vulnerability><CVE>{ident}</CVE><ProductStatuses><Status Type='{status}'>{ids}</Status>"
        "</ProductStatuses><Threats><Threat Type='Severity'><Description>Moderate</Description>"
        f"</Threat></Threats><Remediations>{''.join(remedies)}</Remediations></Vulnerability>"
    )


def month(*flaws, ident="2026-Nov", **products):
    """A month's document; ``products`` are p1="Windows …" for the product of id 1."""
    tree = "".join(
        f"<FullProductName ProductID='{key[1:]}'>{name}</FullProductName>"
        for key, name in (products or {"p1": "Windows Server 2022"}).items()
    )
    return (
        f"<cvrfdoc><DocumentTracking><Identification><ID>{ident}</ID></Identification>"
        "<InitialReleaseDate>2026-11-10T08:00:00</InitialReleaseDate></DocumentTracking>"
        f"<ProductTree>{tree}</ProductTree>{''.join(flaws)}</cvrfdoc>"
    ).encode()


def said(*flaws, **products):
    return [
        (fix.package, fix.status, fix.fixed, fix.reason, fix.channel)
        for advisory in MSRC.read(URL, month(*flaws, **products)).advisories
        for fix in advisory.fixes
    ]


def test_a_fix_is_a_build_of_the_release():
    (advisory,) = MSRC.read(
        URL, month(flaw(remedy("5033118", "1", build="10.0.20348.2159")))
    ).advisories

    assert (advisory.ref, advisory.cves) == ("CVE-2026-1000", ("CVE-2026-1000",))
    assert advisory.published == datetime(2026, 11, 10, 8, tzinfo=UTC)
    assert advisory.fixes == (
        Fix(
            platform="windows:10.0.20348",
            package="windows-server",
            match=Match.BINARY,
            status=Status.AFFECTED,
            fixed="10.0.20348.2159",
            severity=Severity.MEDIUM,
            reason="KB5033118",
            scheme="nuget",
            after="reboot",
        ),
    )


@pytest.mark.parametrize(("restart", "after"), [("Yes", "reboot"), ("No", ""), ("Maybe", "")])
def test_a_restart_follows_where_it_is_required(restart, after):
    remedies = remedy("1", "1", build="10.0.20348.1", restart=restart)

    (advisory,) = MSRC.read(URL, month(flaw(remedies))).advisories

    assert [fix.after for fix in advisory.fixes] == [after]


def test_a_hotpatch_is_for_hosts_enrolled_for_them():
    assert said(
        flaw(
            remedy("1", "1", build="10.0.20348.2159"),
            remedy("2", "1", build="10.0.20348.2144", sub="Security Hotpatch Update"),
            remedy("3", "1", build="10.0.20348.2145", sub="SecurityHotpatchUpdate"),
        )
    ) == [
        (SERVER, Status.AFFECTED, "10.0.20348.2159", "KB1", ""),
        (SERVER, Status.AFFECTED, "10.0.20348.2144", "KB2 or KB3", "hotpatch"),
    ]


def test_of_one_kind_the_last_update_is_needed_and_of_several_kinds_one():
    old = {"p1": "Windows Server 2012 R2"}

    assert said(
        flaw(
            remedy("1", "1", build="6.3.9600.20", sub="Monthly Rollup"),
            remedy("2", "1", build="6.3.9600.100", sub="Monthly Rollup"),
            remedy("3", "1", build="6.3.9600.99", sub="Security Only"),
            remedy("4", "1", build="1.001", sub="IE Cumulative"),
        ),
        **old,
    ) == [(SERVER, Status.AFFECTED, "6.3.9600.99", "KB2 or KB3", "")]


@pytest.mark.parametrize(
    ("kb", "build", "reason"),
    [
        ("4012606", "", "fixed by KB4012606; no build number is given"),
        ("4012606", "1.001", "fixed by KB4012606; its build is given as '1.001'"),
        ("4012606", "10.0.20349.1", "fixed by KB4012606; its build is given as '10.0.20349.1'"),
        ("4012606", "https://aka.ms/x", "fixed by KB4012606; its build is given as 'https://aka.ms/x'"),
        ("Release Notes", "", "fixed by Release Notes; no build number is given"),
        ("", "", "fixed by an update without a name; no build number is given"),
    ],
)  # fmt: skip
def test_an_update_without_a_build_of_the_release_tells_nothing(kb, build, reason):
    assert said(flaw(remedy(kb, "1", build=build))) == [
        (SERVER, Status.UNDETERMINED, "", reason, "")
    ]


def test_the_build_of_a_sister_release_is_replaced_by_what_the_month_says_elsewhere():
    win10 = {"p1": "Windows 10 Version 21H2 for x64-based Systems"}
    wrong = flaw(remedy("5033372", "1", build="10.0.19041.3803"))
    right = flaw(remedy("5033372", "1", build="10.0.19044.3803"), ident="CVE-2026-1001")

    assert [each[2] for each in said(wrong, right, **win10)] == ["10.0.19044.3803"] * 2


def test_a_product_without_an_update_has_no_fix():
    assert said(flaw(remedy("1", "2", build="10.0.20348.1"))) == [
        (SERVER, Status.NO_FIX, "", "Microsoft names no update for it", "")
    ]


def test_a_release_newer_than_this_program_is_known_by_its_fix():
    (advisory,) = MSRC.read(
        URL,
        month(
            flaw(remedy("1", "1", build="10.0.31337.5")),
            p1="Windows 11 Version 29H2 for x64-based Systems",
        ),
    ).advisories

    assert [(fix.platform, fix.fixed) for fix in advisory.fixes] == [
        ("windows:10.0.31337", "10.0.31337.5")
    ]


def test_a_newer_release_without_a_build_is_skipped_by_name():
    page = MSRC.read(URL, month(flaw(remedy("1", "1")), p1="Windows Server 2031"))

    assert (page.advisories, page.skipped) == ((), {"Windows Server 2031": 1})


def test_arches_are_named_where_not_all_of_a_release_are_affected():
    of = "Windows 11 Version 23H2 for {}-based Systems".format
    fix = remedy("1", "1", "2", build="10.0.22631.9")

    both = MSRC.read(URL, month(flaw(fix, products="12"), p1=of("x64"), p2=of("ARM64")))
    one = MSRC.read(URL, month(flaw(fix, products="2"), p1=of("x64"), p2=of("ARM64")))

    assert [each.arch for each in both.advisories[0].fixes] == [""]
    assert [each.arch for each in one.advisories[0].fixes] == ["arm64"]


def test_a_vulnerability_without_an_id_is_set_aside_unless_there_are_many():
    good = [flaw(remedy("1", "1"), ident=f"CVE-2026-{n}") for n in range(1000, 1003)]
    odd = flaw(remedy("1", "1"), ident="X-1")

    page = MSRC.read(URL, month(*good, odd))

    assert [(each.where, each.reason) for each in page.set_aside] == [
        ("X-1", "neither a CVE nor one of Microsoft's")
    ]
    with pytest.raises(FeedMalformedError, match=r"1 of 3 vulnerabilities are not .* 'X-1'"):
        MSRC.read(URL, month(*good[:2], odd))


@pytest.mark.parametrize("ident", ["SUSE-SU-2020:1-1", "openEuler-SA-2021-1001", "2026"])
def test_what_is_no_month_is_refused(ident):
    with pytest.raises(FeedMalformedError, match=r"is no month of Microsoft's$"):
        MSRC.read(URL, month(ident=ident))


def test_the_list_of_months_is_followed():
    listed = [{"ID": f"2026-{name}", "CvrfUrl": f"https://api.example/cvrf/2026-{name}"}
              for name in ("Oct", "Nov", "Nov")]  # fmt: skip

    page = MSRC.read(URL, json.dumps({"@odata.context": "x", "value": listed}).encode())

    assert page.follow == ("https://api.example/cvrf/2026-Oct", "https://api.example/cvrf/2026-Nov")


@pytest.mark.parametrize("value", [[], [{}], [{"CvrfUrl": "file:///etc/passwd"}], None])
def test_a_list_without_addresses_is_refused(value):
    with pytest.raises(FeedMalformedError, match=f"^{URL}: "):
        MSRC.read(URL, json.dumps({"value": value}).encode())


UNKNOWN = Fix("windows:10.0.14393", SERVER, Match.BINARY, Status.UNDETERMINED, scheme="nuget")


def fixed(build):
    return replace(UNKNOWN, status=Status.AFFECTED, fixed=build)


def joined(*said):
    """Return the first of ``said``, (month, fixes), as the feed joins them."""
    advisories = tuple(
        Advisory(f"CVE-{n}", published=datetime(*at, 10, tzinfo=UTC), fixes=fixes)
        for n, (at, *fixes) in enumerate(said)
    )
    return [fix.last_affected for fix in MSRC.join(advisories)[0].fixes]


def test_a_later_month_tells_from_which_build_a_flaw_is_surely_fixed():
    assert joined(
        ((2017, 3), UNKNOWN),
        ((2021, 5), fixed("10.0.14393.4350"), fixed("10.0.14393.4402")),
        ((2021, 6), fixed("10.0.14393.4467")),
        ((2017, 2), fixed("10.0.14393.1000")),
    ) == ["10.0.14393.4401"]


def test_neither_the_same_month_nor_another_release_or_a_hotpatch_tells():
    assert joined(
        ((2021, 5), UNKNOWN),
        ((2021, 5), fixed("10.0.14393.4402")),
        ((2021, 6), replace(fixed("10.0.17763.1"), platform="windows:10.0.17763")),
        ((2021, 6), replace(fixed("10.0.14393.4403"), package=CLIENT)),
        ((2021, 6), replace(fixed("10.0.14393.4404"), channel="hotpatch")),
    ) == [""]
