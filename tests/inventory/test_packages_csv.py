"""Reading packages.csv: the quick way through blocks of text, held to a plain reading."""

import csv
import io
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from inventory import packages_csv
from inventory.csv_header import Reading
from patchmgr.domain.packages import MANAGERS, Package
from patchmgr.errors import BadFileError, InputError

HEADER = ("hostname", "manager", "name", "version", "arch", "source", "source_version")


def read(folder, text, mapping=None):
    path = folder / "packages.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return packages_csv.read(path, Reading(mapping or {}))


def said(file):
    """Return what ``file`` says, in plain values: each host's packages in order, and refusals."""
    return {host: [file.packages[code] for code in codes] for host, codes in file.hosts.items()}, [
        (bad.row, bad.column) for bad in file.refused.rows
    ]


# --- the judge: one row after the other through the csv module -----------------------------------


def plainly(text, delimiter):
    """Read ``text`` by `csv.reader` alone, by the rules of design.md 5.1."""
    hosts, bad, line = {}, [], 1
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header = next(reader)
    line += reader.line_num
    for fields in reader:
        at, line = line, 1 + reader.line_num
        if not any(field.strip() for field in fields):
            continue
        while len(fields) > len(header) and not fields[-1].strip():
            fields.pop()
        if len(fields) != len(header):
            bad.append((at, ""))
            continue
        row = {name: field.strip() for name, field in zip(header, fields, strict=True)}
        if column := wrong(row):
            bad.append((at, column))
            continue
        package = Package(*(row.get(name, "") for name in HEADER[1:]))
        hosts.setdefault(row["hostname"], []).append(package)
    return hosts, bad


def wrong(row):
    for name in row:
        if name == "hostname":
            continue
        if not row[name]:
            if name in ("manager", "name", "version"):
                return name
            continue
        if name == "manager" and row[name] not in MANAGERS:
            return name
        if any(sign.isspace() or sign < " " for sign in row[name]):
            return name
    return ""


HOSTS = st.sampled_from(["a", "b", "ab", "a.b", "b ", "", "long-name-of-a-host"])
WORDS = st.sampled_from(
    ["1", "2.0-1", "x", " y", "dpkg", "", "a b", "é", "\x1f", "\u2028z", "\x85"]
)
ROWS = st.tuples(HOSTS, st.sampled_from(["dpkg", "apk", "no"]), WORDS, WORDS, WORDS)
RUNS = st.tuples(HOSTS, st.lists(ROWS, max_size=14)).map(
    lambda run: [(run[0], *row[1:]) for row in run[1]]
)
ODD_LINES = st.sampled_from(
    ["", "a", "a,dpkg", ",,,,", "   ", "a,dpkg,x,1,2,3,4", "a,dpkg,x,1,2,,", 'b,dpkg,q"q,1,']
)
QUOTED = st.sampled_from(['"a",dpkg,x,1,', 'a,dpkg,"x","1",""', 'a,dpkg,"x\ny",1,', '"",apk,x,1,'])


@st.composite
def files(draw):
    blocks = draw(st.lists(st.one_of(RUNS, st.lists(ROWS, max_size=3), ODD_LINES), max_size=12))
    lines = []
    for block in blocks:
        lines += [block] if isinstance(block, str) else [",".join(row) for row in block]
    if draw(st.booleans()):
        lines.insert(draw(st.integers(0, len(lines))), draw(QUOTED))
    ends = draw(st.sampled_from(["\n", "\r\n", "\r", "mixed"]))
    text = "".join(
        line + (draw(st.sampled_from(["\n", "\r\n"])) if ends == "mixed" else ends)
        for line in ["hostname,manager,name,version,arch", *lines, "a,dpkg,x,1,"]
    )
    return text.rstrip("\r\n") if draw(st.booleans()) else text


