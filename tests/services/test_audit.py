"""The audit log: every entry continues the one before, and nothing in it can be changed."""

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DBAPIError

from patchmgr.db import models
from patchmgr.services import audit


def write(db, now, *subjects):
    for subject in subjects:
        with db.writing() as session:
            audit.record(session, at=now, actor="ann", action="plan.approve", subject=subject)


def without_triggers(db):
    """Take the triggers away, as somebody with the database's own password could."""
    with db.writing() as session:
        on = "" if db.is_sqlite else " ON audit_entry"
        session.execute(text(f"DROP TRIGGER audit_entry_stays{on}"))
        session.execute(text(f"DROP TRIGGER audit_entry_keeps{on}"))


def test_each_entry_names_the_one_before(db, now):
    write(db, now, "plan 1", "plan 2", "plan 3")

    with db.reading() as session:
        entries = session.scalars(select(models.AuditEntry).order_by(models.AuditEntry.id)).all()
        assert audit.first_broken(session) is None
    assert [entry.previous for entry in entries] == ["", entries[0].hash, entries[1].hash]


def test_an_entry_falls_with_the_transaction_it_describes(db, now):
    def fail() -> None:
        with db.writing() as session:
            audit.record(session, at=now, actor="ann", action="plan.approve", subject="plan 1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    with db.reading() as session:
        assert session.scalars(select(models.AuditEntry)).all() == []


@pytest.mark.parametrize(
    "change",
    [
        update(models.AuditEntry).values(actor="eve"),
        delete(models.AuditEntry),
    ],
    ids=["changed", "removed"],
)
def test_the_database_itself_refuses_changes(db, now, change):
    write(db, now, "plan 1")

    with pytest.raises(DBAPIError, match="append-only"), db.writing() as session:
        session.execute(change)


def test_postgresql_refuses_to_empty_the_log(postgresql_db, now):
    write(postgresql_db, now, "plan 1")

    with pytest.raises(DBAPIError, match="append-only"), postgresql_db.writing() as session:
        session.execute(text("TRUNCATE audit_entry"))


@pytest.mark.parametrize("column", ["actor", "action", "subject"])
def test_a_changed_entry_is_found(db, now, column):
    write(db, now, "plan 1", "plan 2", "plan 3")
    without_triggers(db)

    with db.writing() as session:
        session.execute(
            update(models.AuditEntry).where(models.AuditEntry.id == 2).values({column: "x"})
        )

    with db.reading() as session:
        assert audit.first_broken(session) == 2


def test_a_removed_entry_is_found(db, now):
    write(db, now, "plan 1", "plan 2", "plan 3")
    without_triggers(db)

    with db.writing() as session:
        session.execute(delete(models.AuditEntry).where(models.AuditEntry.id == 2))

    with db.reading() as session:
        assert audit.first_broken(session) == 3
