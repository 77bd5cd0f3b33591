"""Uploads as jobs: looked into, carried out, taken up again after a process has ended."""

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import delete, event, select, update

from inventory import import_work, preview, sources, uploads
from inventory.csv_header import Reading
from inventory.uploads import Wish
from patchmgr.db import models
from patchmgr.db.queries import imports as queries
from patchmgr.errors import ConflictError, InputError
from tests.services.conftest import until_it_waits

HOSTS = "hostname,environment\nnew-1,test\nnew-2,test\n"


@dataclass
class Desk:
    """Sends files and decides on them as ann; `work` is what the scheduler does."""

    db: Any
    inventory: Any
    folder: Any

    @property
    def who(self):
        return {"actor": "ann", "now": self.inventory.now}

    def send(self, text, kind="hosts", **wish):
        content = io.BytesIO(text if isinstance(text, bytes) else text.encode())
        wish = Wish(kind, **wish)
        return uploads.receive(
            self.db, content, wish, filename="h.csv", uploads=self.folder, **self.who
        )

    def work(self):
        return import_work.work(self.db, self.folder, lambda: self.inventory.now)

    def confirm(self, number, **how):
        uploads.confirm(self.db, number, **({"take_good": False} | how), **self.who)

    def line(self, number):
        with self.db.reading() as session:
            return queries.get(session, number)

    def set(self, number, **values):
        with self.db.writing() as session:
            session.execute(
                update(models.Import).where(models.Import.id == number).values(**values)
            )

    def waiting_jobs(self):
        with self.db.reading() as session:
            return set(session.scalars(select(models.JobRun.job)))


@pytest.fixture
def desk(inventory, tmp_path):
    return Desk(inventory.db, inventory, tmp_path / "uploads")


def test_an_upload_waits_is_looked_into_and_changes_nothing_yet(desk):
    number = desk.send(HOSTS)
    assert (desk.line(number).state, desk.waiting_jobs()) == ("waiting", {"imports"})

    assert desk.work() == "1 checked"

    line = desk.line(number)
    assert (line.state, line.progress, line.rows) == ("previewed", 100, 2)
    assert line.preview["said"] == "read as UTF-8, separated by ,"
    assert desk.inventory.names() == []


def test_what_is_being_discarded_cannot_be_confirmed(desk):
    number = desk.send(HOSTS)
    desk.work()
    with ThreadPoolExecutor(1) as pool:
        with desk.db.writing() as session:
            session.get_one(models.Import, number).state = "discarded"
            session.flush()
            confirming = pool.submit(desk.confirm, number)
            until_it_waits(desk.db, confirming)
        with pytest.raises(ConflictError, match="is discarded"):
            confirming.result()
    assert desk.line(number).state == "discarded"


def test_what_was_confirmed_is_carried_out_and_a_scan_asked_for(desk):
    number = desk.send(HOSTS)
    desk.work()
    desk.confirm(number)

    assert desk.work() == "1 applied"

    assert desk.line(number).state == "applied"
    assert desk.inventory.names() == ["new-1", "new-2"]
    assert "scan" in desk.waiting_jobs()
    assert list(desk.folder.iterdir()) == []
    assert desk.work() == ""


def test_only_what_can_be_carried_out_is_confirmed(desk):
    number = desk.send("hostname\nok\nnot ok\n")
    with pytest.raises(ConflictError, match="is waiting"):
        desk.confirm(number)
    desk.work()
    with pytest.raises(ConflictError, match="1 rows cannot be taken"):
        desk.confirm(number)
    with pytest.raises(InputError, match="takes hosts that a full export lacks"):
        desk.confirm(number, take_good=True, retire=["a"])

    desk.confirm(number, take_good=True)
    desk.work()

    assert desk.inventory.names() == ["ok"]
    assert len(list(desk.folder.glob("*.rejects.csv"))) == 1


def test_an_import_for_which_the_database_has_no_room_goes_on_when_there_is(on_sqlite, tmp_path):
    desk = Desk(on_sqlite.db, on_sqlite, tmp_path / "uploads")
    number = desk.send("hostname,owner\n" + "".join(f"h{n},{'x' * 200}\n" for n in range(500)))
    desk.work()
    desk.confirm(number)

    def limit(connection, _record):
        connection.execute("PRAGMA max_page_count=1")  # not less than it has: it cannot grow

    event.listen(on_sqlite.db.engine, "connect", limit)
    on_sqlite.db.close()
    assert desk.work() == "1 not carried out"
    line = desk.line(number)
    assert (line.state, on_sqlite.names()) == ("interrupted", [])
    assert line.error.startswith("the disk of the service is full, and nothing of this was kept")

    event.remove(on_sqlite.db.engine, "connect", limit)
    on_sqlite.db.close()
    uploads.retry(on_sqlite.db, number, **desk.who)
    assert desk.work() == "1 applied"
    assert len(on_sqlite.names()) == 500


def test_a_full_export_offers_who_is_gone_and_retires_those_chosen(desk):
    for text, chosen in (("hostname\na\nb\nc\n", ()), ("hostname\na\n", ["b"])):
        number = desk.send(text, source="cmdb", full_export=True)
        desk.work()
        gone = desk.line(number).preview["gone"]
        desk.confirm(number, retire=chosen)
        desk.work()

    assert gone == ["b", "c"]
    assert desk.line(number).preview["retired"] == ["b"]
    assert desk.inventory.names() == ["a", "c"]