@settings(max_examples=300)
@given(files(), st.integers(1, 80), st.integers(1, 200), st.integers(1, 9), st.sampled_from(",;\t"))
@example("hostname,manager,name,version\na,dpkg,x,1\r\n\nab,dpkg,x,1\na,dpkg,y,2", 1, 1, 1, ",")
@example("hostname,manager,name,version\n\n\na,no,x,1", 1, 1, 1, ",")
def test_reading_by_blocks_is_reading_row_by_row(text, block, near, few, delimiter):
    text = text.replace(",", delimiter)
    with (
        TemporaryDirectory() as folder,
        mock.patch.multiple(packages_csv, BLOCK=block, NEAR=near, FEW=few),
    ):
        file = read(Path(folder), text)

    hosts, bad = said(file)
    assert (hosts, sorted(bad)) == plainly(text, delimiter)
    assert file.rows == sum(map(len, hosts.values())) + len(bad)
    assert len(set(file.packages)) == len(file.packages)


# --- by name: where the quick way could go wrong -------------------------------------------------


def file_of(*lines, end="\n"):
    return end.join(["hostname,manager,name,version", *lines])


def names_of(file):
    return {
        host: [file.packages[code].name for code in codes] for host, codes in file.hosts.items()
    }


def many(host, count, first=0):
    return [f"{host},dpkg,p{number},1" for number in range(first, first + count)]


def test_a_hostname_that_begins_like_another_is_another(tmp_path):
    file = read(tmp_path, file_of(*many("web1", 20), *many("web10", 20), *many("web", 20)))

    assert {host: len(codes) for host, codes in file.hosts.items()} == dict.fromkeys(
        ("web1", "web10", "web"), 20
    )


def test_hosts_whose_rows_alternate_are_kept_apart(tmp_path):
    lines = [f"h{number % 3},dpkg,p{number},1" for number in range(90)]

    file = read(tmp_path, file_of(*lines))

    assert names_of(file) == {
        f"h{host}": [f"p{number}" for number in range(host, 90, 3)] for host in range(3)
    }


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("block", range(36, 48))
def test_a_block_may_end_anywhere_in_a_host_and_in_a_line_end(tmp_path, monkeypatch, end, block):
    monkeypatch.setattr(packages_csv, "BLOCK", block)

    file = read(tmp_path, file_of(*many("a", 12), *many("b", 12), end=end) + end)

    assert names_of(file) == {host: [f"p{number}" for number in range(12)] for host in "ab"}


def test_rows_are_named_by_the_line_they_stand_on(tmp_path):
    lines = [*many("a", 10), "", "", "a,dpkg,,1", *many("b", 10), "b", "b,yum,x,1"]

    file = read(tmp_path, file_of(*lines))

    assert [(bad.row, bad.column, bad.value) for bad in file.refused.rows] == [
        (14, "name", ""),
        (25, "", ""),
        (26, "manager", "yum"),
    ]


def test_the_hostname_may_be_any_column(tmp_path):
    file = read(tmp_path, "version;name;manager;hostname\n1;x;dpkg;a\n2;y;dpkg;a\n")

    assert said(file)[0] == {"a": [Package("dpkg", "x", "1"), Package("dpkg", "y", "2")]}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_each_delimiter_is_recognised_and_a_byte_order_mark_is_no_text(tmp_path, delimiter):
    text = "\ufeff" + file_of("a,dpkg,x,1").replace(",", delimiter)

    assert said(read(tmp_path, text))[0] == {"a": [Package("dpkg", "x", "1")]}


@pytest.mark.parametrize(
    ("row", "package"),
    [
        ("dpkg,libc6:amd64,2.36-9,,,", ("libc6", "2.36-9", "amd64", "", "")),
        ("dpkg,x,2-1+b1,amd64,s (2-1),", ("x", "2-1+b1", "amd64", "s", "2-1")),
        ("rpm,x,(none):1-2.el9,noarch,,", ("x", "1-2.el9", "noarch", "", "")),
        ("rpm,x,0:1-2.el9,noarch,,", ("x", "1-2.el9", "noarch", "", "")),
        ("rpm,x,1:1-2.el9,noarch,,", ("x", "1:1-2.el9", "noarch", "", "")),
    ],
)
def test_a_package_is_the_one_that_a_report_makes_of_it(tmp_path, row, package):
    header = "hostname,manager,name,version,arch,source,source_version"

    (made,) = read(tmp_path, f"{header}\na,{row}\n").packages

    assert (made.name, made.version, made.arch, made.source, made.source_version) == package


