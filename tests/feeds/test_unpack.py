"""Compressed documents: unpacked when whole, refused when damaged or hostile."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from contextlib import suppress

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.unpack import MIB, unpack

BODY = b'{"apt": 1}' * 500
JSON = (".json",)


def zipped(**members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return out.getvalue()


PACKED = {
    "bz2": bz2.compress(BODY),
    "gz": gzip.compress(BODY, mtime=0),
    "xz": lzma.compress(BODY),
    "zst": zstandard.compress(BODY),
}


@pytest.mark.parametrize("kind", PACKED)
def test_a_packed_document_is_unpacked(kind):
    assert list(unpack("a", PACKED[kind], JSON)) == [("a", BODY)]


@pytest.mark.parametrize("kind", PACKED)
def test_two_streams_in_a_row_are_one_document(kind):
    assert list(unpack("a", PACKED[kind] * 2, JSON)) == [("a", BODY * 2)]


@pytest.mark.parametrize("kind", PACKED)
def test_every_truncation_is_noticed(kind):
    for length in range(8, len(PACKED[kind]) - 1):
        with pytest.raises(FeedMalformedError, match=r"^a: damaged or cut off"):
            list(unpack("a", PACKED[kind][:length], JSON))


@pytest.mark.parametrize("kind", PACKED)
def test_damage_is_noticed(kind):
    damaged = bytearray(PACKED[kind])
    damaged[len(damaged) // 2] ^= 0xFF

    try:
        content = [body for _name, body in unpack("a", bytes(damaged), JSON)]
    except FeedMalformedError:
        return
    assert kind == "zst"  # written without a checksum
    assert content != [BODY]


def test_what_is_not_packed_stays_as_it_is():
    assert list(unpack("a.gz", BODY, JSON)) == [("a.gz", BODY)]
    assert list(unpack("a", b"", JSON)) == [("a", b"")]


def test_an_archive_gives_the_documents_that_the_feed_takes():
    archive = zipped(b_json=BODY, a__c_json_gz=PACKED["gz"], readme_txt=b"x")

    assert list(unpack("z", archive, JSON)) == [("z/a/c.json.gz", BODY), ("z/b.json", BODY)]


def test_a_document_may_be_packed_again_for_the_way():
    assert list(unpack("a", gzip.compress(PACKED["xz"], mtime=0), JSON)) == [("a", BODY)]


@pytest.mark.parametrize(
    "bomb",
    [
        gzip.compress(bytes(20 * MIB), mtime=0),
        lzma.compress(bytes(20 * MIB)),
        zstandard.compress(bytes(20 * MIB)),
        gzip.compress(gzip.compress(bytes(20 * MIB)), mtime=0),
        zipped(a_json=bytes(20 * MIB)),
        zipped(a_json=gzip.compress(bytes(20 * MIB))),
    ],
    ids=["gz", "xz", "zst", "twice", "zip", "in a zip"],
)
def test_a_bomb_is_refused(bomb):
    with pytest.raises(FeedMalformedError, match="unpacks to more than 10 MiB"):
        list(unpack("a", bomb, JSON, limit=10 * MIB))


def test_an_archive_may_hold_several_documents_of_the_largest_size_but_not_any_number():
    def archive(members):
        return zipped(**{f"a{number}_json": bytes(9 * MIB) for number in range(members)})

    assert len(list(unpack("a", archive(2), JSON, limit=10 * MIB))) == 2
    with pytest.raises(FeedMalformedError, match="unpacks to more than 80 MiB"):
        list(unpack("a", archive(9), JSON, limit=10 * MIB))


def test_a_parcel_in_a_parcel_in_a_parcel_is_refused():
    body = BODY
    for _ in range(4):
        body = gzip.compress(body, mtime=0)

    with pytest.raises(FeedMalformedError, match="packed more than 3 times over"):
        list(unpack("a", body, JSON))


def test_an_encrypted_archive_is_refused():
    archive = bytearray(zipped(a_json=BODY))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        archive[archive.index(signature) + offset] |= 1

    with pytest.raises(FeedMalformedError, match=r"a\.json is encrypted or packed"):
        list(unpack("a", bytes(archive), JSON))


def test_a_damaged_archive_is_refused():
    archive = zipped(a_json=BODY)

    for length in range(4, len(archive) - 1, 7):
        with pytest.raises(FeedMalformedError):
            list(unpack("a", archive[:length], JSON))


def test_any_byte_of_an_archive_may_be_another():
    archive = zipped(a_json=b"1", b_json=b"2")

    for place in range(4, len(archive)):
        for value in (0x00, 0x7F, 0xFF, archive[place] ^ 1):
            damaged = archive[:place] + bytes([value]) + archive[place + 1 :]
            with suppress(FeedMalformedError):
                assert sum(len(body) for _name, body in unpack("a", damaged, JSON)) <= 2


def test_an_archive_of_very_many_files_is_refused_before_its_directory_is_read(monkeypatch):
    monkeypatch.setattr("patchmgr.feeds.unpack.MOST_MEMBERS", 2)

    assert len(list(unpack("a", zipped(a_json=b"1", b_json=b"2"), JSON))) == 2
    with pytest.raises(FeedMalformedError, match=r"^a: holds more than 2 files"):
        list(unpack("a", zipped(a_json=b"1", b_json=b"2", c_txt=b""), JSON))


def tarred(**members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:", format=tarfile.PAX_FORMAT) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name.replace("__", "/").replace("_", "."))
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, zstandard.compress])
def test_a_tape_archive_gives_the_documents_that_the_feed_takes(pack):
    archive = pack(tarred(a_json=BODY, b__c_json_gz=PACKED["gz"], readme_txt=b"x"))

    assert list(unpack("t", archive, JSON)) == [("t/a.json", BODY), ("t/b/c.json.gz", BODY)]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_in_a_tape_archive_are_whole(form):
    name = "/".join(["folder" * 4] * 6 + ["a.json"])
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:", format=form) as archive:
        info = tarfile.TarInfo(name)
        info.size = len(BODY)
        archive.addfile(info, io.BytesIO(BODY))

    assert list(unpack("t", out.getvalue(), JSON)) == [(f"t/{name}", BODY)]


def test_one_tape_archive_behind_another_is_read_as_well():
    """As Alpine's are: a signature's and the index's, each compressed by itself."""
    one, other = tarred(a_json=BODY), tarred(b_json=BODY)
    parts = gzip.compress(one[:-1024], mtime=0) + gzip.compress(other, mtime=0)

    assert [name for name, _body in unpack("t", parts, JSON)] == ["t/a.json", "t/b.json"]


