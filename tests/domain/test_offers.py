"""What can be installed instead of what is installed, and where nothing can be said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.advisories import Fix, Match, Status
from patchmgr.domain.matching import Subject
from patchmgr.domain.offers import NOT_YET, Offer, Offers, Supply, repositories_of


def offer(version, name="libssl3", suite="bookworm", source="openssl", **more):
    """An offer for Debian 12, whose source has the version of the package if nothing is said."""
    source_version = more.pop("source_version", version)
    arch = more.pop("arch", "amd64")
    return Offer(
        more.pop("platform", "debian:12"),
        suite,
        more.pop("manager", "dpkg"),
        name,
        version,
        arch,
        source,
        source_version,
        **more,
    )


def have(version, name="libssl3", source="openssl", **more):
    return Subject(
        more.pop("platform", "debian:12"),
        more.pop("manager", "dpkg"),
        name,
        version,
        source,
        more.pop("source_version", version),
        more.pop("arch", "amd64"),
        **more,
    )


def rpm(version, arch="x86_64", platform="rhel:9", **more):
    return offer(version, "httpd", "appstream", platform=platform, manager="rpm", arch=arch, **more)


def have_rpm(version, arch="x86_64", platform="rhel:9", **more):
    return have(version, "httpd", platform=platform, manager="rpm", arch=arch, **more)


def updates(offers, *installed, held=()):
    found = Offers(offers).updates(installed, held)
    return [(each.package, each.installed, each.offered, each.suites) for each in found]


@pytest.mark.parametrize(
    ("installed", "offered", "is_update"),
    [
        (have("3.0.15-1"), offer("3.0.17-1"), True),
        (have("3.0.17-1"), offer("3.0.17-1"), False),
        (have("3.0.17-1"), offer("3.0.15-1"), False),
        (have("3.0.9-1"), offer("3.0.15-1"), True),  # versions, not texts
        (have("3.0.15-1", arch="i386"), offer("3.0.17-1"), False),
        (have("3.0.15-1"), offer("3.0.17-1", arch="all"), True),
        (have("3.0.15-1", arch="all"), offer("3.0.17-1"), True),
        (have("3.0.15-1", arch=""), offer("3.0.17-1"), True),
        (have("3.0.15-1", platform="debian:13"), offer("3.0.17-1"), False),
        (have("3.0.15-1", manager="pypi"), offer("3.0.17-1"), False),
        (have("3.0.15-1"), offer("3.0.17-1", name="libssl1.1"), False),
        (have("18.1-1nodesource1"), offer("18.2-1"), False),  # somebody else's package
        (have("3.0.15-1", origin="Debian"), offer("3.0.17-1"), True),
        (have("3.0.15-1", origin="NodeSource"), offer("3.0.17-1"), False),
        (have("not a version"), offer("3.0.17-1"), False),
        (have("3.0.15-1"), offer("not a version"), False),
        (have_rpm("2.4-1", arch="i686"), rpm("2.4-2"), False),
        (have_rpm("2.4-1", platform="rhel:9.4"), rpm("2.4-2"), True),
        (have_rpm("2.4-1", platform="rhel:9/eus"), rpm("2.4-2"), True),
        (have_rpm("2.4-1", platform="centos:7"), rpm("2.4-2", platform="rhel:7"), False),
        (have_rpm("2.4-1"), rpm("2.4-2", module="httpd:2.4"), False),
        (have_rpm("2.4-1", module="httpd:2.4"), rpm("2.4-2", module="httpd:2.4"), True),
        (have_rpm("2.4-1", module="httpd:2.4"), rpm("2.4-2", module="httpd:2.6"), False),
        (have_rpm("2.4-1", module="httpd:2.4"), rpm("2.4-2"), False),
        (have_rpm("2.4-1.module+el8+1+ab"), rpm("2.4-2", module="httpd:2.4"), False),  # which one?
    ],
)
def test_an_update_is_a_newer_version_for_the_same_machine_and_stream(
    installed, offered, is_update
):
    assert bool(updates([offered], installed)) is is_update


def test_the_newest_of_all_suites_is_offered_and_every_suite_that_has_it_named():
    offers = [
        offer("3.0.16-1"),
        offer("3.0.17-1", suite="bookworm-security"),
        offer("3.0.17-1", suite="bookworm-updates"),
    ]

    assert updates(offers, have("3.0.15-1")) == [
        ("libssl3", "3.0.15-1", "3.0.17-1", ("bookworm-security", "bookworm-updates"))
    ]


def test_of_several_installed_versions_the_newest_counts():
    offers = [rpm("2.4-3")]

    assert updates(offers, have_rpm("2.4-3"), have_rpm("2.4-1")) == []
    assert updates(offers, have_rpm("2.4-1"), have_rpm("2.4-2")) == [
        ("httpd", "2.4-2", "2.4-3", ("appstream",))
    ]


def test_a_held_package_is_an_update_and_said_to_be_held():
    (found,) = Offers([offer("3.0.17-1")]).updates([have("3.0.15-1")], held={"libssl3"})

    assert found.held


@pytest.mark.parametrize(
    ("percents", "phased", "caution"),
    [
        ([30], 30, "phased at 30 %: may not be offered to this host yet"),
        ([30, 100], 100, ""),
        ([100], 100, ""),
    ],
)
def test_an_update_says_to_how_many_hosts_it_is_offered(percents, phased, caution):
    offers = [
        offer("3.0.17-1", suite=f"suite-{number}", phased=percent)
        for number, percent in enumerate(percents)
    ]

    (found,) = Offers(offers).updates([have("3.0.15-1")])

    assert (found.offered, found.phased, found.caution) == ("3.0.17-1", phased, caution)


def fix(fixed="3.0.17-1", package="openssl", match=Match.SOURCE, **more):
    return Fix("debian:12", package, match, Status.AFFECTED, fixed, scheme="dpkg", **more)


OLD = have("3.0.15-1")


@pytest.mark.parametrize(
    ("offers", "subject", "said", "words"),
    [
        ([offer("3.0.17-1")], OLD, fix(), "bookworm offers 3.0.17-1"),
        ([offer("3.0.18-1")], OLD, fix(), "bookworm offers 3.0.18-1"),
        ([offer("3.0.16-1")], OLD, fix(), NOT_YET),
        ([offer("3.0.15-1")], OLD, fix(), NOT_YET),
        # The version of the source decides, that of the package is what is offered.
        ([offer("9:1-1", source_version="3.0.17-1")], OLD, fix(), "bookworm offers 9:1-1"),
        ([offer("3.0.17-1", source_version="3.0.16-1")], OLD, fix(), NOT_YET),
        ([offer("3.0.17-1", source="other")], OLD, fix(), NOT_YET),
        (
            [offer("3.0.17-1", source_version="1")],
            OLD,
            fix(package="libssl3", match=Match.BINARY),
            "bookworm offers 3.0.17-1",
        ),
        (
            [offer("3.0.17-1"), offer("3.0.17-1", suite="bookworm-security")],
            OLD,
            fix(),
            "bookworm and bookworm-security offer 3.0.17-1",
        ),
        # Some hosts only, by apt's lot: an older fix for all of them goes before it.
        (
            [offer("3.0.18-1", phased=20)],
            OLD,
            fix(),
            "bookworm offers 3.0.18-1, phased at 20 %: may not be offered to this host yet",
        ),
        ([offer("3.0.18-1", phased=100)], OLD, fix(), "bookworm offers 3.0.18-1"),
        (
            [offer("3.0.18-1", phased=20), offer("3.0.17-1", suite="bookworm-security")],
            OLD,
            fix(),
            "bookworm-security offers 3.0.17-1",
        ),
        (
            [offer("3.0.18-1", phased=0), offer("3.0.16-1", suite="bookworm-security")],
            OLD,
            fix(),
            "bookworm offers 3.0.18-1, phased at 0 %: may not be offered to this host yet",
        ),
        (
            [offer("3.0.17-1", phased=20), offer("3.0.17-1", suite="bookworm-security")],
            OLD,
            fix(),
            "bookworm and bookworm-security offer 3.0.17-1",
        ),
        # Nothing can be said: no repository, not the one it comes from, or not for everybody.
        ([], OLD, fix(), None),
        ([offer("3.0.17-1", name="bash")], OLD, fix(), None),
        ([offer("3.0.14-1")], OLD, fix(), None),
        ([offer("3.0.16-1")], OLD, fix(channel="esm-infra"), None),
        ([offer("3.0.16-1")], OLD, fix(""), None),
        ([offer("3.0.16-1")], OLD, fix("not a version"), None),
        (
            [offer("6.1.1-1", name="linux-image-6.1.0-37-amd64", source="linux")],
            have("6.1.1-1", name="linux-image-6.1.0-37-amd64", source="linux"),
            fix("6.1.2-1", package="linux"),
            None,
        ),
        (
            [offer("1.2-1", name="grub-efi-amd64-signed", source="grub-efi-amd64-signed")],
            have("1.2-1", name="grub-efi-amd64-signed", origin="Somebody else"),
            fix(),
            None,
        ),
    ],
)
def test_whether_a_fix_can_be_had(offers, subject, said, words):
    supply = Offers(offers).supply(subject, said)

    assert (supply and supply.words) == words


def test_a_signed_build_is_offered_as_the_source_that_it_was_signed_from():
    signed = offer(
        "6.1.190-1",
        name="linux-image-amd64",
        source="linux-signed-amd64",
        source_version="6.1.190+1",
    )
    installed = have("6.1.187-1", name="linux-image-amd64", source="linux")

    supply = Offers([signed]).supply(installed, fix("6.1.190-1", package="linux"))

    assert supply == Supply("6.1.190-1", ("bookworm",))


@pytest.mark.parametrize(
    ("platform", "repositories"),
    [
        ("debian:12", ("debian:12",)),
        ("rhel:9.4", ("rhel:9.4", "rhel:9")),
        ("ubuntu:22.04/esm-infra", ("ubuntu:22.04", "ubuntu:22")),
        ("centos:7", ("centos:7",)),
        ("", ("",)),
    ],
)
def test_a_host_installs_from_the_repositories_of_its_own_vendor(platform, repositories):
    assert repositories_of(platform) == repositories


VERSIONS = st.from_regex(r"[0-9]{1,2}(\.[0-9]{1,2}){0,2}-[0-9]", fullmatch=True)


@given(VERSIONS, st.lists(VERSIONS, max_size=5), VERSIONS)
def test_what_reaches_a_fix_is_an_update_of_what_has_it_not(installed, offered, fixed):
    offers = Offers(offer(version) for version in offered)
    subject = have(installed)

    supply = offers.supply(subject, fix(fixed))
    newer = offers.updates([subject])

    if supply and supply.suites and Offers([offer(fixed)]).updates([subject]):
        assert [each.offered for each in newer] == [supply.version]
    if supply is None:
        assert not newer
