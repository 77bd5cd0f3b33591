"""An instant survives the database to the microsecond, and a naive one is refused."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql

from patchmgr.db import models
from patchmgr.db.base import Utc, from_micros, to_micros
from patchmgr.db.session import Database

INSTANTS = st.datetimes(timezones=st.just(UTC))


@given(INSTANTS)
def test_microseconds_hold_an_instant_exactly(instant):
    assert from_micros(to_micros(instant)) == instant


@given(INSTANTS, INSTANTS)
def test_microseconds_order_as_the_instants_do(left, right):
    assert (to_micros(left) < to_micros(right)) == (left < right)


def test_a_naive_instant_is_refused():
    naive = datetime(2026, 3, 2, 9, 30)  # noqa: DTZ001 -- naive on purpose

    with pytest.raises(ValueError, match="naive"):
        Utc().process_bind_param(naive, postgresql.dialect())


def test_an_instant_of_another_zone_comes_back_as_the_same_instant_in_utc(db: Database):
    tokyo = datetime(2026, 3, 2, 18, 30, 0, 123456, tzinfo=timezone(timedelta(hours=9)))
    with db.writing() as session:
        session.add(models.LoginAttempt(subject="somebody", at=tokyo))

    with db.reading() as session:
        read = session.query(models.LoginAttempt.at).scalar()

    assert read == tokyo
    assert read.tzinfo is UTC
