"""What a host runs, from os-release and what older systems have instead."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory import os_release
from inventory.os_release import OsRelease
from patchmgr.domain.matching import platforms_of
from patchmgr.errors import BadFileError

DATA = Path(__file__).parents[1] / "data/inventories/os-release"
PLATFORMS = {
    "alma-9": "almalinux:9.6",
    "alpine-3.20": "alpine:3.20.7",
    "amazon-1": "amzn:2018.03",
    "amazon-2": "amzn:2",
    "amazon-2023": "amzn:2023",
    "archarm": "archarm:rolling",
    "azurelinux-3": "azurelinux:3.0",
    "centos-7": "centos:7",
    "centos-stream-9": "centos:9",
    "cos-97": "cos:97",
    "debian-12": "debian:12",
    "debian-sid": "debian:rolling",
    "fedora-40": "fedora:40",
    "kali-2025.4": "kali:2025.4",
    "leap-15.5": "opensuse-leap:15.5",
    "mint-22": "linuxmint:22",
    "openeuler": "openeuler:24.03",
    "openwrt-22.03": "openwrt:22.03.4",
    "oracle-8": "ol:8.9",
    "rhel-8": "rhel:8.0",
    "rocky-8": "rocky:8",
    "sle-micro-5.1": "suse-microos:5.1",
    "sles-15.7": "sles:15.7",
    "tumbleweed": "opensuse-tumbleweed:20240823",
    "ubuntu-22.04": "ubuntu:22.04",
    "wolfi": "wolfi:20230201",
    "wrlinux-7": "wrlinux:7.0.0.2",
}


def test_every_file_that_we_have_is_expected():
    assert {path.name for path in DATA.iterdir()} == PLATFORMS.keys()


@pytest.mark.parametrize("name", PLATFORMS)
def test_real_files_are_read(name):
    text = (DATA / name).read_text()

    assert os_release.read(text).platform == PLATFORMS[name]
    assert os_release.read("\ufeff" + text.replace("\n", "\r\n")) == os_release.read(text)


def test_what_it_is_like_and_called_is_kept():
    mint = os_release.read((DATA / "mint-22").read_text())

    assert mint == OsRelease("linuxmint", "22", ("ubuntu", "debian"), "Linux Mint 22")


def test_the_snapshot_of_a_rolling_release_is_that_release():
    assert platforms_of("opensuse-tumbleweed:20240823") == (
        "opensuse-tumbleweed:20240823",
        "opensuse-tumbleweed:rolling",
    )


@pytest.mark.parametrize(
    ("text", "system"),
    [
        ("ID=debian\nVERSION_ID=12", "debian:12"),
        ("ID='debian'\nVERSION_ID='12'", "debian:12"),
        ('ID="deb\\ian"\nVERSION_ID="1\\2"', "debian:12"),
        ("ID=deb\\ian\nVERSION_ID=12 # a comment", "debian:12"),
        ('ID="debian" # a comment\nVERSION_ID="12" trailing', "debian:12"),
        ("# ID=no\n  ID=debian  \n\nnonsense\n=\nVERSION_ID=12", "debian:12"),
        ("ID=ubuntu\nID=debian\nVERSION_ID=11\nVERSION_ID=12", "debian:12"),
        ("ID=debian\nVERSION_ID=", "debian:rolling"),
        ('ID=debian\nVERSION_ID=""', "debian:rolling"),
        ("ID=DEBIAN\rVERSION_ID=12\r", "debian:12"),
        ('NAME="it\'s \\"quoted\\""\nID=a.b_c-d\nVERSION_ID=1.2~beta+1', "a.b_c-d:1.2~beta+1"),
    ],
)
def test_values_are_read_as_a_shell_reads_them(text, system):
    assert os_release.read(text).system == system


@pytest.mark.parametrize(
    ("file", "text", "system"),
    [
        ("debian_version", "12.5\n", "debian:12"),
        ("/etc/debian_version", "trixie/sid\n", "debian:rolling"),
        ("alpine-release", "3.19.1\n", "alpine:3.19.1"),
        ("redhat-release", "Red Hat Enterprise Linux release 8.9 (Ootpa)\n", "rhel:8.9"),
        ("x", "Red Hat Enterprise Linux Server release 6.10 (Santiago)", "rhel:6.10"),
        ("centos-release", "CentOS release 6.10 (Final)", "centos:6"),
        ("centos-release", "CentOS Linux release 7.9.2009 (Core)", "centos:7"),
        ("centos-release", "CentOS Stream release 9", "centos:9"),
        ("system-release", "Amazon Linux release 2 (Karoo)", "amzn:2"),
        ("system-release", "Amazon Linux AMI release 2018.03", "amzn:2018.03"),
        ("system-release", "Rocky Linux release 9.3 (Blue Onyx)", "rocky:9.3"),
        ("system-release", "AlmaLinux release 9.3 (Shamrock Pampas Cat)", "almalinux:9.3"),
        ("oracle-release", "Oracle Linux Server release 8.9", "ol:8.9"),
        ("fedora-release", "Fedora release 39 (Thirty Nine)", "fedora:39"),
    ],
)
def test_older_files_count_where_there_is_no_os_release(file, text, system):
    assert os_release.read(text, file).system == system


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "os-release: column ID: is missing"),
        ("<html>", "column ID: is missing"),
        ("VERSION_ID=12\n", "column ID: is missing"),
        ('ID=""\n', "column ID: is missing"),
        ("\n\nID='a b'\n", "row 3, column ID: 'a b' is not a value of os-release"),
        (f"ID={'a' * 65}\n", "is longer than 64 characters"),
        ("ID=debian\nVERSION_ID='$(reboot)'\n", "row 2, column VERSION_ID: '$(reboot)' is not"),
        ("ID=debian\nVERSION_ID='\x00'\n", "has control characters"),
        ("A=" + "x" * 70_000, "is longer than any such file is"),
    ],
)
def test_what_does_not_say_is_refused(text, why):
    with pytest.raises(BadFileError) as error:
        os_release.read(text)

    assert why in str(error.value)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("debian_version", ""),
        ("debian_version", "kali-rolling\n"),
        ("alpine-release", "3.19 and more"),
        ("redhat-release", "release\n"),
        ("redhat-release", "Some Thing release 9!"),
    ],
)
def test_an_older_file_that_says_nothing_is_refused(file, text):
    with pytest.raises(BadFileError, match="does not say which release"):
        os_release.read(text, file)


@given(st.text(), st.sampled_from(["os-release", "debian_version", "redhat-release"]))
def test_whatever_it_holds_it_is_a_system_or_refused(text, file):
    for content in (text, f"ID={text}", f'ID=debian\nVERSION_ID="{text}"', f"{text} release 9"):
        try:
            found = os_release.read(content, file)
        except BadFileError:
            continue
        assert found.os_id
        assert ":" in found.system
