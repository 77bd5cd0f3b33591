"""Files in the encodings and packings that people have, and files that are damaged."""

import gzip
import io
import lzma
import os
import random
import zipfile
from contextlib import suppress

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory import csv_file, hosts_csv, packages_csv, packed, text_file
from inventory.csv_header import Reading
from patchmgr.errors import BadFileError, InputError

HOSTS = "hostname,owner\r\nweb1,Jörg Müller\r\nweb2,Zoë\r\n"


@pytest.fixture
def read(tmp_path):
    """Return the rows of a file and how it was read."""

    def read(content, **how):
        path = tmp_path / "hosts.csv"
        path.write_bytes(content)
        file = hosts_csv.read(path, Reading(**how))
        return [row.values for row in file.rows], file.layout.said

    return read


def refused(read, content, **how):
    with pytest.raises(BadFileError) as error:
        read(content, **how)
    return str(error.value)


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        ("utf-8", "UTF-8"),
        ("utf-8-sig", "UTF-8"),
        ("utf-16", "UTF-16-LE"),
        ("utf-16-le", "UTF-16-LE"),
        ("utf-16-be", "UTF-16-BE"),
        ("windows-1252", "Windows-1252"),
    ],
)
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_encoding_and_separator_are_recognised_and_said(read, codec, name, separator):
    rows, said = read(HOSTS.replace(",", separator).encode(codec))

    assert [row["owner"] for row in rows] == ["Jörg Müller", "Zoë"]
    assert said == f"read as {name}, separated by {'tab' if separator == chr(9) else separator}"


def test_capitals_before_quotes_and_blanks_of_windows_1252_are_no_second_encoding(read):
    rows, said = read("hostname,owner\nweb1,Groß\xa0- 1\nweb2,Team „CAFÉ“\n".encode("cp1252"))

    assert [row["owner"] for row in rows] == ["Groß\xa0- 1", "Team „CAFÉ“"]
    assert said == "read as Windows-1252, separated by ,"


@pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"'])
def test_excels_first_line_names_the_separator_and_rows_keep_their_numbers(tmp_path, first):
    path = tmp_path / "hosts.csv"
    path.write_text(f"{first}\nhostname;owner\nweb1;a,b\n-;x\n")

    file = hosts_csv.read(path)

    assert [row.values for row in file.rows] == [{"hostname": "web1", "owner": "a,b"}]
    assert [(bad.row, bad.column) for bad in file.refused.rows] == [(4, "hostname")]


def test_a_header_may_be_quoted_and_broken_over_lines(read):
    rows, _ = read(
        b'"hostname","running\nkernel"\n"web1","a ""b"" c, d"\n',
        mapping={"running kernel": "owner"},
    )

    assert rows == [{"hostname": "web1", "owner": 'a "b" c, d'}]


def test_an_encoding_that_a_person_names_is_believed(read):
    rows, said = read(HOSTS.encode("cp850"), encoding="cp850")

    assert rows[0]["owner"] == "Jörg Müller"
    assert "read as CP850" in said


def test_an_unknown_encoding_says_which_there_are(read):
    with pytest.raises(InputError, match="encoding: 'rot13' is not one of utf-8, utf-16"):
        read(b"hostname\n", encoding="rot13")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (HOSTS.encode("cp850"), "byte 23 is neither UTF-8 nor Windows-1252; name its encoding"),
        ("hostname,owner\na,é\nb,".encode() + b"\xe9\nc,x\n", "byte 23 is not UTF-8, and byte 18"),
        ("hostname,owner\na,é\nb,€".encode()[:-1], "begins a character that the file cuts off"),
        (HOSTS.encode("utf-16")[:-1], "is not UTF-16-LE"),
        (HOSTS.encode("utf-32"), "is UTF-32; save the file as UTF-8"),
        (b"hostname\n" + b"x" * (3 << 20), "row 2: 'xxxxxxxxxxxxxxxxxxxx' byte 10 begins a line"),
        (b'hostname,owner\nweb1,"open\nweb2,x\n', "row 2: begins a quoted field that nothing"),
        (",".join(map(str, range(10_000))).encode(), "has 10000 columns; a file may have 1000"),
        (b"hostname,owner\nweb1" + b",x" * 10_000, "row 2: has 10001 fields, the header has 2"),
        (b"sep=#\nhostname#owner\n", "'#' is no separator we know"),
    ],
)
def test_what_cannot_be_read_says_where_and_what_to_do(read, tmp_path, content, said):
    path = tmp_path / "f.csv"
    path.write_bytes(content)
    try:
        file = hosts_csv.read(path)
        file.refused.check(path.name, but_rejects=False)
    except BadFileError as error:
        assert said in str(error)  # noqa: PT017 -- either step may refuse it
    else:
        pytest.fail("it was read")


