"""Bringing packages.csv in (design.md 5.1), on the inventory that it meets."""

import csv
from datetime import timedelta

import pytest
from sqlalchemy import select

from inventory import csv_file, retirement
from patchmgr.db import models
from patchmgr.errors import BadFileError, InputError, NotFoundError

HEADER = "hostname,manager,name,version\n"


@pytest.fixture
def fleet(inventory):
    """Two Debian hosts, one of Ubuntu."""
    inventory.hosts("hostname,os_id,os_release\na,debian,12\nb,debian,12\nu,ubuntu,22.04\n")
    return inventory


def file(*rows):
    return HEADER + "".join(f"{row}\n" for row in rows)


def refused(inventory, text, **options):
    before = inventory.size()
    with pytest.raises(BadFileError) as error:
        inventory.packages(text, **options)
    assert inventory.size() == before
    return str(error.value)


def test_a_file_is_a_snapshot_of_each_host_that_it_names(fleet):
    fleet.packages(file("a,dpkg,x,1", "a,dpkg,y,1", "b,dpkg,x,1"))

    difference = fleet.packages(file("a,dpkg,x,2"))

    assert fleet.installed("a") == ["x 2"]
    assert fleet.installed("b") == ["x 1"]
    assert (difference.changed, difference.added, difference.removed) == (1, 1, 2)
    assert difference.changes[0].details == ("+1 packages", "-2 packages")


def test_merging_adds_and_replaces_other_versions_of_the_same_package(fleet):
    fleet.packages(file("a,dpkg,x,1", "a,dpkg,y,1"))

    difference = fleet.packages(file("a,dpkg,y,2", "a,dpkg,z,1", "b,dpkg,z,1"), mode="merge")

    assert fleet.installed("a") == ["x 1", "y 2", "z 1"]
    assert fleet.installed("b") == ["z 1"]
    assert (difference.added, difference.removed) == (3, 1)


def test_several_versions_of_one_package_may_be_installed(fleet):
    fleet.packages(file("a,dpkg,linux-image,1", "a,dpkg,linux-image,2"))

    assert fleet.installed("a") == ["linux-image 1", "linux-image 2"]


@pytest.mark.parametrize("mode", ["snapshot", "merge"])
def test_importing_twice_changes_nothing_but_the_time_of_the_report(fleet, now, mode):
    text = file("a,dpkg,x,1", "b,dpkg,x,1", "b,dpkg,y,1", "u,dpkg,x,1")
    fleet.packages(text, mode=mode)
    size, later = fleet.size(), now + timedelta(hours=1)

    difference = fleet.packages(text, mode=mode, now=later)

    assert (difference.new, difference.changed, difference.unchanged) == (0, 0, 3)
    assert (difference.added, difference.removed) == (0, 0)
    assert fleet.size() == size
    assert fleet.host("a").reported_at == later
    assert fleet.history("a") == [(now, None)]


def test_the_order_of_rows_and_repeats_mean_nothing(fleet):
    fleet.packages(file("a,dpkg,x,1", "b,dpkg,x,1", "a,dpkg,y,1", "b,dpkg,y,1"))
    size = fleet.size()

    fleet.packages(file("b,dpkg,y,1", "b,dpkg,x,1", "b,dpkg,x,1", "A,dpkg,x,1", "a,dpkg,y,1"))

    assert fleet.size() == size


def test_hosts_with_equal_content_share_one_set_and_its_versions(fleet):
    fleet.packages(file("a,dpkg,x,1", "a,dpkg,y,1", "b,dpkg,y,1", "b,dpkg,x,1", "u,dpkg,x,1"))

    assert fleet.host("a").package_set_id == fleet.host("b").package_set_id
    assert fleet.host("u").package_set_id != fleet.host("a").package_set_id
    assert (fleet.size()["package_version"], fleet.size()["package_set"]) == (3, 2)


def test_the_history_of_a_host_has_no_gap_and_no_overlap(fleet, now):
    times = [now + timedelta(days=day) for day in range(3)]
    for version, at in enumerate(times):
        fleet.packages(file(f"a,dpkg,x,{version}"), now=at)

    assert fleet.history("a") == [(times[0], times[1]), (times[1], times[2]), (times[2], None)]


