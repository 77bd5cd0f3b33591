"""Several kernels installed: the one that runs counts, and the one that boots next."""

import pytest

from patchmgr.domain.kernels import idle, kernel_of, newest_installed


@pytest.mark.parametrize(
    ("package", "release"),
    [
        (("dpkg", "linux-image-6.1.0-13-amd64", "6.1.55-1", "amd64"), "6.1.0-13-amd64"),
        (("dpkg", "linux-image-6.1.0-13-amd64-unsigned", "6.1.55-1", "amd64"), "6.1.0-13-amd64"),
        (("dpkg", "linux-image-6.1.0-13-cloud-arm64", "6.1.55-1", "arm64"), "6.1.0-13-cloud-arm64"),
        (("dpkg", "linux-headers-6.1.0-13-amd64", "6.1.55-1", "amd64"), "6.1.0-13-amd64"),
        (("dpkg", "linux-modules-5.15.0-9-generic", "5.15.0-9.101", "amd64"), "5.15.0-9-generic"),
        (("dpkg", "linux-image-6.5.0-1014-aws", "6.5.0-1014.14", "arm64"), "6.5.0-1014-aws"),
        (("dpkg", "linux-modules-extra-6.5.0-9-generic", "6.5.0-9.9", ""), "6.5.0-9-generic"),
        (("dpkg", "linux-cloud-tools-6.5.0-9-azure", "6.5.0-9.9", ""), "6.5.0-9-azure"),
        (("dpkg", "linux-headers-5.15.0-91", "5.15.0-91.101", "all"), "5.15.0-91"),
        (("dpkg", "linux-image-6.12.6+deb13-amd64", "6.12.6-1", "amd64"), "6.12.6+deb13-amd64"),
        (("dpkg", "linux-image-6.1.0-0.deb11.13-cloud-amd64", "6.1.55-1~bpo11+1", "amd64"),
         "6.1.0-0.deb11.13-cloud-amd64"),
        (("dpkg", "linux-image-amd64", "6.1.55-1", "amd64"), None),
        (("dpkg", "linux-image-generic", "5.15.0.91.88", "amd64"), None),
        (("dpkg", "linux-tools-common", "5.15.0-91.101", "all"), None),
        (("dpkg", "linux-libc-dev", "6.1.55-1", "amd64"), None),
        (("rpm", "kernel-core", "4.18.0-513.5.1.el8_9", "x86_64"), "4.18.0-513.5.1.el8_9.x86_64"),
        (("rpm", "kernel", "0:3.10.0-1160.el7", "x86_64"), "3.10.0-1160.el7.x86_64"),
        (("rpm", "kernel", "3.10.0-1160.el7", ""), "3.10.0-1160.el7"),
        (("rpm", "kernel", "3.10.0/1160", "x86_64"), None),  # what cannot be ordered
        (("rpm", "kernel-default", "5.14.21-1500.55.7.1", "x86_64"), "5.14.21-1500.55.7-default"),
        (("rpm", "kernel-rt", "5.14.21-1500.55.7.1", "x86_64"), "5.14.21-1500.55.7-rt"),
        (("rpm", "kernel-rt", "3.10.0-1160.rt56.1131.el7", "x86_64"),
         "3.10.0-1160.rt56.1131.el7.x86_64"),
        (("rpm", "kernel-rt-core", "4.18.0-513.rt7.307.el8_9", "x86_64"),
         "4.18.0-513.rt7.307.el8_9.x86_64"),
        (("rpm", "kernel-rt-core", "5.14.0-503.el9_5", "x86_64"), "5.14.0-503.el9_5.x86_64+rt"),
        (("rpm", "kernel-rt-debug-modules-core", "5.14.0-503.el9_5", "x86_64"),
         "5.14.0-503.el9_5.x86_64+rt-debug"),
        (("rpm", "kernel-64k-core", "5.14.0-503.el9_5", "aarch64"),
         "5.14.0-503.el9_5.aarch64+64k"),
        (("rpm", "kernel-debug-core", "6.5.6-300.fc39", "x86_64"), "6.5.6-300.fc39.x86_64+debug"),
        (("rpm", "kernel-uek-core", "5.15.0-200.131.27.el9uek", "x86_64"),
         "5.15.0-200.131.27.el9uek.x86_64"),
        (("rpm", "kernel6.12", "6.12.22-27.96.amzn2023", "x86_64"),
         "6.12.22-27.96.amzn2023.x86_64"),
        (("rpm", "kernel", "6.6.51.1-5.azl3", "x86_64"), "6.6.51.1-5.azl3"),
        (("rpm", "kernel-livepatch-6.1.94-99.176", "1.0-0.amzn2023", "x86_64"), None),
        (("rpm", "kernel-tools", "4.18.0-513.5.1.el8_9", "x86_64"), None),
        (("rpm", "kernel-headers", "4.18.0-513.5.1.el8_9", "x86_64"), None),
        (("apk", "linux-lts", "6.6.1-r0", "x86_64"), None),
        (("pypi", "kernel", "1.0", ""), None),
    ],
)  # fmt: skip
def test_a_package_belongs_to_the_release_that_uname_prints(package, release):
    kernel = kernel_of(*package)

    assert (kernel and kernel.release) == release


