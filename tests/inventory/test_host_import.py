"""Bringing hosts.csv in (design.md 5.1): what is taken, what is refused, who is who."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import select

from inventory import host_import, hosts_csv
from inventory.csv_header import Reading
from inventory.refusals import Refusal
from patchmgr.config import Settings
from patchmgr.db import models
from patchmgr.errors import BadFileError, InputError
from patchmgr.services.sync import sync


def refused(inventory, text, **options):
    """Return what is said about a refused file; nothing of it may be stored."""
    before = inventory.size()
    with pytest.raises(BadFileError) as error:
        inventory.hosts(text, **options)
    assert inventory.size() == before
    return str(error.value)


def test_every_column_is_stored(inventory):
    inventory.hosts(
        "\ufeffexternal_id;hostname;os_id;os_release;arch;environment;site;owner;criticality;"
        "exposure;ring;window;tags\r\n"
        'i-1;web1;debian;12;amd64;production;"ber;lin";"Web ""team""";high;public;canary;night;'
        "role=web pci  eu\r\n"
    )

    host = inventory.host("web1")
    assert (host.external_id, host.platform, host.arch) == ("i-1", "debian:12", "amd64")
    assert (host.environment, host.site, host.owner) == ("production", "ber;lin", 'Web "team"')
    assert (host.criticality, host.exposure) == ("high", "public")
    assert (host.ring, host.window, host.tags) == ("canary", "night", ["eu", "pci", "role=web"])


def test_importing_twice_changes_nothing(inventory, now):
    text = "hostname,external_id,os_id,os_release,tags\nweb1,i-1,debian,12,b a\nweb2,,,,\n"
    inventory.hosts(text)
    before, size = inventory.host("web1"), inventory.size()

    again = inventory.hosts(text, now=now + timedelta(days=1))

    assert (again.new, again.changed, again.unchanged) == (0, 0, 2)
    assert inventory.size() == size
    assert inventory.host("web1").updated_at == before.updated_at


def test_a_column_that_the_file_lacks_keeps_its_value_and_an_empty_cell_empties_it(inventory):
    inventory.hosts("hostname,site,owner\nweb1,berlin,web\n")

    difference = inventory.hosts("hostname,owner\nweb1,\n")

    host = inventory.host("web1")
    assert (host.site, host.owner) == ("berlin", "")
    assert difference.changes[0].details == ("owner: web -> (empty)",)


def test_a_dry_run_tells_the_difference_and_changes_nothing(inventory):
    inventory.hosts("hostname,external_id,site\nweb1,i-1,berlin\nweb2,i-2,\n")
    size = inventory.size()

    text = "hostname,external_id,site\nweb2,i-1,rome\nweb1,i-2,\nweb3,,\n"
    difference = inventory.hosts(text, dry_run=True)

    assert (difference.new, difference.changed, difference.unchanged) == (1, 2, 0)
    assert difference.changes[0].details == ("site: berlin -> rome", "hostname: web1 -> web2")
    assert inventory.size() == size
    assert inventory.host("web1").external_id == "i-1"


def test_a_dry_run_keeps_nobody_from_writing_and_waits_for_nobody(inventory):
    with inventory.db.writing(alone=True):
        assert inventory.hosts("hostname\nweb1\n", dry_run=True).new == 1


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (",i-2,,", "row 3, column hostname: is empty; every host needs a hostname"),
        ("web 2,,,", "row 3, column hostname: 'web 2' is not a hostname"),
        ("-web,,,", "row 3, column hostname: '-web' is not a hostname"),
        ("wéb,,,", "row 3, column hostname: 'wéb' is not a hostname"),
        (f"{'w' * 254},,,", "is longer than 253 characters"),
        ("WEB1,,,", "row 3, column hostname: 'WEB1' stands on row 2 already"),
        ("web2,i-1,,", "row 3, column external_id: 'i-1' stands on row 2 already"),
        ("web2,,dmz,", "row 3, column exposure: 'dmz' is neither public nor internal"),
        ("web2,,,a=b=c ok =x", "row 3, column tags: 'a=b=c ok =x' has the tag '=x'"),
        ("web2,i\0,,", "row 3, column external_id: 'i\\x00' has control characters"),
        ("web2", "row 3: has 1 field, the header has 4"),
        ("web2,,,,x", "row 3: has 5 fields, the header has 4"),
        ("hostname,external_id,exposure,tags", "row 3: is the header again; take this row out"),
        ("Total,12,,", "row 3, column hostname: 'Total' adds up other rows and names no host"),
        ("web2,1.23E+15,,", "'1.23E+15' is a number that a spreadsheet has rounded"),
    ],
)
def test_a_bad_row_refuses_the_file_and_is_named(on_sqlite, row, why):
    said = refused(on_sqlite, f"hostname,external_id,exposure,tags\nweb1,i-1,,\n{row}\nweb9,,,\n")

    assert said.startswith("hosts.csv: row 3")
    assert why in said
    assert "\n" not in said


