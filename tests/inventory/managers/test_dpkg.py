"""Reading dpkg's own listings: real ones, and every odd form that dpkg has."""

from pathlib import Path

import pytest

from inventory.managers import READERS, dpkg
from patchmgr.domain.packages import Package
from patchmgr.errors import BadFileError

DATA = Path(__file__).parents[2] / "data" / "inventories" / "dpkg"


def listing(name):
    return dpkg.read((DATA / f"{name}.status").read_text())


def brief(text):
    return sorted(f"{each.name} {each.version}" for each in dpkg.read(text).packages)


def stanza(**fields):
    given = {"Package": "x", "Status": "install ok installed", "Version": "1"} | fields
    return "".join(f"{name}: {value}\n" for name, value in given.items() if value) + "\n"


def test_the_report_format_is_registered():
    assert READERS["dpkg"].read is dpkg.read


def test_a_package_removed_but_for_its_configuration_is_not_installed():
    packages = listing("trivy-valid").packages

    assert len(packages) == 90
    assert "git" not in {each.name for each in packages}


def test_a_source_is_read_with_its_own_version_or_has_the_package_s():
    packages = {each.name: each for each in listing("scalibr-valid").packages}

    assert len(packages) == 7
    assert packages["libacl1"] == Package("dpkg", "libacl1", "2.3.1-3", "amd64", "acl", "2.3.1-3")
    assert packages["util-linux-extra"].source_version == "2.38.1-5"
    assert packages["util-linux-extra"].version == "2.38.1-5+b1"
    assert packages["adduser"].source == "adduser"


def test_blank_lines_and_a_missing_last_line_end_mean_nothing():
    assert [each.name for each in listing("scalibr-trailingnewlines").packages] == ["acl"]
    assert [each.name for each in listing("scalibr-transitional").packages] == ["iceweasel"]
    assert brief(stanza().rstrip()) == ["x 1"]


def test_the_status_files_of_distroless_images_list_what_is_installed():
    assert brief("Package: base-files\nVersion: 12.4\nArchitecture: amd64\n") == ["base-files 12.4"]


@pytest.mark.parametrize(
    ("status", "there"),
    [
        ("install ok installed", True),
        ("hold ok installed", True),
        ("deinstall ok installed", True),
        ("install ok unpacked", True),
        ("install ok half-configured", True),
        ("install reinstreq half-installed", True),
        ("install ok triggers-awaited", True),
        ("install ok triggers-pending", True),
        ("deinstall ok config-files", False),
        ("purge ok not-installed", False),
    ],
)
def test_what_has_files_on_the_machine_counts(status, there):
    other = stanza(Package="other")
    line = f"x\t1\tall\tx\t1\t{status}\nother\t1\n"

    assert brief(stanza(Status=status) + other) == ["other 1", *["x 1"] * there]
    assert brief(line) == ["other 1", *["x 1"] * there]


@pytest.mark.parametrize(
    ("line", "source"),
    [
        ("x\t2-1+b1\tamd64", ("", "")),
        ("x\t2-1+b1\tamd64\t", ("x", "2-1+b1")),
        ("x\t2-1+b1\tamd64\ts", ("s", "2-1+b1")),
        ("x\t2-1+b1\tamd64\ts (2-1)", ("s", "2-1")),
        ("x\t2-1+b1\tamd64\ts (2-1)\tinstall ok installed", ("s", "2-1")),
        ("x\t2-1+b1\tamd64\t\tii ", ("x", "2-1+b1")),
        ("x\t2-1+b1\tamd64\tinstall ok installed", ("", "")),
        ("x:amd64\t2-1+b1\tii ", ("", "")),
        ("x 2-1+b1 amd64", ("", "")),
        ("x:amd64=2-1+b1", ("", "")),
        ("x|2-1+b1|amd64|s (2-1)", ("s", "2-1")),
        ("x,2-1+b1,amd64,s,2-1,install ok installed", ("s", "2-1")),
    ],
)
def test_shorter_layouts_of_dpkg_query_leave_the_source_unknown(line, source):
    (package,) = dpkg.read(f"{line}\ny\t1\tall\tdeinstall ok config-files\n").packages

    assert (package.name, package.arch) == ("x", "amd64")
    assert (package.source, package.source_version) == source


@pytest.mark.parametrize("abbreviation", ["ii ", "hi ", "iF ", "iU"])
def test_the_abbreviated_status_of_dpkg_query_is_read(abbreviation):
    assert brief(f"x\t1\tall\tx\t1\t{abbreviation}\n") == ["x 1"]


def test_a_status_may_stand_first():
    text = "ii \tbash\t5.2.15-2+b2\nhi \tnginx\t1.22-1\tamd64\nrc \told\t1.0\tall\n"

    listing = dpkg.read(text)

    assert {(each.name, each.version) for each in listing.packages} == {
        ("bash", "5.2.15-2+b2"),
        ("nginx", "1.22-1"),
    }
    assert listing.held == {"nginx"}


def test_a_name_that_dpkg_takes_though_debian_would_not_is_one():
    assert brief("ds_agent\t20.0-1\n") == ["ds_agent 20.0-1"]


def test_held_packages_are_named():
    text = stanza(Status="hold ok installed") + stanza(Package="y")

    assert dpkg.read(text).held == {"x"}
    assert dpkg.read("x\t1\tall\tx\t1\thi \ny\t1\tall\ty\t1\tii \n").held == {"x"}


def test_folded_fields_are_passed_over_whatever_they_hold():
    folded = "1\n Package: not-a-package\n\tVersion: 2\n .\n form\x0cfeed\u2028and more"

    assert brief(stanza(Description=folded)) == ["x 1"]


def test_lines_may_end_as_on_windows():
    assert brief(stanza().replace("\n", "\r\n")) == ["x 1"]
    assert brief("x\t1\r\ny:amd64\t2\r\n") == ["x 1", "y 2"]


def test_one_package_is_one_package_however_it_was_reported():
    status = stanza(Architecture="amd64", Source="s")
    line = "x:amd64\t1\tamd64\ts\t1\tinstall ok installed\n"

    assert dpkg.read(status) == dpkg.read(line)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "lists no installed package; an empty host is not believed"),
        ("\n\n", "lists no installed package"),
        (stanza(Status="deinstall ok config-files"), "lists no installed package"),
        ("<html>\n", "row 1: '<html>' is not dpkg-query output"),
        ("x\t1\ny\n", "row 2: 'y' is not dpkg-query output"),
        ("x\t\n", "row 1, column version: is missing for x"),
        ("\t1\n", "row 1, column package: is not the name of a Debian package"),
        ("x y\t1\n", "row 1, column package: 'x y' is not the name of a Debian package"),
        ("x\t1 2\n", "row 1, column version: '1 2' has spaces or control characters"),
        ("x\t1\0\n", "row 1, column version: '1\\x00' has spaces or control characters"),
        (f"x\t{'1' * 201}\n", "is longer than 200 characters"),
        ("x\t1\tall\tx\t1\tinstall ok broken\n", "row 1, column status: 'broken' is no state"),
        (stanza() + stanza(Version=""), "row 5, column version: is missing for x"),
        (stanza() + stanza(Package=""), "row 5, column package: is not the name"),
        (stanza() + "Package: y\ngarbage\n", "row 6: 'garbage' is not a field of a dpkg status"),
    ],
)
def test_what_is_no_listing_is_said_with_its_line(text, why):
    with pytest.raises(BadFileError) as error:
        dpkg.read(text)

    assert why in str(error.value)
