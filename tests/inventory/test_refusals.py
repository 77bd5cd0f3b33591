"""What an import says of what it refuses: row, column and value as the file has them, and a remedy.

Each row of the tables shows one reason as a person reads it; no reason is without such a row.
"""

import io
import zipfile

import pytest

from inventory import hosts_csv, packages_csv, packed
from inventory.csv_header import Reading
from inventory.refusals import Refusal
from patchmgr.errors import BadFileError

FOREMAN = "Name,Operatingsystem,Hostgroup,Last Report,Environment\n"
FOREMAN_PACKAGES = "Host,Package Name,Package NVRA,Package NVREA\n"
AWS = '{"Name":"%s","Version":"%s","PackageId":"%s","resourceId":"i-1"%s}\n'


def zipped(*names, encrypted=False):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_BZIP2 if encrypted else 0) as archive:
        for name in names:
            archive.writestr(name, "hostname\na\n")
    return file.getvalue()


HOSTS = {  # what is refused -> how it is read, and how the first line said of it ends
    Refusal.EMPTY: ("", "row 1: is empty; the first row is the header; export the list again"),
    Refusal.NO_HEADER: ("\0\1\2\n", "is not the header of a CSV file; save the list as CSV"),
    Refusal.MANY_COLUMNS: ("a," * 1500 + "b\n", "has 1501 columns; a file may have 1000; export"),
    Refusal.MARKUP: ("<html>", "begins a page or document of markup; export the list as CSV"),
    Refusal.JSON: ('[{"a": 1}]', "row 1: begins a JSON document; export the list as CSV"),
    Refusal.SEPARATOR: ("sep=#\nhostname\n", "row 1: '#' is no separator we know (comma"),
    Refusal.TWICE: (
        f"Name,{FOREMAN}a,b,RHEL 9,x,,y\n",
        "row 1, column Name: 'Name' stands for hostname, which the header has already; take one",
    ),
    Refusal.MISSING: (
        "owner,site\nx,y\n",
        (
            "row 1, column hostname: is missing from the header; it has owner, site; name the "
            "column that says it: --map THEIRS=hostname"
        ),
    ),
    Refusal.NO_ROWS: ("\nhostname,site\n\n", "row 2: is a header with no row below it; that a"),
    Refusal.NO_NAME: ("hostname,,site\na,b,c\n", "row 1, column 2: has no name in the header"),
    Refusal.UNKNOWN: (
        "hostname,Rack no\na,7\n",
        (
            "row 1, column Rack no: 'Rack no' is no column we know; map it (--map 'Rack "
            "no=COLUMN', or --map 'Rack no=-' to leave it out)"
        ),
    ),
    Refusal.OTHER_KIND: (
        FOREMAN_PACKAGES,
        (
            "row 1: 'Foreman or Red Hat Satellite, report of installed packages' is an export of "
            "packages; packages import reads it"
        ),
    ),
    Refusal.NOT_CSV: ('hostname\n"a"b\n', "row 2: is not CSV: ',' expected after '\"'; put a"),
    Refusal.OPEN_QUOTE: ('hostname\n"a\n', "row 2: begins a quoted field that nothing closes"),
    Refusal.MANY_HOSTS: ("hostname\na\nb\n", "row 3: is more than the 1 hosts that one file may"),
    Refusal.LONG_LINE: (
        "hostname\n" + "x" * (2 << 20),
        "byte 10 begins a line longer than 1 MiB; a list has one host or package a row",
    ),
    Refusal.CUT_CHARACTER: (
        "hostname,owner\na,é\nb,€".encode()[:-1],
        "begins a character that the file cuts off; the file is not whole: export or copy it",
    ),
    Refusal.NOT_ENCODED: (
        "hostname\na".encode("utf-16")[:-1],
        "is not UTF-16-LE; name its encoding (--encoding), or save the file as UTF-8",
    ),
    Refusal.TWO_ENCODINGS: (
        "hostname,owner\na,é\n".encode() + b"b,\xe9\nc,x\n",
        "is not UTF-8, and byte 18 begins a sign that is; two encodings in one file, or damage",
    ),
    Refusal.NO_ENCODING: (
        "hostname,owner\na,née\n".encode("cp850"),
        "row 2: 'a,n?e' byte 19 is neither UTF-8 nor Windows-1252; name its encoding",
    ),
    Refusal.UTF_32: ("hostname\n".encode("utf-32"), "is UTF-32; save the file as UTF-8"),
    Refusal.NO_OBJECT: (
        '{"hostname":"a"}\nhello\n',
        "row 2: 'hello' is no JSON object; the lines above it are one each; the file is cut off",
    ),
    Refusal.MANY_KEYS: (
        "".join(f'{{"k{number}":1}}\n' for number in range(200)),
        "has more than 100 different keys in its objects: is no inventory; send the inventory's",
    ),
    Refusal.NO_ENTRIES: (
        '{"Entities": [{"Id": "i-1", "Data": {}}]}',
        "has no entries of AWS:InstanceInformation; ask for them: aws ssm get-inventory",
    ),
    Refusal.DAMAGED: (
        b"\x1f\x8b\x08\0",
        "is damaged or cut off (gzip: the gzip stream has",
    ),
    Refusal.WORKBOOK: (
        zipped("[Content_Types].xml"),
        "is a spreadsheet's workbook; save its sheet as CSV",
    ),
    Refusal.FILES: (zipped("a.csv", "b.csv"), "holds 2 files; pack the one to import alone"),
    Refusal.ODDLY_PACKED: (zipped("a.csv", encrypted=True), "is encrypted or packed in an unusual"),
    Refusal.UNPACKS_TO_MUCH: (
        zipped("a.csv"),
        "unpacks to more than 0 MiB, which is refused; unpack it yourself",
    ),
    Refusal.FEWER_FIELDS: (
        "hostname,site\na,\nb\n",
        "row 3: has 1 field, the header has 2; write an empty field where there is no value",
    ),
    Refusal.MORE_FIELDS: (
        "hostname;site\na;b;c\n",
        "row 2: has 3 fields, the header has 2; put a value that has the separator (;) in it in",
    ),
    Refusal.HEADER_AGAIN: ("hostname,site\nhostname,site\n", "is the header again; take this row"),
    Refusal.LONG: (
        FOREMAN + f"a,RHEL 9.1,x,,{'e' * 65}\n",
        "row 2, column Environment: '" + "e" * 65 + "' is longer than 64 characters; shorten it",
    ),
    Refusal.CONTROL: (
        'hostname,Stelle\na,"b\tc"\n',
        "row 2, column Stelle: 'b\\tc' has control characters; take them out",
    ),
    Refusal.ROUNDED: (
        "Server,Inventar\na,1.23E+15\n",
        "row 2, column Inventar: '1.23E+15' is a number that a spreadsheet has rounded; format",
    ),
    Refusal.DATE: ("hostname,os_release\na,22.Apr\n", "'22.Apr' is a date that a spreadsheet made"),
    Refusal.NO_HOSTNAME: (
        FOREMAN + ",RHEL 9,x,,y\n",
        "row 2, column Name: is empty; every host needs a hostname; write it, or take this row out",
    ),
    Refusal.HOSTNAME: (
        FOREMAN + "web 2,RHEL 9,x,,y\n",
        (
            "row 2, column Name: 'web 2' is not a hostname (letters, digits, dots, hyphens, "
            "underscores); correct it, or map another column to hostname"
        ),
    ),
    Refusal.TOTAL: ("Server\nTotal\n", "column Server: 'Total' adds up other rows and names no"),
    Refusal.OS_WORD: (
        "hostname,Betriebssystem\na,Debian GNU\n",
        (
            "row 2, column Betriebssystem: 'Debian GNU' is not a value of os-release (letters, "
            "digits and . _ + ~ -); write it as /etc/os-release does, or map the column to "
            "os, which takes any name"
        ),
    ),
    Refusal.EXPOSURE: (
        "Server,Zone\na,DMZ\n",
        "row 2, column Zone: 'DMZ' is neither public nor internal; write one of them, or nothing",
    ),
    Refusal.TAG: (
        "hostname,tags\na,x =y\n",
        "'x =y' has the tag '=y'; tags are words or",
    ),
    Refusal.ENTITLEMENT: (
        "Server,Lizenz\na,ESM!\n",
        "row 2, column Lizenz: 'ESM!' has 'ESM!'; entitlements are words such as esm-infra",
    ),
    Refusal.REPEATED: (
        "Server\na\nA\n",
        "row 3, column Server: 'A' stands on row 2 already; take one of the two rows out",
    ),
}
PACKAGES = {
    Refusal.NO_VALUE: (
        "Server,manager,Paket,version\na,dpkg,,1\n",
        "row 2, column Paket: is empty; every package needs it: write it, or take this row out",
    ),
    Refusal.MANAGER: (
        "hostname,Art,name,version\na,yum,x,1\n",
        "row 2, column Art: 'yum' is no package manager we know (dpkg, rpm, apk",
    ),
    Refusal.SPACES: (
        "hostname,manager,name,Stand\na,dpkg,x,1 2\n",
        "row 2, column Stand: '1 2' has spaces or control characters; take them out",
    ),
    Refusal.NO_RELEASE: (
        AWS % ("bash", "5.2.15", "bash-5.2.15-1.src.rpm", ""),
        (
            "row 1, column Version: '5.2.15' has no release beside it, and advisories speak of "
            "both; export the release with it, or send rpm -qa of that host"
        ),
    ),
    Refusal.NVRA: (
        FOREMAN_PACKAGES + "a,bash,bash-5,\n",
        (
            "row 2, column Package NVRA: 'bash-5' is no name-version-release.architecture of an "
            "rpm; write it as rpm -qa prints it"
        ),
    ),
    Refusal.EPOCH: (
        AWS % ("bash", "5.2.15", "bash-5.2.15-1.src.rpm", ',"Release":"1","Epoch":"one"'),
        "row 1, column Epoch: 'one' is no number; write the epoch in digits, or leave it empty",
    ),
}
FLEET = "hostname,external_id,os_id\nweb1,i-1,\nweb2,i-2,\nbare,,\nred1,i-3,rhel\n"
STORED = {  # what the inventory holds against it
    Refusal.NAME_TAKEN: (
        "hosts",
        "Server,Inventar\nweb2,i-1\n",
        (
            "row 2, column Server: 'web2' is the name of another host; retire that one first "
            "(hosts retire web2), or correct which of the two this row means"
        ),
    ),
    Refusal.TWO_MACHINES: (
        "hosts",
        "Server,Inventar\nweb1,i-9\n",
        (
            "row 2, column Inventar: 'i-9' differs from 'i-1', which the host web1 has; two "
            "machines under one name are not merged: rename this one, or hosts retire web1 first"
        ),
    ),
    Refusal.NO_SUCH_HOST: (
        "packages",
        "Server,manager,name,version\nweb9,dpkg,x,1\n",
        "row 2, column Server: 'web9' is no host of the inventory; correct it, or import hosts.csv",
    ),
    Refusal.NO_HOST: (
        "packages",
        "Server,manager,name,version\n,dpkg,x,1\n",
        "row 2, column Server: is empty (this row and others); every row needs a hostname",
    ),
    Refusal.NO_MANAGER: (
        "packages",
        "Software,Version,Installed on\nx,1-1,bare\n",
        (
            "row 2, column Software: 'x' is on a host whose system has no package manager that we "
            "know; say the host's system in hosts.csv, or the manager in a column"
        ),
    ),
}
MAPPED = {
    "Server": "hostname",
    "Stelle": "site",
    "Inventar": "external_id",
    "Betriebssystem": "os_id",
    "Zone": "exposure",
    "Lizenz": "entitlements",
    "Paket": "name",
    "Stand": "version",
    "Art": "manager",
}


