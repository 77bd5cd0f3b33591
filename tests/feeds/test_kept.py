"""Documents that a sync which was cut short leaves for the next one."""

import hashlib

import pytest

from patchmgr.feeds.crawl import Document
from patchmgr.feeds.kept import Kept

URL = "https://feed.example/a.json"
BODY = b'{"a": 1}\n{"b": 2}'


def document(body=BODY, etag='"1"', last_modified=""):
    return Document(body, etag, last_modified, hashlib.sha256(body).hexdigest())


@pytest.fixture
def kept(tmp_path):
    return Kept(tmp_path / "feeds" / "debian")


def test_what_is_kept_comes_back_as_it_was(kept):
    kept.put(URL, document())

    assert kept.get(URL) == document()
    assert kept.get("https://feed.example/b.json") is None


def test_a_newer_document_takes_the_place_of_the_older(kept, tmp_path):
    kept.put(URL, document())
    kept.put(URL, document(b"{}", etag='"2"'))

    assert kept.get(URL) == document(b"{}", etag='"2"')
    assert len(list((tmp_path / "feeds" / "debian").iterdir())) == 1


def test_what_no_server_can_be_asked_about_is_not_kept(kept, tmp_path):
    kept.put(URL, document(etag=""))

    assert kept.get(URL) is None
    assert not (tmp_path / "feeds").exists()


def test_what_an_address_has_the_digest_of_is_kept_all_the_same(kept):
    kept.put(f"{URL}#sha256=ab", document(etag=""))

    assert kept.get(f"{URL}#sha256=ab") == document(etag="")


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff\n", b"[1]\nx", b"null\n"])
def test_a_file_that_is_damaged_is_as_good_as_none(kept, tmp_path, damage):
    kept.put(URL, document())
    (file,) = (tmp_path / "feeds" / "debian").iterdir()

    file.write_bytes(damage)
    assert kept.get(URL) is None


def test_a_body_that_was_cut_is_as_good_as_none(kept, tmp_path):
    kept.put(URL, document())
    (file,) = (tmp_path / "feeds" / "debian").iterdir()

    file.write_bytes(file.read_bytes()[:-1])
    assert kept.get(URL) is None


def test_there_is_an_end_to_what_is_kept(tmp_path):
    small = Kept(tmp_path / "small", limit=400)
    for name in "abcd":
        small.put(f"{URL}?{name}", document(name.encode() * 50))

    assert small.get(f"{URL}?a") is not None
    assert small.get(f"{URL}?d") is None
    assert sum(file.stat().st_size for file in (tmp_path / "small").iterdir()) <= 400
    again = Kept(tmp_path / "small", limit=400)  # counts what is there already
    again.put(f"{URL}?d", document(b"d" * 50))
    assert again.get(f"{URL}?d") is None


def test_a_folder_that_cannot_be_written_is_no_failure(tmp_path):
    (tmp_path / "file").write_text("not a folder")

    kept = Kept(tmp_path / "file" / "debian")
    kept.put(URL, document())

    assert kept.get(URL) is None


def test_cleared_there_is_nothing(kept, tmp_path):
    kept.put(URL, document())
    kept.clear()
    kept.clear()

    assert kept.get(URL) is None
    assert list((tmp_path / "feeds").iterdir()) == []
