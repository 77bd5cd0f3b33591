"""What takes its place whole or not at all, and what the killed leave."""

import os
import stat

import pytest

from patchmgr.services import drafts

NOBODY = 2**22 + 1  # more than Linux ever gives


def test_what_is_written_takes_its_place_when_the_block_ends(tmp_path):
    place = tmp_path / "a.csv"
    with drafts.draft(place) as begun:
        begun.write_text("1")
        assert not place.exists()

    assert place.read_text() == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_an_error_leaves_what_was_there(tmp_path):
    place = tmp_path / "a.csv"
    place.write_text("before")

    def write():
        with drafts.draft(place) as begun:
            begun.write_text("half")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        write()

    assert place.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_the_first_one_stays_where_it_must(tmp_path):
    place = tmp_path / "key"
    with drafts.draft(place, mode=drafts.PRIVATE, first_stays=True) as begun:
        begun.write_text("second")
        place.write_text("first")

    assert place.read_text() == "first"


def test_a_private_file_is_so_from_its_first_byte(tmp_path):
    with drafts.draft(tmp_path / "key", mode=drafts.PRIVATE) as begun:
        assert stat.S_IMODE(begun.stat().st_mode) == drafts.PRIVATE

    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == drafts.PRIVATE


def test_what_the_killed_had_begun_is_removed_and_nothing_else(tmp_path):
    others = {f".a.csv.{os.getppid()}.part", ".a.csv.x.part", ".axcsv.4194305.part", "b.csv"}
    for name in (f".a.csv.{NOBODY}.part", f".a.csv.{NOBODY}.part-wal", *others):
        (tmp_path / name).touch()
    with drafts.draft(tmp_path / "a.csv") as begun:
        begun.write_text("1")

    assert {path.name for path in tmp_path.iterdir()} == {*others, "a.csv"}