def mapping(text):
    """Return how ``text`` is read: its German columns stand for ours."""
    header = (text if isinstance(text, str) else "").partition("\n")[0].split(",")
    return Reading({name: MAPPED[name] for name in header if name in MAPPED})


@pytest.mark.parametrize("refusal", [*HOSTS, *PACKAGES], ids=lambda refusal: refusal.name)
def test_a_refusal_names_the_place_as_the_file_has_it_and_a_remedy(tmp_path, monkeypatch, refusal):
    text, said = (HOSTS | PACKAGES)[refusal]
    reader = hosts_csv if refusal in HOSTS else packages_csv
    if refusal is Refusal.MANY_HOSTS:
        monkeypatch.setattr(hosts_csv, "MOST", 1)
    if refusal is Refusal.UNPACKS_TO_MUCH:
        monkeypatch.setattr(packed, "MOST", 1)
    path = tmp_path / "f.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())

    with pytest.raises(BadFileError) as error:
        reader.read(path, mapping(text)).refused.check(path.name, but_rejects=False)

    assert said in str(error.value).splitlines()[0]
    assert_remedied(error.value, refusal)


@pytest.mark.parametrize("refusal", STORED, ids=lambda refusal: refusal.name)
def test_what_the_inventory_holds_against_a_row_is_named_as_the_file_has_it(on_sqlite, refusal):
    kind, text, said = STORED[refusal]
    on_sqlite.hosts(FLEET)

    with pytest.raises(BadFileError) as error:
        getattr(on_sqlite, kind)(text, how=mapping(text))

    assert said in str(error.value)
    assert_remedied(error.value, refusal)


def assert_remedied(error, refusal):
    """Assert that what is said holds the reason's remedy, up to where a value is filled in."""
    assert refusal.remedy.partition("{")[0] in error.rows[0].remedy


def test_no_reason_is_without_an_example_and_a_remedy_of_its_own():
    assert {*HOSTS, *PACKAGES, *STORED} == set(Refusal)
    assert all(each.remedy not in (each.why, "") for each in Refusal)


def test_a_row_that_the_inventory_contradicts_is_set_aside_as_it_stood(on_sqlite, tmp_path):
    on_sqlite.hosts(FLEET)
    rejects = tmp_path / "rejects.csv"
    text = "Server,Inventar,os,Note\nweb1,i-9,Debian GNU/Linux 12,keep me\nnew1,,Debian 12,\n"

    on_sqlite.hosts(text, how=Reading(mapping(text).mapping | {"Note": "-"}), rejects=rejects)

    header, row = rejects.read_text().splitlines()
    assert header == "Server,Inventar,os,Note,reason"
    assert row.startswith("web1,i-9,Debian GNU/Linux 12,keep me,")