# --- what spreadsheets and reports put around a table ---------------------------------------------


def seen(inventory, text):
    """Import ``text``; return how it was read, and the hosts' platforms by name."""
    said = inventory.hosts(text).layout.said
    return said, {name: inventory.host(name).platform for name in inventory.names()}


TABLE = {"web1": "debian:12", "web2": "debian:12"}


@pytest.mark.parametrize(
    "text",
    [
        "hostname,os_id,os_release,\nweb1,debian,12,\nweb2,debian,12,\n",  # delimiters at the end
        "hostname;os_id;os_release\nweb1;debian;12;;\nweb2;debian;12;\n",
        "hostname,os_id,os_release\n\n,,\nweb1,debian,12\n   \nweb2,debian,12\n,,\n,,\n",
        "HostName, OS ID ,Os_Release\nweb1,debian,12\nweb2,debian,12\n",  # in other spelling
        '"hostname","os_id","os_release"\n"=""web1""",debian,"=""12"""\nweb2,debian,12\n',
        "\ufeff\ufeffhostname,os_id,os_release\nweb1,debian,12\nweb2,debian,12\n",
    ],
)
def test_what_a_spreadsheet_leaves_around_a_table_is_passed_over(on_sqlite, text):
    said, hosts = seen(on_sqlite, text)

    assert hosts == TABLE
    assert "header on line" not in said


@pytest.mark.parametrize(
    ("above", "line"),
    [
        ("Servers in Vienna,,\nas of 2026-03-01,,\n,,\n", 4),
        ("\n\n", 3),
        ("# exported by the CMDB\n", 2),
        ('"Servers\nin Vienna, by owner",,\n', 3),
        ("sep=,\nServers\n", 3),
    ],
)
def test_lines_above_the_header_are_passed_over_and_it_is_said(on_sqlite, above, line):
    table = "hostname,os_id,os_release\nweb1,debian,12\nweb2,debian,12\n"

    said, hosts = seen(on_sqlite, above + table)

    assert hosts == TABLE
    assert said == f"read as UTF-8, separated by ,, header on line {line}"
    assert refused(on_sqlite, f"{above}{table}web 3,,\n").startswith(f"hosts.csv: row {line + 3},")


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("web1,ubuntu,22.Apr", "'22.Apr' is a date that a spreadsheet made of a number"),
        ("web1,ubuntu,Apr 22", "'Apr 22' is a date that a spreadsheet made of a number"),
        ("web1,rhel,08. Jun", "'08. Jun' is a date that a spreadsheet made of a number"),
        ("web1,sles,1.50E+01", "'1.50E+01' is a number that a spreadsheet has rounded"),
        ("web1,sles,4.2E+15", "'4.2E+15' is a number that a spreadsheet has rounded"),
    ],
)
def test_a_release_that_a_spreadsheet_has_spoilt_is_refused(on_sqlite, row, why):
    assert why in refused(on_sqlite, f"hostname,os_id,os_release\n{row}\n")


