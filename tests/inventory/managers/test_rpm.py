"""Reading what rpm prints, in the layouts that people use, and Red Hat's manifests."""

import csv
import gzip
from pathlib import Path

import pytest

from inventory.managers import rpm
from patchmgr.domain.packages import Package
from patchmgr.errors import BadFileError

DATA = Path(__file__).parents[2] / "data"
COLUMNS = ("name", "version", "arch", "source", "source_version")
LINE = (
    "openssl-libs\t1\t3.0.7\t27.el9\tx86_64\topenssl-3.0.7-27.el9.src.rpm\t(none)\tRed Hat, Inc.\n"
)


def only(text):
    (package,) = rpm.read(text).packages
    return package


def known(case):
    """Return the packages that another project found in a real image."""
    with (DATA / "cases" / case / "packages.csv").open() as text:
        return {
            Package(*("rpm", *(row[column] for column in COLUMNS)))
            for row in csv.DictReader(text)
            if row["name"] != "gpg-pubkey"
        }


def fields(package):
    epoch, colon, rest = package.version.rpartition(":")
    version, _, release = rest.rpartition("-")
    return package.name, (epoch if colon else "(none)"), version, release, package.arch


def test_the_documented_format_is_read_whole():
    assert only(LINE) == Package(
        "rpm",
        "openssl-libs",
        "1:3.0.7-27.el9",
        "x86_64",
        "openssl",
        "1:3.0.7-27.el9",
        "",
        "Red Hat, Inc.",
    )
    assert rpm.read(LINE).managers == {"rpm"}


@pytest.mark.parametrize("case", ["trivy-centos-6", "trivy-opensuse-leap-15.1"])
@pytest.mark.parametrize("sign", ["\t", "|", ";", " "])
def test_a_real_image_is_read_as_others_read_it(case, sign):
    packages = known(case)
    lines = [
        sign.join(
            (*fields(each), f"{each.source}-{each.source_version.rpartition(':')[2]}.src.rpm")
        )
        for each in packages
    ]

    found = rpm.read("\n".join(lines)).packages

    assert found == packages
    assert len(found) > 50


@pytest.mark.parametrize(
    ("line", "version", "source"),
    [
        ("x\t0\t1\t2.el9\tnoarch", "1-2.el9", ""),
        ("x\t(none)\t1\t2.el9\tnoarch", "1-2.el9", ""),
        ("x\t1\t2.el9\tnoarch", "1-2.el9", ""),
        ("x\t35\t36\tnoarch\ty-35-36.src.rpm", "35-36", "y"),
        ("x\t7:1-2.el9\tnoarch", "7:1-2.el9", ""),
        ("x\t(none):1-2.el9\tnoarch", "1-2.el9", ""),
        ("x 7 1 2.el9 noarch y-1-2.el9.src.rpm", "7:1-2.el9", "y"),
        ("x\t7\t1\t2.el9\tnoarch\ty-z-1-2.el9.nosrc.rpm", "7:1-2.el9", "y-z"),
        ("x\t7\t1\t2.el9\tnoarch\t(none)\t(none)\t(none)\t1700000000", "7:1-2.el9", ""),
        ("x-1-2.el9.noarch", "1-2.el9", ""),
        ("x-7:1-2.el9.noarch", "7:1-2.el9", ""),
        ("x-1-2.el5", "1-2.el5", ""),
    ],
)
def test_other_layouts_are_recognised(line, version, source):
    package = only(line)

    assert (package.name, package.version, package.source) == ("x", version, source)


def test_a_name_may_have_dashes_and_digits():
    assert only("java-1.8.0-openjdk-headless-1:1.8.0.402.b06-2.el9.x86_64").name == (
        "java-1.8.0-openjdk-headless"
    )
    assert only("libstdc++-11.4.1-3.el9.x86_64").name == "libstdc++"


def test_a_module_and_a_vendor_are_kept():
    line = (
        "nodejs|1|18.19.1|1.module+el9.3.0+21388+22892fb9|x86_64|nodejs-18.19.1-1.module+el9.3.0"
        "+21388+22892fb9.src.rpm|nodejs:18:9030020240301111035:rhel9|Red Hat, Inc.|1700000000"
    )

    package = only(line)

    assert (package.module, package.origin) == ("nodejs:18", "Red Hat, Inc.")


def test_keys_of_signatures_are_no_packages_and_every_kernel_is_one():
    text = (
        "gpg-pubkey\t(none)\tfd431d51\t4ae0493b\t(none)\t(none)\n"
        "gpg-pubkey-fd431d51-4ae0493b\n"
        "kernel-core-5.14.0-362.8.1.el9_3.x86_64\n"
        "kernel-core-5.14.0-427.13.1.el9_4.x86_64\r\n"
        "warning: Found bdb_ro Packages database\n"
    )

    assert sorted(each.version for each in rpm.read(text).packages) == [
        "5.14.0-362.8.1.el9_3",
        "5.14.0-427.13.1.el9_4",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x-1-2.el9.noarch\n", False),
        ("x-1-2.el9.noarch\ny-7:1-2.el9.noarch\n", True),
        ("x-0:1-2.el9.noarch\n", True),
        ("x\t1\t2.el9\tnoarch\n", False),
        (LINE, True),
    ],
)
def test_a_listing_without_epochs_says_what_that_means(text, said):
    assert rpm.read(text).notes == (() if said else (rpm.NO_EPOCHS,))


def test_red_hat_s_manifests_are_read():
    path = DATA / "inventories/rpm/httpd-24.rpm-manifest.json.gz"
    text = gzip.decompress(path.read_bytes()).decode()

    packages = {each.name: each for each in rpm.read(text).packages}

    assert len(packages) == 243
    assert packages["bind-libs"] == Package(
        "rpm", "bind-libs", "32:9.16.23-24.el9_5", "x86_64", "bind", "32:9.16.23-24.el9_5"
    )
    assert rpm.read(text).notes == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "rpm listing: lists no installed package"),
        ("<html>\n", "row 1: '<html>' is no line of rpm -qa"),
        (f"{LINE}x\t1\n", "row 2: 'x\\t1' is no line"),
        ("x\ta\t1\t2\tnoarch\n", "is no line"),
        ("x\t0\t1\t2.el9\tnoarch\tThe summary of a package\n", "is no line"),
        (f"x\t0\t1\t{'2' * 201}\tnoarch\n", "is longer than 200 characters"),
        ('{"rpms": {}}', "column rpms: is no JSON list"),
        ('{"rpms": [1]}', "column rpms[0]: is no JSON object"),
        ('{"rpms": [{"name": "x", "version": [], "release": "1"}]}', "rpms[0].version: '[]'"),
        ('{"rpms": [{"name": "x", "version": "1"}]}', "rpms[0]: 'x' has no name, version"),
        ('{"rpms": [', "is not whole JSON"),
        ('{"rpms": ' + "[" * 100_000, "is nested deeper"),
    ],
)
def test_what_is_no_listing_is_said_with_its_line(text, why):
    with pytest.raises(BadFileError) as error:
        rpm.read(text)

    assert why in str(error.value)
