"""What every table shares: naming of constraints and the column types of instants and JSON."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from sqlalchemy import JSON, BigInteger, Dialect, MetaData, String, Table
from sqlalchemy.orm import DeclarativeBase, mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(instant: datetime) -> int:
    """Return ``instant`` as whole microseconds since 1970 UTC. Raises `ValueError` if naive."""
    if instant.tzinfo is None:
        raise ValueError(f"naive datetime: {instant}")
    return (instant - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the UTC instant ``micros`` microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=micros)


class Utc(TypeDecorator[datetime]):
    """An instant, stored as microseconds since 1970 UTC (ADR 0006).

    One whole number orders and adds alike in SQLite and PostgreSQL, which a due date that is
    computed inside a query needs; SQLite has no type of its own for an instant.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else to_micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else from_micros(value)


class Base(DeclarativeBase):
    """Base of all models; constraints get names that migrations can refer to."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 -- SQLAlchemy reads it as a plain class attribute
        datetime: Utc,
        dict[str, Any]: JSON,
        list[str]: JSON,
        list[Any]: JSON,
        Mapping[str, Any]: JSON,
    }


def table_of(model: type[Base]) -> Table:
    """Return the one table of ``model``, for statements that need no objects."""
    table = model.__table__
    assert isinstance(table, Table)  # noqa: S101 -- tells the type checker what the models are
    return table


def text_of(length: int) -> TypeEngine[str]:
    """Return the type of a text that sorts by its code points in every database and locale."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


Id = Annotated[int, mapped_column(primary_key=True)]
Name = Annotated[str, mapped_column(text_of(200))]
Word = Annotated[str, mapped_column(text_of(64))]
