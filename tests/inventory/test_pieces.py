"""Files in pieces: what breaks off goes on; nothing is lost, taken twice, or glued on another."""

from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select

from inventory import import_work, pieces
from inventory.uploads import Wish
from patchmgr.db import models
from patchmgr.db.queries import imports as queries
from patchmgr.db.session import Database
from patchmgr.errors import ConflictError, ForbiddenError, InputError, NotFoundError

FILE = b"hostname,environment\n" + b"".join(b"new-%d,test\n" % number for number in range(20))
SIZE = 64  # bytes of a piece


@dataclass
class Sender:
    """Sends `FILE` as ann, through any of the processes on one database."""

    db: Any
    inventory: Any
    folder: Any

    def begin(self, content=FILE, kind="hosts", actor="ann", **more):
        said = {"filename": "h.csv", "size": len(content), "modified": 7, "largest": 1000} | more
        return pieces.begin(
            self.db, Wish(kind), **said, uploads=self.folder, actor=actor, now=self.inventory.now
        )

    def send(self, number, db=None, content=FILE, offset=None, digest=None, actor="ann"):
        """Send the piece that is due, or the one at ``offset``."""
        line = self.line(number)
        at = line.received if offset is None else offset
        piece = content[at : at + line.piece]
        pieces.take(
            db or self.db,
            number,
            piece,
            offset=at,
            digest=digest or pieces.chained(line.digest, piece),
            uploads=self.folder,
            actor=actor,
            now=self.inventory.now,
        )
        return self.line(number)

    def rest(self, number, **how):
        while (line := self.send(number, **how)).import_id is None:
            pass
        return line

    def line(self, number):
        with self.db.reading() as session:
            return queries.upload_line(session, number)

    def audited(self):
        with self.db.reading() as session:
            return list(session.scalars(select(models.AuditEntry.action)))

    def files(self):
        return {file.name: file.read_bytes() for file in self.folder.glob("*")}


@pytest.fixture
def sender(inventory, tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE", SIZE)
    return Sender(inventory.db, inventory, tmp_path / "uploads")


def test_what_broke_off_goes_on_in_another_process_and_becomes_the_same_import(sender):
    number = sender.begin()
    assert sender.send(number).received == SIZE
    other = Database(sender.db.url)

    assert sender.begin() == number  # the same file is chosen again
    done = sender.rest(number, db=other)
    other.close()

    assert list(sender.files().values()) == [FILE]
    with sender.db.reading() as session:
        line = queries.get(session, done.import_id)
        assert queries.unfinished(session) == []
    assert (line.state, line.size, line.filename) == ("waiting", len(FILE), "h.csv")
    assert import_work.work(sender.db, sender.folder, lambda: sender.inventory.now) == "1 checked"
    assert sender.audited() == ["upload.begin", "import.upload"]


def test_a_piece_whose_answer_was_lost_can_be_sent_again(sender):
    number = sender.begin()
    first = sender.send(number)
    again = sender.send(number, offset=0, digest=first.digest)
    last = sender.rest(number)
    at = len(FILE) - len(FILE) % SIZE

    assert again == first
    assert sender.send(number, offset=at, digest=last.digest) == last
    assert sender.audited().count("import.upload") == 1


def test_a_write_that_was_never_acknowledged_is_written_over(sender):
    number = sender.begin()
    sender.send(number)
    (path,) = sender.folder.iterdir()
    path.write_bytes(path.read_bytes() + b"x" * 500)  # as a process leaves it that ends there

    sender.rest(number)

    assert path.read_bytes() == FILE


@pytest.mark.parametrize(
    ("piece", "error", "said"),
    [
        ({"offset": 0}, ConflictError, "goes on at 64, not at 0"),
        ({"offset": 128}, ConflictError, "goes on at 64, not at 128"),
        ({"digest": "0" * 64}, InputError, "digest: is not that of what was sent"),
        ({"content": FILE[:100]}, InputError, "body: has 36 bytes; the piece at 64 has 64"),
        ({"actor": "bob"}, ForbiddenError, "is ann's"),
    ],
)
def test_a_piece_that_does_not_follow_is_refused_and_changes_nothing(sender, piece, error, said):
    number = sender.begin()
    before = sender.send(number)
    kept = sender.files()

    with pytest.raises(error, match=said):
        sender.send(number, **piece)

    assert (sender.line(number), sender.files()) == (before, kept)


def test_the_digest_is_of_all_pieces_so_that_another_file_is_never_glued_on(sender):
    other = FILE.replace(b"new-0,", b"old-0,")
    number = sender.begin()
    sender.send(number)

    digest = pieces.chained(pieces.chained("", other[:SIZE]), other[SIZE : 2 * SIZE])
    with pytest.raises(InputError, match="of another file"):
        sender.send(number, content=other, digest=digest)


def test_another_file_of_the_same_looks_begins_from_nothing(sender):
    number = sender.begin()
    sender.send(number)

    other = sender.begin(anew=True)

    assert sender.line(other).received == 0
    assert sender.files() == {}
    with pytest.raises(NotFoundError):
        sender.line(number)


def test_what_is_said_of_a_file_is_what_was_said_last(sender):
    number = sender.begin(kind="packages")
    sender.begin(kind="hosts")

    line = sender.rest(number)

    with sender.db.reading() as session:
        assert queries.get(session, line.import_id).kind == "hosts"


def test_each_account_has_few_unfinished_uploads_none_larger_than_the_setting(sender):
    mine = [sender.begin(filename=f"{number}.csv") for number in range(pieces.MOST)]
    with pytest.raises(ConflictError, match="5 of your uploads are unfinished"):
        sender.begin(filename="more.csv")
    with pytest.raises(InputError, match="is larger than 0 MiB"):
        sender.begin(filename="large.csv", size=1001)
    with pytest.raises(InputError, match="is empty"):
        sender.begin(filename="empty.csv", size=0)
    sender.begin(filename="more.csv", actor="bob")

    pieces.discard(sender.db, mine[0], uploads=sender.folder, actor="bob", now=sender.inventory.now)

    assert sender.begin(filename="more.csv") not in mine
    assert "upload.discard" in sender.audited()


def test_a_part_that_is_not_on_this_machine_is_said_and_begun_again(sender):
    number = sender.begin()
    sender.send(number)
    for path in sender.folder.iterdir():
        path.unlink()

    with pytest.raises(ConflictError, match="nothing is kept on this machine"):
        sender.send(number)
    assert sender.line(sender.begin()).received == 0


def test_a_whole_upload_is_discarded_as_an_import_only(sender):
    number = sender.begin()
    sender.rest(number)

    with pytest.raises(ConflictError, match="is whole: see import"):
        pieces.discard(
            sender.db, number, uploads=sender.folder, actor="ann", now=sender.inventory.now
        )