def test_an_rpm_without_its_release_is_refused_and_a_key_is_left_out(tmp_path):
    file = read(tmp_path, file_of("a,rpm,x,5.1.8", "a,rpm,gpg-pubkey,1-2", "a,rpm,y,1-2"))

    assert [(bad.row, bad.column, bad.value) for bad in file.refused.rows] == [
        (2, "version", "5.1.8")
    ]
    assert file.left_why == ["a: gpg-pubkey is a key of signatures, and no package"]


def test_a_refused_row_is_kept_as_it_stood(tmp_path):
    file = read(tmp_path, file_of("a,yum,x,1", "a,dpkg,x", 'a,yum,"x,y",1'))

    assert [bad.record for bad in file.refused.rows] == ["a,yum,x,1", "a,dpkg,x", 'a,yum,"x,y",1']


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty; the first row is the header"),
        ("\n", "is empty; the first row is the header"),
        ("hostname,name,version\n", "manager: is missing from the header"),
        ("hostname,manager,name,version,colour\n", "'colour' is no column we know"),
        ("hostname,manager,,name,version\n", "column 3: has no name in the header; give it one"),
        ('[{"hostname": "web1"}]', "row 1: begins a JSON document"),
        ("<html><table>", "row 1: begins a page or document of markup"),
        ("hostname,manager,name,version,name\n", "stands for name, which the header has already"),
        (file_of('a,dpkg,"x,1', "b,dpkg,y,1"), "row 2: begins a quoted field that nothing closes"),
        (file_of('a,dpkg,"x"y,1'), "row 2: is not CSV"),
        (file_of(f'a,dpkg,"{"x" * (2 << 20)}",1'), "row 2: 'a,dpkg,"),
        (file_of('a,dpkg,"', *["x" * 1000] * 2000, '",1'), "row 2: is not CSV: field larger"),
        (file_of("a,dpkg,x,1").encode("utf-32"), "is UTF-32; save the file as UTF-8"),
        (
            file_of("a,dpkg,x,1", "b,dpkg,née,1").encode("cp437"),
            "row 3: 'b,dpkg,n?e,1' byte 50 is neither UTF-8 nor Windows-1252; name its encoding",
        ),
        (b"hostname,manager,name,version\xff\n", "row 1, column versionÿ: 'versionÿ' is no column"),
    ],
)
def test_what_is_no_such_file_is_said_with_its_place(tmp_path, text, why):
    with pytest.raises(BadFileError) as error:
        read(tmp_path, text)

    assert str(error.value).startswith("packages.csv: ")
    assert why in str(error.value)
    assert "\n" not in str(error.value)


def test_a_nul_byte_and_a_huge_field_are_refused_by_row_and_column(tmp_path):
    file = read(tmp_path, file_of("a,dpkg,x\0y,1", f"a,dpkg,x,{'1' * 300_000}"))

    assert [(bad.row, bad.column) for bad in file.refused.rows] == [(2, "name"), (3, "version")]


# --- columns under other names -------------------------------------------------------------------


@pytest.mark.parametrize("mapping", [{"server": "hostname"}, {"hostname": "server"}])
def test_a_column_can_be_mapped_in_either_direction(tmp_path, mapping):
    file = read(tmp_path, "server,manager,name,version\na,dpkg,x,1\n", mapping)

    assert list(file.hosts) == ["a"]


def test_a_column_mapped_to_a_hyphen_is_left_out(tmp_path):
    text = "hostname,manager,colour,name,version\na,dpkg,red,x,1\n"

    assert said(read(tmp_path, text, {"colour": "-"}))[0] == {"a": [Package("dpkg", "x", "1")]}


def test_the_delimiter_is_found_when_every_column_is_mapped(tmp_path):
    mapping = {"server": "hostname", "art": "manager", "paket": "name", "stand": "version"}

    file = read(tmp_path, "server;art;paket;stand\na;dpkg;x;1\n", mapping)

    assert said(file)[0] == {"a": [Package("dpkg", "x", "1")]}


def test_a_mapping_that_names_no_column_says_what_there_is(tmp_path):
    with pytest.raises(InputError, match=r"--map colour=name: .*hostname, manager, name, version"):
        read(tmp_path, file_of("a,dpkg,x,1"), {"colour": "name"})
