"""What advisories speak of, per installed package. The values are those of the archive."""

import pytest

from patchmgr.domain.signed import judged_source


def judged(name, version, source="", source_version="", *, platform="debian:12", manager="dpkg"):
    return judged_source(manager, platform, name, version, source, source_version)


@pytest.mark.parametrize(
    ("source", "source_version", "signed"),
    [
        ("linux-signed-amd64", "6.1.187+1", ("linux", "6.1.187-1")),
        ("linux-signed-arm64", "6.1.192+2", ("linux", "6.1.192-2")),
        ("linux-signed-i386", "4.19.118+2+deb10u1", ("linux", "4.19.118-2+deb10u1")),
        ("linux-signed-amd64", "5.10.46+5~bpo10+1", ("linux", "5.10.46-5~bpo10+1")),
        ("linux-signed-6.12-amd64", "6.12.117+1~deb12u1", ("linux-6.12", "6.12.117-1~deb12u1")),
        ("linux-signed-amd64", "6.12~rc6+1~exp1", ("linux", "6.12~rc6-1~exp1")),
    ],
)
def test_a_kernel_is_judged_as_the_linux_that_was_signed(source, source_version, signed):
    assert judged("linux-image-amd64", "6.1.0-1", source, source_version) == signed


def test_a_kernel_without_a_source_version_already_has_that_of_linux():
    kernel = judged("linux-image-6.1.0-50-amd64", "6.1.187-1", "linux-signed-amd64")

    assert kernel == ("linux", "6.1.187-1")


@pytest.mark.parametrize(
    ("name", "version", "signed"),
    [
        ("grub-efi-amd64-signed", "1+2.06+13+deb12u1", ("grub2", "2.06-13+deb12u1")),
        ("grub-efi-arm64-signed", "1+2.02+dfsg1+20+deb10u4", ("grub2", "2.02+dfsg1-20+deb10u4")),
        ("grub-efi-ia32-signed", "1+2.12~rc1+12~bpo12+1", ("grub2", "2.12~rc1-12~bpo12+1")),
        ("shim-helpers-amd64-signed", "1+15.8+1~deb12u1", ("shim", "15.8-1~deb12u1")),
        (
            "shim-helpers-i386-signed",
            "1+15+1533136590.3beb971+7",
            ("shim", "15+1533136590.3beb971-7"),
        ),
        ("fwupd-amd64-signed", "1.5.7+4", ("fwupd", "1.5.7-4")),
        ("fwupd-amd64-signed", "1:1.4+1", ("fwupd-efi", "1:1.4-1")),
        ("fwupd-efi-arm64-signed", "1:1.7+1", ("fwupd-efi", "1:1.7-1")),
    ],
)
def test_boot_code_is_judged_as_what_was_signed(name, version, signed):
    assert judged(name, version) == signed
    assert judged(name, version, name, version) == signed


def test_shim_signed_carries_a_shim_and_its_scripts_do_not():
    version, source = "1.44~1+deb12u1+15.8-1~deb12u1", ("shim-signed", "1.44~1+deb12u1")

    assert judged("shim-signed", version, *source) == ("shim", "15.8-1~deb12u1")
    assert judged("shim-signed", "1.33+15+1533136590.3beb971-7", "shim-signed", "1.33") == (
        "shim",
        "15+1533136590.3beb971-7",
    )
    assert judged("shim-signed-common", version, *source) == source


def test_a_form_that_is_not_expected_stays_as_it_is():
    assert judged("grub-efi-amd64-signed", "2.06") == ("grub-efi-amd64-signed", "2.06")
    assert judged("x", "1", "linux-signed-amd64", "odd") == ("linux-signed-amd64", "odd")
    assert judged("grub-efi-amd64-signed", "2.06+13+1") == ("grub-efi-amd64-signed", "2.06+13+1")
    assert judged("fwupd-amd64-signed", "1.5.7") == ("fwupd-amd64-signed", "1.5.7")
    assert judged("python3-signedjson", "1.1.1-2", "python-signedjson", "1.1.1-2") == (
        "python-signedjson",
        "1.1.1-2",
    )


def test_without_source_fields_a_package_is_its_own_source():
    assert judged("bash", "5.2.15-2+b7") == ("bash", "5.2.15-2+b7")
    assert judged("bash", "5.2.15-2+b7", "bash", "5.2.15-2") == ("bash", "5.2.15-2")
    assert judged("libssl3", "3.0.15-1", "openssl") == ("openssl", "3.0.15-1")
    assert judged("bash", "5.2.15-2+b7", "", "5.2.15-2") == ("bash", "5.2.15-2+b7")


@pytest.mark.parametrize(
    "name", ["zope-interface", "Zope.Interface", "zope__interface", "zope_-.interface"]
)
def test_a_python_package_has_one_name_however_it_is_written(name):
    assert judged(name, "5.0", manager="pypi") == ("zope-interface", "5.0")


def test_only_debian_signs_this_way():
    signed = ("linux-image", "5.15.0-91.101", "linux-signed-amd64", "5.15.0+1")

    assert judged(*signed, platform="ubuntu:22.04") == ("linux-signed-amd64", "5.15.0+1")
    assert judged(*signed, manager="rpm") == ("linux-signed-amd64", "5.15.0+1")