def test_a_dry_run_tells_the_difference_and_changes_nothing(fleet):
    fleet.packages(file("a,dpkg,x,1"))
    size = fleet.size()

    difference = fleet.packages(file("a,dpkg,x,2", "b,dpkg,y,1"), dry_run=True)

    assert (difference.new, difference.changed) == (1, 1)
    assert (difference.added, difference.removed) == (2, 1)
    assert fleet.size() == size
    assert fleet.installed("a") == ["x 1"]


def test_rows_of_unknown_and_unnamed_hosts_are_refused_with_one_line_a_host(fleet):
    unknown = [f"c,dpkg,p{number},1" for number in range(30)]

    said = refused(fleet, file("a,dpkg,x,1", *unknown, ",dpkg,x,1")).splitlines()

    assert len(said) == 2
    assert said[0].startswith(
        "packages.csv: row 3, column hostname: 'c' is no host of the inventory"
    )
    assert said[0].endswith("import hosts.csv first")
    assert said[1].startswith("packages.csv: row 33, column hostname: is empty")


def test_rows_of_a_retired_host_are_refused(fleet, now):
    retirement.retire(fleet.db, "a", actor="test", now=now)

    assert "'a' is no host of the inventory" in refused(fleet, file("a,dpkg,x,1"))


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("a,dpkg,,1", "column name: is empty"),
        ("a,dpkg,x,", "column version: is empty"),
        ("a,,x,1", "column manager: is empty"),
        ("a,yum,x,1", "column manager: 'yum' is no package manager we know (dpkg, rpm, apk"),
        ("a,dpkg,x y,1", "column name: 'x y' has spaces or control characters"),
        (f"a,dpkg,x,{'1' * 201}", "is longer than 200 characters"),
        ("a,dpkg,x,1\0", "column version: '1\\x00' has spaces or control characters"),
        ("a,dpkg,x", "has 3 fields, the header has 4"),
        ("a,dpkg,x,1,amd64", "has 5 fields, the header has 4"),
        ("a", "has 1 field, the header has 4"),
    ],
)
@pytest.mark.parametrize("quoted", [False, True], ids=["plain", "quoted"])
def test_a_bad_row_refuses_the_file_and_is_named(on_sqlite, row, why, quoted):
    on_sqlite.hosts("hostname\na\n")
    good = 'a,dpkg,"good",1' if quoted else "a,dpkg,good,1"

    said = refused(on_sqlite, file(good, row, "a,dpkg,other,1"))

    assert said.startswith("packages.csv: row 3")
    assert why in said
    assert "\n" not in said


def test_rejects_take_the_good_rows_and_keep_the_bad_ones(fleet, tmp_path):
    out = tmp_path / "bad.csv"

    text = file("a,dpkg,x,1", "a,dpkg,,1", "c,dpkg,x:i386,1", "b,dpkg,y", "a,dpkg,z,1")
    difference = fleet.packages(text, rejects=out)

    assert (difference.rows, difference.rejected) == (5, 3)
    assert fleet.installed("a") == ["x 1", "z 1"]
    assert fleet.installed("b") == []
    header, *rows = csv.reader(out.read_text().splitlines())
    assert header == ["hostname", "manager", "name", "version", "reason"]
    assert [row[:4] for row in rows] == [
        ["a", "dpkg", "", "1"],
        ["c", "dpkg", "x:i386", "1"],
        ["b", "dpkg", "y", ""],
    ]
    assert [row[4].partition(":")[0] for row in rows] == [
        "row 3, column name",
        "row 4, column hostname",
        "row 5",
    ]


def test_a_repaired_rejects_file_can_be_imported(fleet, tmp_path):
    out = tmp_path / "bad.csv"
    fleet.packages(file("a,dpkg,x,1", "a,dpkg,,1", 'b,yum,"y",1'), rejects=out)

    repaired = out.read_text().replace("a,dpkg,,1", "a,dpkg,z,1").replace("yum", "dpkg")
    fleet.packages(repaired, mode="merge")

    assert fleet.installed("a") == ["x 1", "z 1"]
    assert fleet.installed("b") == ["y 1"]


def test_rejects_that_cannot_be_written_change_nothing(fleet, tmp_path):
    size = fleet.size()

    with pytest.raises(InputError, match="Is a directory"):
        fleet.packages(file("a,dpkg,x,1", "a,dpkg,,1"), rejects=tmp_path)

    assert fleet.size() == size


