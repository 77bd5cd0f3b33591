"""Many rows at once, in the quickest way each database has."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Dialect,
    Select,
    Table,
    func,
    literal,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from patchmgr.db.base import Base, table_of

T = TypeVar("T")

CHUNK = 10_000  # rows a statement
COPIED = 1_000  # rows from which a table of their own is worth making
IN_LIST = 500  # values in one IN (...)


def insert_raw(
    session: Session, model: type[Base], columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Insert ``rows`` of raw values, as the database stores them: an instant as microseconds.

    Part of the session's transaction; ids are given by the database.
    """
    table = model.__table__
    assert isinstance(table, Table)  # noqa: S101 -- every model is one table
    connection = session.connection()
    quote = connection.dialect.identifier_preparer.quote
    names = ", ".join(quote(name) for name in columns)
    if connection.dialect.name == "sqlite":
        places = ", ".join("?" * len(columns))
        statement = f"INSERT INTO {table.name} ({names}) VALUES ({places})"  # noqa: S608 -- our own names
        for chunk in chunks(rows, CHUNK):
            connection.exec_driver_sql(statement, [tuple(row) for row in chunk])
        return
    cursor = connection.connection.cursor()
    with cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def insert_all(session: Session, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert ``rows``, which have the same columns, as `insert_raw` does: one conflict fails all.

    Columns that they do not have get what the database has for them.
    """
    if not rows:
        return
    columns = tuple(rows[0])
    stored = _as_stored(session, table_of(model), columns)
    insert_raw(session, model, columns, (stored(row) for row in rows))


def _as_stored(
    session: Session, table: Table, columns: Sequence[str]
) -> Callable[[Mapping[str, Any]], list[Any]]:
    """Return what makes of a row the values that the database's driver takes, in their order."""
    dialect = session.connection().dialect
    ways = [(name, _bind(table.c[name].type, dialect)) for name in columns]

    def values(row: Mapping[str, Any]) -> list[Any]:
        return [row[name] if to is None else to(row[name]) for name, to in ways]

    return values


def _bind(kind: TypeEngine[Any], dialect: Dialect) -> Callable[[Any], Any] | None:
    return kind.dialect_impl(dialect).bind_processor(dialect)


def insert_new(session: Session, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert ``rows``, in their order, without those that somebody else has stored meanwhile."""
    if not rows:
        return
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    if is_postgresql and len(rows) >= COPIED:
        _copy_new(session, table_of(model), rows)
        return
    dialect = postgresql if is_postgresql else sqlite
    statement = dialect.insert(table_of(model)).on_conflict_do_nothing()
    session.connection().execute(statement, [dict(row) for row in rows])


def _copy_new(session: Session, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert many rows by way of a table of this transaction's own: COPY itself skips none."""
    connection = session.connection()
    dialect = connection.dialect
    quote = dialect.identifier_preparer.quote
    names = ", ".join(map(quote, rows[0]))
    stored = _as_stored(session, table, tuple(rows[0]))
    own = f"coming_{table.name}"
    connection.exec_driver_sql(
        f"CREATE TEMPORARY TABLE {own} AS SELECT {names} FROM {table.name} WITH NO DATA"  # noqa: S608 -- our own names
    )
    cursor = connection.connection.cursor()
    with cursor.copy(f"COPY {own} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(stored(row))
    connection.exec_driver_sql(
        f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {own} ON CONFLICT DO NOTHING"  # noqa: S608 -- our own names
    )
    connection.exec_driver_sql(f"DROP TABLE {own}")


def by_digest(session: Session, model: type[Base], digests: Collection[bytes]) -> dict[bytes, int]:
    """Return the id of each row of ``model`` that has one of the digests, by its digest.

    Written out, since a host's report asks for seven hundred: to put as many values into a
    statement takes SQLAlchemy longer than the database takes to find them. To PostgreSQL they go
    as one binary array, which nobody has to take apart as text.
    """
    if not digests:
        return {}
    connection = session.connection()
    select_ = f"SELECT digest, id FROM {table_of(model).name} WHERE digest"  # noqa: S608 -- our own names
    found: list[tuple[bytes, int]] = []
    if connection.dialect.name == "postgresql":
        rows = connection.exec_driver_sql(f"{select_} = ANY(%b)", (list(digests),))
        found += rows.cursor.fetchall()
    else:
        for part in chunks(digests, CHUNK):
            places = ", ".join("?" * len(part))
            rows = connection.exec_driver_sql(f"{select_} IN ({places})", tuple(part))
            found += rows.cursor.fetchall()
    return {bytes(digest): number for digest, number in found}


def in_lists(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield ``values`` in parts that one ``IN (...)`` takes."""
    for start in range(0, len(values), IN_LIST):
        yield values[start : start + IN_LIST]


def chunks(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield ``values`` in lists of at most ``size``."""
    iterator = iter(values)
    while chunk := list(islice(iterator, size)):
        yield chunk


def among(session: Session, column: Any, ids: Iterable[int]) -> ColumnElement[bool]:
    """Return ``column IN ids`` for any number of ids, as one parameter."""
    if session.get_bind().dialect.name == "postgresql":
        return column == func.any(literal(list(ids), ARRAY(BigInteger)))  # type: ignore[no-any-return] # of a column
    each = func.json_each(json.dumps(list(ids))).table_valued("value")
    return column.in_(select(each.c.value))  # type: ignore[no-any-return] # of a column


def among_found(session: Session, column: Any, found: Select[Any]) -> ColumnElement[bool]:
    """Return ``column IN found``, such that PostgreSQL finds first and then looks up an index."""
    if session.get_bind().dialect.name == "postgresql":
        return column == func.any(func.array(found.scalar_subquery()))  # type: ignore[no-any-return] # of a column
    return column.in_(found)  # type: ignore[no-any-return] # of a column