def test_a_pipe_is_refused_as_it_cannot_be_read_twice(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(InputError, match="is a pipe or a device, and a file is read more than"):
        hosts_csv.read(tmp_path / "pipe")


def zipped(*names, content=b"hostname\nweb1\n"):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content)
    return file.getvalue()


PACKERS = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "zstd": zstandard.compress,
    "zip": lambda content: zipped("hosts.csv", content=content),
}


@pytest.mark.parametrize("how", PACKERS)
def test_a_packed_file_is_unpacked(read, how):
    rows, said = read(PACKERS[how](HOSTS.encode("utf-16")))

    assert [row["hostname"] for row in rows] == ["web1", "web2"]
    assert said == f"read as UTF-16-LE from {how}, separated by ,"


@pytest.mark.parametrize("how", PACKERS)
def test_a_packed_file_that_is_cut_off_is_refused(read, how):
    whole = PACKERS[how](random.Random(1).randbytes(5000).hex().encode())

    assert "is damaged or cut off" in refused(read, whole[: len(whole) // 2])


@pytest.mark.parametrize("how", PACKERS)
def test_a_file_that_unpacks_to_too_much_is_refused(read, how, monkeypatch):
    monkeypatch.setattr(packed, "FREELY", 1 << 20)
    bomb = PACKERS[how](b"hostname\n" + b"\n" * (40 << 20))

    assert "MiB, which is refused; unpack it" in refused(read, bomb)


def test_a_workbook_and_an_archive_of_several_files_say_so(read):
    for book in (
        zipped("[Content_Types].xml", "xl/a.xml"),
        zipped("mimetype", "content.xml"),
        packed.OLD_WORKBOOK + bytes(504),
    ):
        assert "is a spreadsheet's workbook" in refused(read, book)
    assert "holds 2 files" in refused(read, zipped("a.csv", "b.csv"))
    assert read(zipped("a.csv", "__MACOSX/a.csv"))[0] == [{"hostname": "web1"}]


def test_any_byte_of_an_archive_may_be_another(tmp_path):
    archive = zipped("hosts.csv", content=b"hostname\nweb1\n")
    path = tmp_path / "hosts.zip"

    for place in range(4, len(archive)):
        for value in (0x00, 0x7F, 0xFF, archive[place] ^ 1):
            path.write_bytes(archive[:place] + bytes([value]) + archive[place + 1 :])
            with suppress(BadFileError), text_file.opened(path) as text:
                assert text.plain.stat().st_size <= len(archive)


PACKAGES = "hostname,manager,name,version\n" + "".join(
    f"web{n % 3},dpkg,p{n},1.{n}\n" for n in range(30)
)


@given(st.data())
@settings(max_examples=150)
def test_a_damaged_file_is_read_or_refused_and_nothing_else(tmp_path_factory, data):
    content = bytearray(
        PACKAGES.encode(data.draw(st.sampled_from(["utf-8", "utf-16", "windows-1252"])))
    )
    pack = data.draw(st.sampled_from([*PACKERS.values(), bytes, bytes]))
    whole = bytearray(pack(bytes(content)))
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(whole) - 1))
        whole[place] = data.draw(st.integers(0, 255))
    del whole[data.draw(st.integers(1, len(whole))) :]
    path = tmp_path_factory.getbasetemp() / "damaged.csv"
    path.write_bytes(whole)
    try:
        file = packages_csv.read(path)
    except (BadFileError, InputError) as error:
        assert "damaged.csv" in str(error)  # noqa: PT017 -- both outcomes are right
    else:
        assert file.rows <= len(PACKAGES)


def test_a_file_full_of_wide_bad_rows_keeps_only_so_much_of_them(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_file, "KEPT_TEXT", 10_000)
    path = tmp_path / "wide.csv"
    path.write_text("hostname\n" + ("x,y" * 1000 + "\n") * 50)

    file = hosts_csv.read(path)

    assert (file.refused.total, len(file.refused.rows)) == (50, 3)