def test_too_many_bad_rows_are_the_wrong_file_and_none_is_lost_in_silence(
    on_sqlite, tmp_path, monkeypatch
):
    monkeypatch.setattr(csv_file, "KEPT_BAD", 5)
    on_sqlite.hosts("hostname\na\n")

    with pytest.raises(InputError, match="has 9 bad rows, too many to set aside; the first: row 3"):
        on_sqlite.packages(
            file("a,dpkg,x,1", "a,dpkg,,1", *(f"c,dpkg,p{n},1" for n in range(8))),
            rejects=tmp_path / "bad.csv",
        )

    assert on_sqlite.installed("a") == []


def test_an_unknown_mode_is_refused(on_sqlite):
    with pytest.raises(InputError, match="'replace' is not one of snapshot, merge"):
        on_sqlite.packages(file(), mode="replace")


# --- reports -------------------------------------------------------------------------------------


def test_a_report_brings_in_a_host_nobody_has_named_yet(inventory, now):
    difference = inventory.report("new1", "x\t1\ny\t2\n")

    assert (difference.new, difference.added) == (1, 2)
    host = inventory.host("new1")
    assert (host.platform, host.os_id, host.os_release) == ("debian:12", "debian", "12")
    assert host.reported_at == now


def test_an_unchanged_report_stores_only_when_it_came(inventory, now):
    inventory.report("a", "x\t1\n")
    size, later = inventory.size(), now + timedelta(hours=1)

    difference = inventory.report("A", "x\t1\n", now=later)

    assert difference.unchanged == 1
    assert inventory.size() == size
    assert inventory.host("a").reported_at == later


def test_a_report_of_a_new_platform_restates_the_packages(inventory, now):
    inventory.report("a", "x\t1\n", os="debian:11")

    inventory.report("a", "x\t1\n", os="debian:12", now=now + timedelta(days=1))

    assert inventory.host("a").platform == "debian:12"
    assert inventory.installed("a") == ["x 1"]
    assert len(inventory.history("a")) in (2, 3)


def test_a_known_host_need_not_name_its_platform(fleet):
    fleet.report("u", "x\t1\n", os="")

    assert fleet.host("u").platform == "ubuntu:22.04"


def test_a_retired_host_that_reports_is_back(fleet, now):
    retirement.retire(fleet.db, "a", actor="test", now=now)

    fleet.report("a", "x\t1\n")

    assert fleet.host("a").retired_at is None


@pytest.mark.parametrize("os", ["debian", ":12", "debian:", "debian:1 2", "deb/ian:12", "x" * 99])
def test_a_platform_is_id_and_release(on_sqlite, os):
    with pytest.raises(InputError, match="is not ID:RELEASE, such as debian:12"):
        on_sqlite.report("a", "x\t1\n", os=os)

    assert on_sqlite.names() == []


@pytest.mark.parametrize("name", ["", "a b", "a\nb", "ä", "a" * 254])
def test_a_report_needs_a_hostname(on_sqlite, name):
    with pytest.raises(InputError, match="host: "):
        on_sqlite.report(name, "x\t1\n")


def test_an_unknown_host_without_a_platform_and_an_unknown_format_are_refused(on_sqlite):
    with pytest.raises(NotFoundError, match="no host 'a'"):
        on_sqlite.report("a", "x\t1\n", os="")
    with pytest.raises(InputError, match="'brew' is no report format we read"):
        on_sqlite.report("a", "x\t1\n", format="brew")


def test_held_packages_belong_to_the_host_and_not_to_its_set(inventory):
    inventory.report("a", "x\t1\tall\tx\t1\thold ok installed\n")
    inventory.report("b", "x\t1\tall\tx\t1\tinstall ok installed\n")

    assert (inventory.host("a").held, inventory.host("b").held) == (["x"], [])
    assert inventory.host("a").package_set_id == inventory.host("b").package_set_id


def test_imports_reports_and_retirements_are_audited(fleet, now):
    fleet.packages(file("a,dpkg,x,1"))
    fleet.report("a", "x\t2\n")
    retirement.retire(fleet.db, "a", actor="test", now=now)

    with fleet.db.reading() as session:
        query = select(models.AuditEntry.action).order_by(models.AuditEntry.id)
        actions = list(session.scalars(query))
    assert actions == ["hosts.import", "packages.import", "report.submit", "host.retire"]
