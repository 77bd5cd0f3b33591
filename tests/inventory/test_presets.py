"""Exports of other systems: recognised by their header, read as their columns mean."""

from pathlib import Path

import pytest

from inventory import host_import, hosts_csv, presets, sources
from inventory.csv_header import NO_PRESET, Reading
from patchmgr.db.queries import imports as queries
from patchmgr.errors import BadFileError, ConflictError, InputError, NotFoundError

EXPORTS = Path(__file__).parents[1] / "data" / "exports"
EXPECTED = {
    "foreman-hosts": [
        ("app01.example.com", "rhel:8.6"),
        ("app02.example.com", "rhel:7.9"),
        ("db01.example.com", "debian:12"),
        ("old01.example.com", None),
    ],
    "satellite-report": [("app01.example.com", "rhel:8.6"), ("app03.example.com", "rocky:9.3")],
    "landscape": [("web1.example.org", "ubuntu:22.04"), ("web2.example.org", "ubuntu:20.04")],
    "aws-ssm": [
        ("ip-10-0-0-5.eu-central-1.compute.internal", "amzn:2023"),
        ("ip-10-0-0-6.eu-central-1.compute.internal", "ubuntu:22.04"),
        ("EC2AMAZ-1A2B3C", "windows:10.0.17763"),
    ],
    "aws-ec2": [("web-1", None), ("web-2", None)],
    "servicenow": [
        ("lnx0001", "rhel:8.6"),
        ("win0001", "windows:10.0.17763"),
        ("unk0001", None),
    ],
    "configmgr": [
        ("SRV-FILE01", "windows:10.0.17763"),
        ("PC-0042", "windows:10.0.19045"),
        ("PC-0043", None),
    ],
}


@pytest.mark.parametrize("name", EXPECTED)
def test_an_export_is_recognised_and_its_hosts_are_read(name):
    file = hosts_csv.read(EXPORTS / f"{name}.csv")

    assert file.layout.preset == name
    assert file.layout.said.endswith(f" ({presets.presets()[name].title})")
    assert file.refused.rows == []
    found = [
        (row.hostname, f"{row.values['os_id']}:{row.values['os_release']}")
        if "os_id" in row.values
        else (row.hostname, None)
        for row in file.rows
    ]
    assert found == EXPECTED[name]
    nameless = sum(system is None for _, system in found) if name != "aws-ec2" else 0
    assert file.undetermined == nameless