def test_releases_that_no_feed_speaks_of_are_named(inventory, now, tmp_path):
    record = {"releases": {"bookworm": {"status": "open"}}}
    feed = tmp_path / "feed.json"
    feed.write_text(json.dumps({"pkg": {"CVE-2026-1000": record}}))
    mirrors = {"debian": ("https://mirror.example/",)}
    settings = Settings(home=tmp_path, database_url="", secret_key="x", mirrors=mirrors)
    sync(inventory.db, "debian", settings=settings, now=now, actor="me", source=feed)
    rows = "a,debian,12\nb,debian,99x\nc,debian,12.5\nd,alpine,3.2\ne,,\nf,debian,99x\n"

    difference = inventory.hosts(f"hostname,os_id,os_release\n{rows}")

    assert difference.unfed == ["alpine:3.2", "debian:99x"]
    assert difference.summary()["without_feed"] == 3


def test_all_other_columns_can_be_left_out_at_once(on_sqlite):
    text = "hostname,Serial,Rack,OS_ID,os_release\nweb1,4711,7,debian,12\nweb2,,,debian,12\n"

    assert "--map '*=-' leaves all of these out" in refused(on_sqlite, text)
    on_sqlite.hosts(text, how=Reading({"*": "-"}))
    assert {name: on_sqlite.host(name).platform for name in on_sqlite.names()} == TABLE


def test_all_bad_rows_are_named_at_once_up_to_a_screenful(on_sqlite):
    said = refused(on_sqlite, "hostname\n" + "".join(f"a {number}\n" for number in range(50)))

    assert said.count("\n") == 20
    assert said.splitlines()[-1] == "hosts.csv: and 30 more; --rejects FILE writes them all"


def test_unknown_columns_are_refused_unless_mapped(on_sqlite):
    text = "name,stage,colour\nweb1,production,red\n"

    assert "'stage' is no column we know" in refused(on_sqlite, text)
    mapping = {"name": "hostname", "environment": "stage", "colour": "-"}
    on_sqlite.hosts(text, how=Reading(mapping))

    assert on_sqlite.host("web1").environment == "production"


def test_quotes_blank_lines_and_embedded_line_ends_keep_the_row_numbers_right(on_sqlite):
    text = 'hostname,owner\r\n\r\nweb1,"two\r\nlines"\r\n\r\nweb 2,x\r\n'

    said = refused(on_sqlite, text)

    assert [line.partition(" has ")[0].partition(" is ")[0] for line in said.splitlines()] == [
        "hosts.csv: row 3, column owner: 'two\\r\\nlines'",
        "hosts.csv: row 6, column hostname: 'web 2'",
    ]


# --- rejects -------------------------------------------------------------------------------------


def test_rejects_take_the_good_rows_and_keep_the_bad_ones_as_they_stood(inventory, tmp_path):
    out = tmp_path / "bad.csv"

    difference = inventory.hosts('hostname;site\nweb1;a\nweb 2;"b;c"\nweb3;\nx\n', rejects=out)

    assert inventory.names() == ["web1", "web3"]
    assert (difference.new, difference.rejected, difference.rows) == (2, 2, 4)
    assert out.read_bytes().decode() == (
        "hostname;site;reason\r\n"
        f'web 2;"b;c";"row 3, column hostname: \'web 2\' {Refusal.HOSTNAME.said()}"\r\n'
        f'x;;"row 5: {Refusal.FEWER_FIELDS.said(fields="1 field", width=2)}"\r\n'
    )


def test_a_repaired_rejects_file_can_be_imported_and_refused_again(inventory, tmp_path):
    out, again = tmp_path / "bad.csv", tmp_path / "again.csv"
    inventory.hosts("hostname,site\nweb 1,a\nweb 2,b\n", rejects=out)

    repaired = out.read_text().replace("web 1,", "web1,")
    inventory.hosts(repaired, rejects=again)

    assert inventory.host("web1").site == "a"
    assert again.read_text().splitlines()[0] == "hostname,site,reason"
    assert again.read_text().splitlines()[1].startswith('web 2,b,"row 3, column hostname')


def test_rejects_that_cannot_be_written_change_nothing(inventory, tmp_path):
    with pytest.raises(InputError, match="No such file or directory"):
        inventory.hosts("hostname\nweb1\nweb 2\n", rejects=tmp_path / "no" / "bad.csv")

    assert inventory.names() == []