def debian(*abis, flavour="amd64"):
    packages = {
        f"6.1.0-{abi}-{flavour}": (f"linux-image-6.1.0-{abi}-{flavour}", f"6.1.{abi}-1")
        for abi in abis
    }
    return {
        release: kernel_of("dpkg", name, version, "amd64")
        for release, (name, version) in packages.items()
    }


def test_kernels_that_neither_run_nor_boot_next_are_idle():
    assert idle("6.1.0-20-amd64", debian(9, 10, 20, 21)) == {"6.1.0-9-amd64", "6.1.0-10-amd64"}


def test_the_newest_is_told_by_version_not_by_text_nor_by_its_place():
    assert idle("6.1.0-10-amd64", debian(9, 10)) == {"6.1.0-9-amd64"}
    assert idle("6.1.0-9-amd64", debian(21, 9, 10)) == {"6.1.0-10-amd64"}


@pytest.mark.parametrize("running", ["", "6.1.0-99-amd64", "5.10.0-1-custom"])
def test_nothing_is_called_idle_when_it_is_not_known_what_runs(running):
    assert idle(running, debian(9, 10, 20)) == frozenset()


def test_each_flavour_has_a_newest_of_its_own():
    kernels = debian(9, 10) | debian(9, flavour="rt-amd64")

    assert idle("6.1.0-10-amd64", kernels) == {"6.1.0-9-amd64"}


@pytest.mark.parametrize(
    ("older", "running", "newest"),
    [
        ("6.12.6+deb13-amd64", "6.12.9+deb13-amd64", "6.12.41+deb13-amd64"),
        ("6.1.0-0.deb11.9-amd64", "6.1.0-0.deb11.13-amd64", "6.1.0-0.deb11.21-amd64"),
        ("6.1.0-9-amd64", "6.11.10+bpo-amd64", "6.12.41+deb13-amd64"),  # after an upgrade
        ("5.15.0-88-generic", "5.15.0-91-generic", "6.5.0-28-generic"),  # hardware enablement
        ("6.1.0-9-5kc-malta", "6.1.0-10-5kc-malta", "6.1.0-11-5kc-malta"),
        ("6.5.0-1009-aws", "6.5.0-1014-aws", "6.8.0-1008-aws"),
    ],
)
def test_what_a_release_is_of_is_told_by_what_follows_its_numbers(older, running, newest):
    others = ("6.1.0-1-rt-amd64", "6.1.0-1-4kc-malta")
    kernels = {
        release: kernel_of("dpkg", f"linux-image-{release}", release.rpartition("-")[0], "amd64")
        for release in (older, running, newest, *others)
    }

    assert idle(running, kernels) == {older}


def test_headers_without_a_flavour_are_of_the_kernel_that_runs():
    names = (
        "image-5.15.0-88-generic",
        "headers-5.15.0-88",
        "headers-5.15.0-8",
        "headers-5.15.0-91",
    )
    kernels = {
        name: kernel_of("dpkg", f"linux-{name}", f"5.15.0-{name.split('-')[2]}.98", "")
        for name in names
    }

    assert idle("5.15.0-88-generic", kernels) == {"headers-5.15.0-8"}