def test_links_and_devices_in_a_tape_archive_are_passed_over():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.GNUTYPE_SPARSE):
            info = tarfile.TarInfo("a.json")
            info.type = kind
            info.linkname = "/etc/passwd"
            archive.addfile(info)

    assert list(unpack("t", out.getvalue(), JSON)) == []


def test_a_damaged_tape_archive_is_refused():
    archive = tarred(a_json=BODY)
    changed = bytearray(archive)
    changed[130] ^= 1

    with pytest.raises(FeedMalformedError, match=r"^t: damaged or cut off"):
        list(unpack("t", bytes(changed), JSON))
    for length in range(512, 512 + len(BODY), 97):
        with pytest.raises(FeedMalformedError, match=r"^t: damaged or cut off"):
            list(unpack("t", archive[:length], JSON))


@given(st.data())
def test_whatever_the_damage_a_tape_archive_ends(data):
    archive = bytearray(tarred(a_json=BODY, b_json=BODY))
    for _ in range(data.draw(st.integers(1, 6))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))

    try:
        assert sum(len(body) for _name, body in unpack("t", bytes(archive), JSON)) <= len(archive)
    except FeedMalformedError:
        return


def test_what_an_address_says_stays_behind_the_names_of_members():
    archive = zipped(a_json=BODY)

    assert [name for name, _body in unpack("z#suite=main", archive, JSON)] == [
        "z/a.json#suite=main"
    ]
