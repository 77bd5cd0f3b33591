"""What is installed where: the names of platforms, and what their versions look like."""

import pytest

from patchmgr.domain.packages import (
    MANAGERS,
    SYSTEMS,
    channels,
    entitled,
    platform,
    release_of,
    scheme_of_platform,
)


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("debian:12", "dpkg"),
        ("debian:rolling", "dpkg"),
        ("ubuntu:22.04", "dpkg"),
        ("rhel:9.4", "rpm"),
        ("opensuse-leap:15.1", "rpm"),
        ("amzn:2023", "rpm"),
        ("alpine:3.19", "apk"),
        ("arch:rolling", "alpm"),
        ("pypi", "pep440"),
        ("npm", "semver"),
        ("plan9:4", ""),
        ("windows:10.0", "nuget"),
        ("dpkg", ""),
        ("", ""),
    ],
)
def test_a_platform_says_what_its_versions_look_like(name, scheme):
    assert scheme_of_platform(name) == scheme


def test_every_system_has_one_package_manager_that_we_read():
    ids = [os_id for names in SYSTEMS.values() for os_id in names.split()]

    assert len(ids) == len(set(ids))
    assert set(SYSTEMS) <= set(MANAGERS)
    assert not set(ids) & set(MANAGERS)


def test_a_release_without_a_number_is_rolling():
    assert platform("arch", "") == "arch:rolling"
    assert platform("", "12") == ""


@pytest.mark.parametrize(
    ("release", "entitlements", "judged"),
    [
        ("ubuntu:20.04", ["esm-infra", "esm-apps", "esm-infra"], "ubuntu:20.04/esm-apps,esm-infra"),
        ("rhel:8.6", ["eus"], "rhel:8.6/eus"),
        ("debian:12", [], "debian:12"),
        ("", [], ""),
    ],
)
def test_what_a_host_is_entitled_to_is_part_of_what_its_packages_are_judged_as(
    release, entitlements, judged
):
    assert entitled(release, entitlements) == judged
    assert release_of(judged) == release
    assert channels(judged) == set(entitlements)