def test_rejects_never_overwrite_the_file_itself(on_sqlite, tmp_path):
    with pytest.raises(InputError, match="is the file to import"):
        on_sqlite.hosts("hostname\nweb1\nweb 2\n", rejects=tmp_path / "hosts.csv")

    assert (tmp_path / "hosts.csv").read_text() == "hostname\nweb1\nweb 2\n"


# --- who is who ----------------------------------------------------------------------------------


def test_a_host_is_known_by_its_external_id_and_keeps_its_history_under_a_new_name(inventory):
    inventory.hosts("hostname,external_id\nold,i-1\n")
    inventory.packages("hostname,manager,name,version\nold,dpkg,x,1\n")

    difference = inventory.hosts("hostname,external_id\nnew,i-1\n")

    assert inventory.names() == ["new"]
    assert difference.changes[0].details == ("hostname: old -> new",)
    assert inventory.installed("new") == ["x 1"]


def test_a_host_without_external_id_is_known_by_its_name_in_any_case_and_gets_one(inventory):
    inventory.hosts("hostname\nweb1\n")

    inventory.hosts("hostname,external_id\nWEB1,i-1\n")

    assert inventory.names() == ["WEB1"]
    assert inventory.host("WEB1").external_id == "i-1"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"a": "1", "b": "2"}, {"b": "1", "a": "2"}),
        ({"a": "1", "b": "2", "c": "3"}, {"b": "1", "c": "2", "a": "3"}),
        ({"a": "1", "b": "2"}, {"b": "1", "c": "2"}),
        ({"a": "1"}, {"c": "1", "a": "9"}),
        ({"a": "1"}, {"c": "1", "a": ""}),
    ],
    ids=["swap", "circle", "chain", "taken-over", "taken-over-without-id"],
)
def test_names_may_change_hands_within_a_file(inventory, before, after):
    def file(hosts):
        return "hostname,external_id\n" + "".join(f"{n},{number}\n" for n, number in hosts.items())

    inventory.hosts(file(before))
    ids = {host.external_id: host.id for host in map(inventory.host, before)}

    inventory.hosts(file(after))

    assert inventory.names() == sorted(after)
    for name, number in after.items():
        host = inventory.host(name)
        assert host.external_id == (number or None)
        assert number not in ids or host.id == ids[number]
    again = inventory.hosts(file(after))
    assert again.unchanged == len(after)


def test_a_name_is_not_taken_from_a_host_whose_own_row_is_refused(inventory, tmp_path):
    inventory.hosts("hostname,external_id\na,1\nb,2\nc,3\n")

    # 1 wants the name of 2, which wants the name of 3, which is not in the file.
    text = "hostname,external_id\nb,1\nc,2\nd,4\n"
    difference = inventory.hosts(text, rejects=tmp_path / "bad.csv")

    assert (difference.new, difference.rejected) == (1, 2)
    assert inventory.names() == ["a", "b", "c", "d"]
    assert [inventory.host(name).external_id for name in "abcd"] == ["1", "2", "3", "4"]


def test_two_machines_under_one_name_are_not_merged(inventory):
    inventory.hosts("hostname,external_id\nweb1,i-1\n")

    said = refused(inventory, "hostname,external_id\nweb1,i-2\n")

    assert "row 2, column external_id: 'i-2' differs from 'i-1'" in said
    assert "hosts retire web1" in said


def test_a_machine_takes_the_name_of_a_retired_one_which_keeps_its_history(inventory, now):
    from inventory import retirement

    inventory.hosts("hostname,external_id\nweb1,i-1\n")
    inventory.packages("hostname,manager,name,version\nweb1,dpkg,x,1\n")
    old = inventory.host("web1").id
    retirement.retire(inventory.db, "WEB1", actor="test", now=now)

    difference = inventory.hosts("hostname,external_id\nweb1,i-2\n")

    assert difference.new == 1
    assert inventory.host("web1").id != old
    assert inventory.installed("web1") == []
    assert inventory.installed(f"web1~{old}") == ["x 1"]
    assert inventory.names() == ["web1"]


