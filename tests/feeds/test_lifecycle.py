"""End of support: what the dates of each list mean."""

from datetime import date

import pytest

from patchmgr.domain.lifecycle import Support
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds import FEEDS

LIFECYCLE = FEEDS["lifecycle"]
DEBIAN = "version,codename,series,created,release,eol,eol-lts,eol-elts\n"
UBUNTU = "version,codename,series,created,release,eol,eol-server,eol-esm\n"


def read(name, text, platform=""):
    return LIFECYCLE.read(name, text.encode(), platform)


def test_the_first_day_without_support_follows_the_last_one_with_it():
    row = "12,Bookworm,bookworm,2021-08-14,2023-06-10,2026-07-11,2028-06-30,2033-12-31\n"

    assert read("dir/debian.csv", DEBIAN + row).support == (
        Support("debian:12", "", "standard", date(2026, 7, 12)),
        Support("debian:12", "", "lts", date(2028, 7, 1)),
        Support("debian:12", "", "elts", date(2034, 1, 1)),
    )


def test_ubuntu_has_names_behind_its_numbers_and_ends_of_its_own():
    row = "6.06 LTS,Dapper Drake,dapper,2005-10-12,2006-06-01,2009-07-14,2011-06-01,2012-01-01\n"

    assert read("ubuntu.csv", UBUNTU + row).support == (
        Support("ubuntu:6.06", "", "standard", date(2011, 6, 2), "desktops until 2009-07-14"),
        Support("ubuntu:6.06", "", "esm", date(2012, 1, 2)),
    )


def test_the_columns_tell_whose_releases_they_are_when_the_name_does_not():
    row = "12,x,x,2021-08-14,2023-06-10,2026-07\n"

    assert read("releases.csv", DEBIAN + row).support == (
        Support("debian:12", "", "standard", date(2026, 8, 1)),
    )


def test_a_release_whose_end_is_not_named_has_none_and_unstable_has_no_release():
    text = DEBIAN + "14,Forky,forky,2025-08-09\n,Sid,sid,1993-08-16\n"

    assert read("debian.csv", text).support == (Support("debian:14", "", "standard", None),)


def test_a_package_may_lose_support_before_its_release():
    text = "# comment\n\nxen  4.11-1  2021-08-28  https://example.org/\nnode-.*\t0 2020-02-20\n"

    assert read("dir/security-support-ended.deb10", text).support == (
        Support(
            "debian:10",
            "xen",
            "ended",
            date(2021, 8, 28),
            "supported until version 4.11-1; https://example.org/",
        ),
        Support("debian:10", "node-.*", "ended", date(2020, 2, 20)),
    )


def test_support_may_have_conditions():
    text = "adns    Stub resolver only\nbinutils\n"

    assert read("security-support-limited", text, "debian:12").support == (
        Support("debian:12", "adns", "limited", None, "Stub resolver only"),
        Support("debian:12", "binutils", "limited", None),
    )


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("security-support-limited", "adns", "name it with --platform, such as debian:12"),
        ("security-support-ended.deb12", "", "the document is empty"),
        ("security-support-ended.deb12", "<html>maintenance</html>", "1 of 1 lines cannot be read"),
        ("security-support-ended.deb12", "xen 1.0", "line 1: '' is no date"),
        ("debian.csv", "", "neither a table of releases"),
        ("debian.csv", "a,b\n1,2\n", "neither a table of releases"),
        ("releases.csv", "version,codename,series,created,release,eol\n", "name it debian.csv"),
        ("debian.csv", DEBIAN + "12,x,x,,,soon\n", "line 2: 'x': 'soon' is no date"),
        ("debian.csv", DEBIAN + "twelve,x,x,,,2020-01-01\n", "'twelve' is no release"),
        ("debian.csv", DEBIAN + "12,x,x,,,2020-13-01\n", "month must be in 1..12"),
        ("debian.csv", DEBIAN + '"12\n', "not CSV: "),
    ],
)
def test_what_is_no_such_list_is_refused(name, text, said):
    with pytest.raises(FeedMalformedError) as error:
        read(name, text)

    assert str(error.value).startswith(f"{name}: ")
    assert said in str(error.value)


def test_only_the_systems_of_the_fleet_are_asked_for():
    assert LIFECYCLE.addresses(frozenset({"debian:12", "rhel:9"})) == LIFECYCLE.start[:1]