OTHERS = {  # the same systems, another of their exports -> its preset, and what it says of app1
    "foreman-shown-columns": (
        "foreman-hosts",
        {"os_id": "rhel", "running_kernel": "4.18.0-372.9.1.el8.x86_64", "owner": "ops"},
    ),
    "foreman-content-hosts": ("foreman-hosts", {"os_id": "rhel", "os_release": "9.3"}),
    "hammer-hosts": ("foreman-hosts", {"os_id": "rhel", "os_release": "8.6"}),
    "hammer-hosts-plain": ("foreman-hosts", {"os_id": "rhel", "os_release": "8.6"}),
    "hammer-hosts-all": ("foreman-hosts", {"os_id": "rhel", "site": "Vienna"}),
    "landscape-fields": (
        "landscape",
        {"os_release": "22.04", "external_id": "1", "tags": "webfarm"},
    ),
    "configmgr-combined-devices": (
        "configmgr",
        {"os_id": "windows", "os_release": "10.0.17763", "external_id": "GUID:1"},
    ),
    "configmgr-r-system": ("configmgr", {"external_id": "GUID:1"}),
    "satellite-products": (
        "satellite-report",
        {"os_id": "rhel", "environment": "Library", "arch": "x86_64"},
    ),
    "aws-describe-instances": ("aws-ssm", {"os_id": "amzn", "external_id": "i-0abc"}),
    "servicenow-first-columns": ("servicenow", {"site": "Vienna"}),
    "configmgr-get-cmdevice": (
        "configmgr",
        {"os_id": "windows", "os_release": "10.0.17763", "external_id": "GUID:1"},
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_exports_of_the_same_systems_are_read_alike(name):
    preset, found = OTHERS[name]

    file = hosts_csv.read(EXPORTS / f"{name}.csv")

    assert (file.layout.preset, [each.hostname for each in file.rows]) == (preset, ["app1"])
    assert file.rows[0].values | found == file.rows[0].values


def test_every_preset_has_an_export_that_shows_it():
    known = presets.presets().values()
    assert {each.name for each in known if each.kind == "hosts"} == set(EXPECTED)
    assert all(list(EXPORTS.glob(f"{each.name}.*")) for each in known)
    for preset in presets.presets().values():
        ours = set(preset.columns.values()) - {presets.IGNORE}
        assert ours <= set(sources.KINDS[preset.kind].columns)


def test_what_an_export_says_beside_goes_to_our_columns(on_sqlite):
    on_sqlite.hosts((EXPORTS / "servicenow.csv").read_text())
    on_sqlite.hosts((EXPORTS / "landscape.csv").read_text())

    host, tagged = on_sqlite.host("lnx0001"), on_sqlite.host("web1.example.org")
    assert (host.environment, host.site, host.owner) == ("Production", "Vienna", "Linux Operations")
    assert (tagged.external_id, tagged.tags) == ("101", ["public", "web"])


def test_a_system_that_cannot_be_told_leaves_the_platform_as_it_is(on_sqlite):
    on_sqlite.hosts("hostname,os_id,os_release\nweb1,debian,12\n")

    difference = on_sqlite.hosts("hostname,os\nweb1,Linux\nweb2,Linux\n")

    assert (on_sqlite.host("web1").platform, on_sqlite.host("web2").platform) == ("debian:12", "")
    assert (difference.undetermined, difference.unread) == (2, ["Linux"])


def test_a_column_that_no_preset_lists_is_refused_unless_it_is_mapped(on_sqlite):
    text = (EXPORTS / "aws-ec2.csv").read_text().replace("Alarm status", "Cost centre")

    with pytest.raises(BadFileError, match="column Cost centre"):
        on_sqlite.hosts(text)
    on_sqlite.hosts(text, how=Reading({"Cost centre": "owner"}))

    assert on_sqlite.host("web-1").external_id == "i-0abc"


def test_a_preset_can_be_named_or_kept_away(on_sqlite):
    text = (EXPORTS / "aws-ec2.csv").read_text()

    with pytest.raises(BadFileError, match="is no column we know"):
        on_sqlite.hosts(text, how=Reading(preset=NO_PRESET))
    with pytest.raises(InputError, match="preset: 'lansweeper' is not one of aws-ec2"):
        on_sqlite.hosts(text, how=Reading(preset="lansweeper"))


# --- hosts that a source no longer names ----------------------------------------------------------


def full(inventory, text, source="cmdb", **options):
    return inventory.hosts(text, source=source, full_export=True, **options)


def test_a_full_export_lists_who_is_gone_and_retires_nobody_unasked(inventory):
    full(inventory, "hostname\na\nb\nc\n")

    difference = full(inventory, "hostname\na\n")

    assert difference.gone == ["b", "c"]
    assert inventory.names() == ["a", "b", "c"]


def test_those_named_are_retired_and_no_other(inventory):
    full(inventory, "hostname\na\nb\nc\n")

    difference = full(inventory, "hostname\na\n", retire=frozenset({"b", "a", "elsewhere"}))

    assert difference.retired == ["b"]
    assert inventory.names() == ["a", "c"]
    assert full(inventory, "hostname\na\n", retire=host_import.EVERYTHING).retired == ["c"]


def test_two_sources_do_not_miss_each_others_hosts(inventory):
    full(inventory, "hostname\na\nb\n", source="cmdb")
    full(inventory, "hostname\nb\nc\n", source="cloud")
    inventory.hosts("hostname\nd\n")

    assert full(inventory, "hostname\nz\n", source="cmdb").gone == ["a"]
    assert full(inventory, "hostname\nz\n", source="cloud").gone == ["b", "c"]


def test_a_host_of_which_a_refused_row_speaks_is_not_gone(inventory, tmp_path):
    full(inventory, "hostname,exposure\na,\nb,\n")

    difference = full(inventory, "hostname,exposure\na,\nb,maybe\n", rejects=tmp_path / "bad.csv")

    assert difference.gone == []


def test_nobody_is_retired_while_a_row_does_not_say_whom_it_means(inventory, tmp_path):
    full(inventory, "hostname\na\nb\n")
    before = inventory.size()

    with pytest.raises(ConflictError, match="1 refused rows do not say which host"):
        full(
            inventory,
            "hostname\na\n???\n",
            rejects=tmp_path / "bad.csv",
            retire=host_import.EVERYTHING,
        )

    assert inventory.size() == before
    assert inventory.names() == ["a", "b"]


def test_a_full_export_needs_a_source(on_sqlite):
    with pytest.raises(InputError, match="full export: needs a source"):
        on_sqlite.hosts("hostname\na\n", full_export=True)


# --- how a source is read ------------------------------------------------------------------------


def test_how_a_source_is_read_is_kept_replaced_and_forgotten(inventory):
    who = {"actor": "ann", "now": inventory.now}
    how = Reading({"Server": "hostname"}, NO_PRESET, "cp850")
    sources.save(inventory.db, "cmdb", "hosts", how, **who)

    with inventory.db.reading() as session:
        assert sources.reading(session, "cmdb", "hosts", Reading({"X": "-"})) == Reading(
            {"Server": "hostname", "X": "-"}, NO_PRESET, "cp850"
        )
        with pytest.raises(InputError, match="is a source of hosts, not of packages"):
            sources.reading(session, "cmdb", "packages", Reading())
        (line,) = queries.sources(session)
        assert (line.name, line.saved_by, line.hosts) == ("cmdb", "ann", 0)
    sources.delete(inventory.db, "cmdb", **who)
    with pytest.raises(NotFoundError):
        sources.delete(inventory.db, "cmdb", **who)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("a b", Reading()),
        ("", Reading()),
        ("cmdb", Reading({"Server": "colour"})),
        ("cmdb", Reading(preset="lansweeper")),
        ("cmdb", Reading(encoding="rot13")),
    ],
)
def test_what_cannot_be_read_so_is_not_saved(on_sqlite, name, how):
    with pytest.raises(InputError):
        sources.save(on_sqlite.db, name, "hosts", how, actor="ann", now=on_sqlite.now)
