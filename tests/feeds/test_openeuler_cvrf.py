"""openEuler's CVRF: one platform a service pack, arches, epochs, and the index."""

import pytest

from patchmgr.domain.advisories import Severity, Status
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds import FEEDS

OPENEULER = FEEDS["openeuler-cvrf"]
URL = "https://mirror.example/security/data/cvrf/index.txt"
CPE = "cpe:/a:openEuler:openEuler:"


def advisory(*rpms, fixed=("22.03-LTS-SP1",), ident="openEuler-SA-2024-1"):
    """One advisory; each of ``rpms`` is (release, arch, file name)."""
    branches = "".join(
        f'<Branch Type="Package Arch" Name="{arch}">'
        f'<FullProductName ProductID="x" CPE="{CPE}{release}">{name}</FullProductName></Branch>'
        for release, arch, name in rpms
    )
    statuses = "".join(f"<ProductID>openEuler-{release}</ProductID>" for release in fixed)
    return (
        f"<cvrfdoc><DocumentTracking><Identification><ID>{ident}</ID></Identification>"
        "</DocumentTracking><DocumentNotes><Note Title='Severity'>Critical</Note></DocumentNotes>"
        f"<ProductTree>{branches}</ProductTree><Vulnerability><CVE>CVE-2024-1000</CVE>"
        f"<ProductStatuses><Status Type='Fixed'>{statuses}</Status></ProductStatuses>"
        "</Vulnerability></cvrfdoc>"
    ).encode()


def statements(*rpms, **more):
    (found,) = OPENEULER.read(URL, advisory(*rpms, **more)).advisories
    return [fix for fix in found.fixes if fix.status is Status.AFFECTED]


@pytest.mark.parametrize(
    ("release", "platform"),
    [
        ("20.03-LTS", "openeuler:20.03-lts"),
        ("20.03-LTS-SP1", "openeuler:20.03-lts-sp1"),
        ("24.03-LTS-Next", "openeuler:24.03-lts-next"),
        ("21.09", "openeuler:21.09"),
    ],
)
def test_every_service_pack_is_a_platform_of_its_own(release, platform):
    (fix,) = statements((release, "x86_64", "a-1-1.oe1.x86_64.rpm"), fixed=[release])

    assert (fix.platform, fix.package, fix.fixed) == (platform, "a", "1-1.oe1")
    assert fix.severity is Severity.CRITICAL


def test_service_packs_have_their_own_fixed_versions():
    fixes = statements(
        ("22.03-LTS-SP1", "noarch", "a-1-1.oe2203sp1.noarch.rpm"),
        ("22.03-LTS-SP3", "noarch", "a-1-2.oe2203sp3.noarch.rpm"),
        fixed=["22.03-LTS-SP1", "22.03-LTS-SP3"],
    )

    assert {fix.platform: fix.fixed for fix in fixes} == {
        "openeuler:22.03-lts-sp1": "1-1.oe2203sp1",
        "openeuler:22.03-lts-sp3": "1-2.oe2203sp3",
    }


def test_arches_are_named_where_a_package_is_not_built_for_all():
    release = "22.03-LTS-SP1"

    fixes = statements(
        (release, "x86_64", "a-1-1.x86_64.rpm"),
        (release, "aarch64", "a-1-1.aarch64.rpm"),
        (release, "x86_64", "only-1-1.x86_64.rpm"),
        (release, "noarch", "doc-1-1.noarch.rpm"),
        (release, "src", "a-1-1.src.rpm"),
        (release, "x86_64", "a-debuginfo-1-1.x86_64.rpm"),
    )

    assert {fix.package: fix.arch for fix in fixes} == {"a": "", "only": "x86_64", "doc": ""}


def test_a_package_installed_with_an_epoch_is_not_judged_by_a_version_without_one():
    rpm = ("22.03-LTS-SP1", "x86_64", "openssl-1.1.1m-2.oe2203sp1.x86_64.rpm")

    (found,) = OPENEULER.read(URL, advisory(rpm)).advisories

    assert [(fix.status, fix.introduced, fix.fixed) for fix in found.fixes] == [
        (Status.AFFECTED, "", "1.1.1m-2.oe2203sp1"),
        (Status.UNDETERMINED, "1:0", ""),
    ]


def test_a_release_that_no_flaw_is_called_fixed_in_is_skipped():
    page = OPENEULER.read(
        URL,
        advisory(
            ("22.03-LTS-SP1", "x86_64", "a-1-1.x86_64.rpm"),
            ("22.03-LTS-SP2", "x86_64", "a-1-1.x86_64.rpm"),
        ),
    )

    assert {fix.platform for fix in page.advisories[0].fixes} == {"openeuler:22.03-lts-sp1"}
    assert page.skipped == {"openEuler-22.03-LTS-SP2, not called fixed": 1}


def test_what_is_no_package_is_set_aside_unless_it_is_much():
    good = [("22.03-LTS-SP1", "x86_64", f"p{n}-1-1.x86_64.rpm") for n in range(6)]

    page = OPENEULER.read(
        URL, advisory(*good, ("22.03-LTS-SP1", "x86_64", "odd"), ("7", "x86_64", "q-1-1"))
    )

    assert [(each.where, each.reason) for each in page.set_aside] == [
        ("odd", "is not the file name of an rpm package"),
        ("q-1-1", f"its release '{CPE}7' is none of openEuler's"),
    ]
    with pytest.raises(FeedMalformedError, match="1 of 2 packages are not openEuler's"):
        OPENEULER.read(URL, advisory(good[0], ("7", "x86_64", "q-1-1")))


def test_an_advisory_of_somebody_else_is_refused():
    with pytest.raises(FeedMalformedError, match="'SUSE-SU-2020:1-1' is no advisory of openEuler"):
        OPENEULER.read(URL, advisory(ident="SUSE-SU-2020:1-1"))


def test_the_index_is_followed():
    index = b"""2021/cvrf-openEuler-SA-2021-1033.xml\r
/2023/cvrf-openEuler-SA-2023-1374.xml
2021/cvrf-openEuler-SA-2021-1033.xml

2024/cvrf-openEuler-SA-2024-1349.xml
../../elsewhere.xml"""

    page = OPENEULER.read(URL, index)

    assert page.follow == tuple(
        f"https://mirror.example/security/data/cvrf/{name}"
        for name in (
            "2021/cvrf-openEuler-SA-2021-1033.xml",
            "2023/cvrf-openEuler-SA-2023-1374.xml",
            "2024/cvrf-openEuler-SA-2024-1349.xml",
        )
    )
    assert [each.where for each in page.set_aside] == ["../../elsewhere.xml"]


def test_an_index_of_something_else_is_refused():
    with pytest.raises(FeedMalformedError, match=f"^{URL}: not an index .*'dists/stable/Release'"):
        OPENEULER.read(URL, b"dists/stable/Release\n2021/cvrf-openEuler-SA-2021-1033.xml")
