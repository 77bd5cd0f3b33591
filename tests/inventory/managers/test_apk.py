"""Reading apk's database and what apk prints."""

from pathlib import Path

import pytest

from inventory.managers import apk
from patchmgr.domain.packages import Package
from patchmgr.errors import BadFileError

INSTALLED = Path(__file__).parents[2] / "data/inventories/apk/scalibr-installed"


def only(text):
    (package,) = apk.read(text).packages
    return package


def test_the_database_says_what_each_package_was_built_from():
    packages = {each.name: each for each in apk.read(INSTALLED.read_text()).packages}

    assert len(packages) == 15
    assert packages["busybox-binsh"] == Package(
        "apk", "busybox-binsh", "1.36.0-r9", "x86_64", "busybox", "1.36.0-r9"
    )
    assert packages["alpine-baselayout-data"].source == "alpine-baselayout"


def test_what_apk_prints_is_what_its_database_says():
    known = apk.read(INSTALLED.read_text()).packages
    brief = "".join(f"{each.name}-{each.version}\n" for each in known)
    long = "".join(
        f"{each.name}-{each.version} {each.arch} {{{each.source}}} (MIT AND (A OR B)) [installed]\n"
        for each in known
    )

    assert apk.read(long).packages == known
    assert {(p.name, p.version) for p in apk.read(brief).packages} == {
        (p.name, p.version) for p in known
    }
    assert {p.source for p in apk.read(brief).packages} == {""}


@pytest.mark.parametrize(
    ("line", "name", "version"),
    [
        ("musl-1.2.4-r2", "musl", "1.2.4-r2"),
        ("musl-1.2.4-r2 - the musl c library (libc) implementation", "musl", "1.2.4-r2"),
        ("lib-2-3-r0", "lib-2", "3-r0"),
        ("gtk+3.0-3.24.38-r1", "gtk+3.0", "3.24.38-r1"),
        ("ca-certificates-bundle-20230506-r0", "ca-certificates-bundle", "20230506-r0"),
        (".build-deps-20240101.120000", ".build-deps", "20240101.120000"),
        (".build-deps-0", ".build-deps", "0"),
        ("x-4.19_git20230717-r1", "x", "4.19_git20230717-r1"),
    ],
)
def test_name_and_version_are_parted_at_the_right_dash(line, name, version):
    package = only(line + "\n")

    assert (package.name, package.version) == (name, version)


def test_of_an_upgradable_package_the_installed_version_counts():
    line = "zlib-1.3.1-r0 x86_64 {zlib} (Zlib) [upgradable from: zlib-1.2.13-r1]\n"
    offered = "curl-8.9.1-r0 x86_64 {curl} (curl)"

    assert only(line).version == "1.2.13-r1"
    assert only(f"{line}{offered} [available]\n").name == "zlib"


def test_warnings_are_passed_over():
    assert only("WARNING: opening /cache: No such file\nfetch https://x/y\nx-1-r0\n").name == "x"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "lists no installed package"),
        ("<html>\n", "row 1: '<html>' is no line of apk info -v"),
        ("x-1-r0\ny\n", "row 2: 'y' is no line"),
        ("P:x\nA:x86_64\n\n", "row 1, column V: 'x' has no name and version"),
        ("C:Q1\n\nP:x\nV:1-r0\n", "row 1, column P: has no name"),
        ("P:x\nV:1-r0\nnonsense\n", "row 3: 'nonsense' is not a field"),
        ("P:x y\nV:1-r0\n", "has no name and version"),
        (f"P:x\nV:1-r0\no:{'o' * 201}\n", "column source: "),
    ],
)
def test_what_is_no_listing_is_said_with_its_line(text, why):
    with pytest.raises(BadFileError) as error:
        apk.read(text)

    assert why in str(error.value)