def test_a_retired_host_that_is_in_a_file_again_is_back(inventory, now):
    from inventory import retirement

    inventory.hosts("hostname\nweb1\n")
    retirement.retire(inventory.db, "web1", actor="test", now=now)
    assert inventory.names() == []

    difference = inventory.hosts("hostname\nweb1\n")

    assert inventory.names() == ["web1"]
    assert difference.changes[0].details == ("no longer retired",)


def test_a_host_of_another_platform_has_its_packages_stated_as_that_platforms(inventory, now):
    inventory.hosts("hostname,os_id,os_release\nweb1,debian,11\n")
    inventory.packages("hostname,manager,name,version\nweb1,dpkg,x,1\nweb1,dpkg,y,2\n")

    later = now + timedelta(days=1)
    inventory.hosts("hostname,os_release\nweb1,12\n", now=later)

    assert inventory.host("web1").platform == "debian:12"
    assert inventory.installed("web1") == ["x 1", "y 2"]
    assert inventory.history("web1") == [(now, later), (later, None)]
    with inventory.db.reading() as session:
        rows = session.execute(select(models.PackageVersion.platform, models.PackageVersion.name))
        assert sorted(map(tuple, rows)) == [
            (platform, name) for platform in ("debian:11", "debian:12") for name in "xy"
        ]


def test_a_rolling_release_has_no_version(on_sqlite):
    on_sqlite.hosts("hostname,os_id,os_release\na,arch,\nb,,\n")

    assert on_sqlite.host("a").platform == "arch:rolling"
    assert on_sqlite.host("b").platform == ""


@pytest.fixture
def meanwhile(inventory, monkeypatch):
    """Let another import happen after a file was compared with the hosts, before it is stored."""
    writing = inventory.db.writing

    def happening(text):
        def other_first(**options):
            monkeypatch.undo()
            other = inventory.file("other.csv", text)
            host_import.import_hosts(inventory.db, other, actor="other", now=inventory.now)
            return writing(**options)

        monkeypatch.setattr(inventory.db, "writing", other_first)

    return happening


def test_hosts_that_somebody_changed_meanwhile_are_compared_again(inventory, meanwhile):
    inventory.hosts("hostname,owner\nweb1,old\n")
    meanwhile("hostname,owner,site\nweb1,new,berlin\nweb2,new,berlin\n")

    difference = inventory.hosts("hostname,owner\nweb1,old\nweb2,old\nweb3,old\n")

    assert (difference.new, difference.changed) == (1, 2)
    assert difference.changes[0].details == ("owner: new -> old",)
    assert [inventory.host(name).owner for name in ("web1", "web2", "web3")] == ["old"] * 3
    assert inventory.host("web1").site == "berlin"


def test_a_row_that_the_hosts_contradict_since_is_refused_and_one_no_more_is_taken(
    inventory, meanwhile, tmp_path
):
    text, rejects = "hostname,external_id\nweb1,i-9\nweb2,i-2\n", tmp_path / "bad.csv"
    inventory.hosts("hostname,external_id\nweb1,i-1\n")
    meanwhile("hostname,external_id\nold1,i-1\nweb2,i-7\n")

    difference = inventory.hosts(text, rejects=rejects)

    assert (difference.new, difference.rejected) == (1, 1)
    assert inventory.host("web1").external_id == "i-9"
    assert rejects.read_text().splitlines()[1].startswith('web2,i-2,"row 3, column external_id')


def test_an_import_is_audited_once(inventory):
    inventory.hosts("hostname\nweb1\n")

    with inventory.db.reading() as session:
        (entry,) = session.scalars(select(models.AuditEntry))
    assert (entry.action, entry.actor, entry.subject) == ("hosts.import", "test", "hosts.csv")
    assert entry.details["new"] == 1


def test_the_os_is_spelt_as_os_release_spells_it(tmp_path):
    file = tmp_path / "hosts.csv"
    file.write_text("hostname,os_id,os_release\nweb01,Debian,12\n")

    (row,) = hosts_csv.read(file).rows

    assert row.values["os_id"] == "debian"
