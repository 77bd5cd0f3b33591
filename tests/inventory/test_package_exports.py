"""Exports of packages by other systems: to the right hosts, or refused with a remedy."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory import package_import, packages_csv, preview, sets
from inventory.csv_header import Reading
from patchmgr.db import package_sets
from patchmgr.errors import BadFileError, PatchmgrError

EXPORTS = Path(__file__).parents[1] / "data" / "exports"
HOSTS = """hostname,external_id,os_id,os_release
ip-10-0-0-5.ec2.internal,i-0abc,amzn,2023
ip-10-0-0-6.ec2.internal,i-0def,ubuntu,22.04
EC2AMAZ-1,i-0win,windows,10.0.17763
app1.example.com,,rhel,9.4
db1.example.com,,debian,12
web1.example.org,101,ubuntu,22.04
lnx0001,,rhel,9.4
lnx0002,,debian,12
win0001,,windows,10.0.17763
bare,,,
"""
FOREMAN = "Host,Package Name,Package NVRA,Package NVREA\n"
SERVICENOW = "display_name,version,installed_on\n"


@pytest.fixture
def fleet(on_sqlite):
    on_sqlite.hosts(HOSTS)
    return on_sqlite


def taken(fleet, path, **options):
    given = {"actor": "test", "now": fleet.now} | options
    return package_import.import_packages(fleet.db, path, **given)


def packages(fleet, host):
    """Return manager, name, version, architecture and source of what a host has."""
    with fleet.db.reading() as session:
        row = fleet.host(host)
        members = package_sets.members_of(session, row.package_set_id)
        found = sets.packages_of(session, members)
        return sorted((p.manager, p.name, p.version, p.arch, p.source) for p in found)


EXPECTED = {
    "aws-ssm-applications.json": (
        "aws-ssm-applications",
        {
            "ip-10-0-0-5.ec2.internal": [
                ("rpm", "bash", "5.2.15-1.amzn2023.0.2", "x86_64", "bash"),
                ("rpm", "dbus-broker", "1:32-1.amzn2023.0.2", "x86_64", "dbus-broker"),
            ],
            "ip-10-0-0-6.ec2.internal": [("dpkg", "libssl3", "3.0.2-0ubuntu1.15", "amd64", "")],
        },
        2,
    ),
    "aws-ssm-athena.csv": (
        "aws-ssm-applications",
        {
            "ip-10-0-0-5.ec2.internal": [
                ("rpm", "openssl-libs", "1:3.0.8-1.amzn2023.0.11", "x86_64", "openssl")
            ]
        },
        0,
    ),
    "aws-ssm-entries.json": (
        "aws-ssm-applications",
        {"ip-10-0-0-6.ec2.internal": [("dpkg", "sed", "4.8-1ubuntu2", "amd64", "")]},
        0,
    ),
    "aws-ssm-get-inventory.json": (
        "aws-ssm-applications",
        {
            "ip-10-0-0-5.ec2.internal": [
                ("rpm", "openssl-libs", "1:3.0.8-1.amzn2023.0.11", "x86_64", "openssl")
            ],
            "ip-10-0-0-6.ec2.internal": [("dpkg", "libssl3", "3.0.2-0ubuntu1.15", "amd64", "")],
        },
        0,
    ),
    "foreman-packages.csv": (
        "foreman-packages",
        {
            "app1.example.com": [
                ("rpm", "bash", "5.1.8-6.el9_1", "x86_64", ""),
                ("rpm", "openssl-libs", "1:3.0.7-27.el9", "x86_64", ""),
            ],
            "db1.example.com": [("dpkg", "libssl3", "3.0.15-1~deb12u1", "amd64", "")],
        },
        1,
    ),
    "foreman-packages-deb-first.csv": (
        "foreman-packages",
        {
            "app1.example.com": [("rpm", "openssl-libs", "1:3.0.7-27.el9", "x86_64", "")],
            "db1.example.com": [("dpkg", "libssl3", "3.0.15-1~deb12u1", "amd64", "")],
        },
        0,
    ),
    "landscape-packages.csv": (
        "landscape-packages",
        {"web1.example.org": [("dpkg", "libssl3", "3.0.2-0ubuntu1.15", "", "")]},
        1,
    ),
    "servicenow-software-labels.csv": (
        "servicenow-software",
        {"lnx0002": [("dpkg", "libssl3", "3.0.15-1~deb12u1", "", "")]},
        0,
    ),
    "servicenow-software.csv": (
        "servicenow-software",
        {
            "lnx0001": [("rpm", "openssl-libs", "1:3.0.7-27.el9", "", "")],
            "lnx0002": [("dpkg", "libssl3", "3.0.15-1~deb12u1", "", "")],
        },
        0,
    ),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_an_export_gives_its_packages_to_its_hosts(fleet, name):
    preset, hosts, left = EXPECTED[name]

    difference = taken(fleet, EXPORTS / name)

    assert (difference.layout.preset, difference.rejected) == (preset, 0)
    assert {host: packages(fleet, host) for host in hosts} == hosts
    assert (difference.new, difference.not_judged) == (len(hosts), left)


def test_what_is_left_out_of_an_export_is_named(fleet):
    assert taken(fleet, EXPORTS / "aws-ssm-applications.json").not_judged_why == (
        "i-0def: core20 is of no package manager: a program of Windows, or a snap",
        "i-0win: AWS PV Drivers is of no package manager: a program of Windows, or a snap",
    )


REFUSED = {
    "a row without a release": (
        '{"Name":"bash","Version":"5.2.15","PackageId":"bash-5.2.15-1.src.rpm","resourceId":"i-0abc"}\n',
        "row 1, column Version: '5.2.15' has no release beside it",
    ),
    "a line that is cut off": (
        '{"Name":"a","Version":"1","PackageId":"a_1_all.deb","resourceId":"i-0def"}\n{"Name":"b',
        """row 2: '{"Name":"b' is no JSON object""",
    ),
    "objects that have nothing in common": (
        "".join(f'{{"k{number}":1}}\n' for number in range(200)),
        "has more than 100 different keys",
    ),
    "an instance that is no host": (
        '{"Name":"a","Version":"1","PackageId":"a_1_all.deb","resourceId":"i-9"}\n',
        "row 1, column resourceId: 'i-9' is no host of the inventory",
    ),
    "another type of inventory": (
        '{"Name":"eth0","MacAddress":"0a","resourceId":"i-0abc"}\n',
        "column MacAddress: 'MacAddress' is no column we know",
    ),
    "an rpm's name that is none": (
        f"{FOREMAN}app1.example.com,bash,bash-5,bash-5\n",
        "row 2, column Package NVREA: 'bash-5' is no name-version-release.architecture",
    ),
    "an rpm without a release": (
        f"{SERVICENOW}openssl-libs,3.0.7,lnx0001\n",
        "column version: '3.0.7' has no release beside it",
    ),
    "a package of a host of no platform": (
        f"{SERVICENOW}openssl,3.0.7-1,bare\n",
        "column display_name: 'openssl' is on a host whose system has no package manager",
    ),
    "a list of Windows programs": (
        (EXPORTS / "configmgr-software.csv").read_text(),
        "Windows programs are no packages",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_judged_is_refused_with_its_place_and_a_remedy(fleet, case):
    text, why = REFUSED[case]

    with pytest.raises(BadFileError) as error:
        fleet.packages(text)

    assert why in str(error.value)
    assert fleet.size()["package_version"] == 0


def test_an_export_of_the_other_kind_is_refused_with_the_command_that_reads_it(on_sqlite):
    with pytest.raises(BadFileError, match="is an export of hosts; hosts import reads it"):
        on_sqlite.packages((EXPORTS / "servicenow.csv").read_text())
    with pytest.raises(BadFileError, match="is an export of packages; packages import reads it"):
        on_sqlite.hosts((EXPORTS / "foreman-packages.csv").read_text())


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(sorted(EXPECTED)),
    part=st.floats(0, 1),
    damage=st.one_of(st.binary(max_size=6), st.sampled_from([b'"', b"\\ud800", b"{}", b"\n\n"])),
    taken_out=st.integers(0, 60),
)
def test_a_damaged_export_is_read_or_refused_and_never_anything_else(
    tmp_path_factory, name, part, damage, taken_out
):
    whole = (EXPORTS / name).read_bytes()
    place = int(part * len(whole))
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(whole[:place] + damage + whole[place + taken_out :])

    said, packages = "", []
    try:
        packages = packages_csv.read(path).packages
    except PatchmgrError as error:
        said = str(error)

    assert said.startswith(name) if said else all(each.name and each.version for each in packages)


def test_programs_of_windows_are_left_out_and_named(fleet):
    difference = fleet.packages(f"{SERVICENOW}7-Zip,23.01,win0001\nlibssl3,3.0.15-1,lnx0002\n")

    assert difference.not_judged_why == (
        "win0001: 7-Zip is a program of Windows, of which no advisory here speaks",
    )
    assert fleet.installed("lnx0002") == ["libssl3 3.0.15-1"]


def test_refused_rows_of_an_export_can_be_corrected_and_imported(fleet, tmp_path):
    rejects = tmp_path / "rejects.csv"
    text = f"{SERVICENOW}openssl-libs,3.0.7,lnx0001\nlibssl3,3.0.15-1,lnx0002\n"
    fleet.packages(text, rejects=rejects)

    written = rejects.read_text()
    assert written.splitlines()[1].startswith("openssl-libs,3.0.7,lnx0001,")
    fleet.packages(written.replace("3.0.7,", "3.0.7-27.el9,"), mode="merge")

    assert fleet.installed("lnx0001") == ["openssl-libs 3.0.7-27.el9"]
    assert fleet.installed("lnx0002") == ["libssl3 3.0.15-1"]


def test_a_host_of_that_name_goes_before_one_with_that_external_id(fleet):
    fleet.hosts("hostname,external_id,os_id,os_release\ni-0abc,,debian,12\n")

    fleet.packages("hostname,manager,name,version\ni-0abc,dpkg,x,1\n")

    assert fleet.installed("i-0abc") == ["x 1"]


def test_the_hosts_of_an_aws_inventory_are_read_from_its_json_lines(on_sqlite):
    lines = (
        '{"ComputerName":"ip-10-0-0-5","PlatformName":"Amazon Linux","PlatformVersion":"2023",'
        '"InstanceId":"i-0abc","resourceId":"i-0abc","captureTime":"2026-03-01T00:00:00Z"}\n'
    )

    difference = on_sqlite.hosts(lines)

    host = on_sqlite.host("ip-10-0-0-5")
    assert (host.platform, host.external_id) == ("amzn:2023", "i-0abc")
    assert difference.layout.said.startswith("read as JSON lines in UTF-8 (AWS Systems Manager")


def test_the_hosts_of_an_aws_inventory_are_read_beside_their_applications(on_sqlite):
    on_sqlite.hosts((EXPORTS / "aws-ssm-get-inventory.json").read_text())

    hosts = {name: on_sqlite.host(name) for name in on_sqlite.names()}
    assert {name: (host.platform, host.external_id) for name, host in hosts.items()} == {
        "ip-10-0-0-5.ec2.internal": ("amzn:2023", "i-0abc"),
        "ip-10-0-0-6": ("ubuntu:22.04", "i-0def"),
    }


@pytest.mark.parametrize("name", ["aws-ssm-applications.json", "configmgr-software.csv"])
def test_the_page_says_what_such_a_file_is(fleet, tmp_path, name):
    path = tmp_path / name
    path.write_bytes((EXPORTS / name).read_bytes())

    found = preview.look(
        fleet.db,
        path,
        kind="packages",
        mode="snapshot",
        how=Reading(),
        actor="test",
        now=fleet.now,
    )

    if name.startswith("configmgr"):
        assert "Windows programs are no packages" in found["problem"]
        assert (found["missing"], found["preset"]) == ([], "")
    else:
        assert (found["problem"], found["missing"], found["preset"]) == (
            "",
            [],
            "aws-ssm-applications",
        )
        assert (found["summary"]["new"], found["not_judged"], found["first_row"]) == (2, 2, 1)
