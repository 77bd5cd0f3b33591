"""Operating systems by the names that consoles and people give them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain import os_names


@pytest.mark.parametrize(
    ("name", "version", "system"),
    [
        ("RHEL 8.6", "", ("rhel", "8.6")),
        ("RedHat 7.9", "", ("rhel", "7.9")),
        ("Red Hat Enterprise Linux 8.6 (Ootpa)", "", ("rhel", "8.6")),
        ("Red Hat Enterprise Linux release 8.6", "", ("rhel", "8.6")),
        ("Linux Red Hat", "8.6", ("rhel", "8.6")),
        ("Linux Red Hat", "Red Hat Enterprise Linux release 8.6 (Ootpa)", ("rhel", "8.6")),
        ("Linux CentOS", "7.9.2009", ("centos", "7")),
        ("Linux Amazon", "2", ("amzn", "2")),
        ("CentOS_Stream 9", "", ("centos", "9")),
        ("RockyLinux 9.3", "", ("rocky", "9.3")),
        ("RHEL 8", "8.6", ("rhel", "8.6")),
        ("CentOS 7.9.2009", "", ("centos", "7")),
        ("CentOS Stream 9", "", ("centos", "9")),
        ("Rocky Linux", "9.3 (Blue Onyx)", ("rocky", "9.3")),
        ("AlmaLinux 9.2", "", ("almalinux", "9.2")),
        ("Oracle Linux Server 8.9", "", ("ol", "8.9")),
        ("Fedora Linux 41", "", ("fedora", "41")),
        ("Amazon Linux", "2", ("amzn", "2")),
        ("Amazon Linux 2023", "", ("amzn", "2023")),
        ("Amazon Linux AMI", "2018.03", ("amzn", "2018.03")),
        ("SLES 15 SP4", "", ("sles", "15.4")),
        ("SUSE Linux Enterprise Server 12", "", ("sles", "12")),
        ("openSUSE Leap 15.5", "", ("opensuse-leap", "15.5")),
        ("Debian GNU/Linux 12 (bookworm)", "", ("debian", "12")),
        ("Debian", "12.4", ("debian", "12")),
        ("debian:12", "", ("debian", "12")),
        ("Ubuntu 22.04.3 LTS", "", ("ubuntu", "22.04")),
        ("Ubuntu 22.04 LTS", "jammy", ("ubuntu", "22.04")),
        ("Alpine Linux v3.18", "", ("alpine", "3.18")),
        ("Arch Linux", "6.7.4-arch1-1", ("arch", "rolling")),
        ("Microsoft Windows Server 2019 Datacenter", "", ("windows", "10.0.17763")),
        ("Microsoft® Windows Server® 2016 Standard", "", ("windows", "10.0.14393")),
        ("Windows Server 2012 R2 Standard", "", ("windows", "6.3.9600")),
        ("Microsoft Windows NT Server 10.0", "10.0.17763.5576", ("windows", "10.0.17763")),
        ("Windows 10 Enterprise, version 22H2", "", ("windows", "10.0.19045")),
        ("Windows 11 Pro", "23H2", ("windows", "10.0.22631")),
    ],
)
def test_a_name_that_says_system_and_release_is_read(name, version, system):
    assert os_names.read(name, version) == system


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("", ""),
        ("Linux", "5.14.0"),
        ("Debian", ""),
        ("Debian", "bookworm"),
        ("Ubuntu 22", ""),
        ("Red Hat 7", "8.6"),
        ("Red Hat Enterprise Linux for SAP", "8.6"),
        ("AIX 7.2", ""),
        ("macOS 14.2", ""),
        ("Windows", ""),
        ("Windows 10 Enterprise", ""),
        ("Microsoft Windows NT Server 10.0", ""),
        ("Windows Server 2019", "10.0.14393"),
        ("Windows Server 2022, 23H2 edition", ""),
        ("Debianish 12", ""),
    ],
)
def test_what_does_not_say_both_or_contradicts_itself_is_nothing(name, version):
    assert os_names.read(name, version) is None


@given(st.text(), st.text())
def test_any_text_is_read_or_not_and_what_is_read_is_a_platform(name, version):
    found = os_names.read(name, version)

    assert found is None or (found.os_id and found.os_release)