def test_variants_of_one_version_are_kernels_of_their_own():
    kernels = {
        (name, build): kernel_of("rpm", name, f"5.14.0-{build}.el9_5", "x86_64")
        for name in ("kernel-core", "kernel-rt-core")
        for build in (427, 503, 570)
    }

    assert idle("5.14.0-503.el9_5.x86_64+rt", kernels) == {
        ("kernel-rt-core", 427),
        ("kernel-core", 427),
        ("kernel-core", 503),
    }


def dpkg(release, version):
    return "dpkg", f"linux-image-{release}", version, "amd64"


DEBIAN = [
    dpkg("6.1.0-9-amd64", "6.1.27-1"),
    dpkg("6.1.0-18-amd64", "6.1.76-1"),
    dpkg("6.1.0-40-amd64", "6.1.153-1"),
    dpkg("6.1.0-41-rt-amd64", "6.1.158-1"),
    ("dpkg", "linux-headers-6.1.0-42-amd64", "6.1.159-1", "amd64"),
]
RED_HAT = [
    ("rpm", "kernel-core", "5.14.0-427.13.1.el9_4", "x86_64"),
    ("rpm", "kernel-core", "5.14.0-503.11.1.el9_5", "x86_64"),
    ("rpm", "kernel-modules", "5.14.0-570.1.1.el9_6", "x86_64"),
]
TRIXIE = [
    dpkg("6.12.9+deb13-amd64", "6.12.9-1"),
    dpkg("6.12.41+deb13-amd64", "6.12.41-1"),
]
ALPINE = [
    ("apk", "linux-lts", "6.6.9-r0", "x86_64"),
    ("apk", "linux-lts", "6.6.58-r0", "x86_64"),
    ("apk", "linux-firmware", "2026-r0", ""),
]


@pytest.mark.parametrize(
    ("running", "packages", "listed", "newest"),
    [
        ("6.1.0-18-amd64", DEBIAN, (), "6.1.0-40-amd64"),
        ("6.1.0-40-amd64", DEBIAN, (), "6.1.0-40-amd64"),
        ("6.1.0-10-amd64", DEBIAN, (), "6.1.0-40-amd64"),  # the one that runs was removed
        ("6.1.0-41-rt-amd64", DEBIAN, (), "6.1.0-41-rt-amd64"),
        ("6.1.0-8-amd64", DEBIAN[:2], (), "6.1.0-18-amd64"),
        ("6.12.8+deb13-amd64", TRIXIE, (), "6.12.41+deb13-amd64"),
        ("5.14.0-427.13.1.el9_4.x86_64", RED_HAT, (), "5.14.0-503.11.1.el9_5.x86_64"),
        ("6.6.50-0-lts", ALPINE, (), "6.6.58-0-lts"),
        ("6.6.58-0-lts", ALPINE, (), "6.6.58-0-lts"),
        ("6.6.58-0-virt", ALPINE, (), ""),  # another flavour
        ("6.1.0-9-amd64", (), ("6.1.0-9-amd64", "6.1.0-10-amd64"), "6.1.0-10-amd64"),
        ("6.1.0-9-amd64", (), ("6.1.0-10-amd64",), ""),  # what runs is not among them
        ("6.1.0-9-amd64", (), ("6.1.0-9-amd64", "6.9.0-1-cloud"), "6.1.0-9-amd64"),
        ("6.18.44-cloud-provider", DEBIAN, (), ""),
        ("6.1.0", (), (), ""),
        ("6.1.0-9-amd64", (), ("6.1.0-9-amd64", "6.1.0.1-2-amd64"), "6.1.0.1-2-amd64"),
        ("6.1.0", (), ("6.1.0", "6.2.0", "6.3.0-1-amd64"), "6.2.0"),
        ("5.14.0-427.el9.x86_64", (), ("5.14.0-427.el9.x86_64", "5.14.0-503.el9.x86_64"),
         "5.14.0-503.el9.x86_64"),
        ("5.14.0-427.el9.x86_64", (), ("5.14.0-427.el9.x86_64", "5.14.0-503.el9.x86_64+rt"),
         "5.14.0-427.el9.x86_64"),
    ],
)  # fmt: skip
def test_the_newest_kernel_of_the_line_that_runs(running, packages, listed, newest):
    assert newest_installed(running, packages, listed) == newest