def test_a_source_that_is_not_known_yet_is_said_before_it_becomes_one(desk):
    first = desk.send("hostname\na\n", source="cmdb", full_export=True)
    desk.work()
    assert desk.line(first).preview["new_source"]
    desk.confirm(first)
    desk.work()

    mistyped = desk.send("hostname\nb\n", source="cmbd", full_export=True)
    again = desk.send("hostname\nb\n", source="cmdb", full_export=True)
    desk.work()

    found = desk.line(mistyped).preview
    assert (found["new_source"], found["sources"], found["gone"]) == (True, ["cmdb"], [])
    assert not desk.line(again).preview["new_source"]


def test_how_a_source_was_read_is_used_for_its_next_file(desk):
    number = desk.send("Server,Colour\na,red\n", source="cmdb", save=True)
    desk.work()
    assert desk.line(number).preview["missing"] == ["hostname"]
    mapping = {"Server": "hostname", "Colour": "-"}
    uploads.remap(desk.db, number, mapping, **desk.who)
    desk.work()
    desk.confirm(number)
    desk.work()

    following = desk.send("Server,Colour\na,red\nb,blue\n", source="cmdb")
    desk.work()

    assert desk.line(following).preview["summary"]["new"] == 1


def test_a_file_that_does_not_fit_its_source_says_so_and_can_be_mapped(desk):
    with desk.db.writing() as session:
        sources.store(session, "cmdb", "hosts", Reading({"Server": "hostname"}), **desk.who)

    number = desk.send("hostname\na\n", source="cmdb")
    desk.work()

    assert "--map Server=hostname: does not name a column" in desk.line(number).preview["problem"]
    uploads.remap(desk.db, number, {}, **desk.who)
    desk.work()
    assert desk.line(number).preview["summary"]["new"] == 1


@pytest.mark.parametrize(("left", "confirmed"), [("checking", False), ("applying", True)])
def test_what_a_dead_process_left_is_taken_up_again(desk, left, confirmed):
    number = desk.send(HOSTS)
    if confirmed:
        desk.work()
        desk.confirm(number)
    desk.set(number, state=left, attempts=1)

    desk.work()

    assert desk.line(number).state == ("applied" if confirmed else "previewed")


def test_a_new_leader_asks_for_what_the_last_one_left_and_for_nothing_else(desk):
    import_work.resume(desk.db, desk.inventory.now)
    assert desk.waiting_jobs() == set()
    desk.set(desk.send(HOSTS), state="checking", attempts=1)
    with desk.db.writing() as session:
        session.execute(delete(models.JobRun))

    import_work.resume(desk.db, desk.inventory.now)

    assert desk.waiting_jobs() == {"imports"}


def test_what_ends_the_process_each_time_waits_for_a_person(desk):
    number = desk.send(HOSTS)
    desk.set(number, state="checking", attempts=import_work.ATTEMPTS)
    other = desk.send(HOSTS)

    assert desk.work() == "1 checked"

    assert (desk.line(number).state, desk.line(other).state) == ("interrupted", "previewed")
    uploads.retry(desk.db, number, **desk.who)
    desk.work()
    assert desk.line(number).state == "previewed"


def test_an_import_refused_when_it_is_carried_out_goes_back_to_the_person(desk):
    number = desk.send("hostname,external_id\na,1\n")
    desk.work()
    desk.confirm(number)
    desk.inventory.hosts("hostname,external_id\na,2\n")

    assert desk.work() == "1 not carried out"

    line = desk.line(number)
    assert (line.state, line.confirmed_by) == ("previewed", "")
    assert line.error.startswith("h.csv: row 2, column external_id: '1' differs from '2'")


def test_a_bug_does_not_keep_other_imports_waiting(desk, monkeypatch):
    first, second = desk.send(HOSTS), desk.send(HOSTS)
    look = preview.look

    def fails_once(*args, **more):
        monkeypatch.setattr(preview, "look", look)
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr(preview, "look", fails_once)

    assert desk.work() == "1 checked, 1 not carried out"
    assert (desk.line(first).state, desk.line(second).state) == ("interrupted", "previewed")
    assert desk.line(first).error == "ZeroDivisionError: of all things"


def test_a_file_that_is_not_on_this_machine_is_said(desk):
    number = desk.send(HOSTS)
    for each in desk.folder.iterdir():
        each.unlink()

    desk.work()

    assert "no uploaded file" in desk.line(number).preview["problem"]


def test_another_process_that_carried_it_out_first_wins(desk, monkeypatch):
    number = desk.send(HOSTS)
    desk.work()
    desk.confirm(number)
    carry_out = preview.carry_out

    def after_another(*args, **more):
        desk.set(number, state="applied")
        return carry_out(*args, **more)

    monkeypatch.setattr(preview, "carry_out", after_another)
    desk.work()

    assert desk.inventory.names() == []
    assert desk.line(number).state == "applied"


def test_the_progress_of_a_large_file_is_noted(desk, monkeypatch):
    noted = []
    number = desk.send("hostname\n" + "".join(f"h{n}\n" for n in range(40_000)))
    monkeypatch.setattr(
        import_work, "_noting", lambda _db, _id: lambda part: noted.append(round(part, 1))
    )

    desk.work()

    assert desk.line(number).state == "previewed"
    assert noted == sorted(noted)
    assert len(set(noted)) > 1


def test_a_file_of_everything_that_breaks_off_leaves_nothing(desk):
    class Broken(io.RawIOBase):
        def read(self, _size=-1):
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        uploads.receive(
            desk.db, Broken(), Wish("hosts"), filename="x", uploads=desk.folder, **desk.who
        )
    assert list(desk.folder.iterdir()) == []
