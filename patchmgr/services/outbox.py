"""Effects leave here: what a transaction decided is done after it, again and again until it is.

An effect may be performed twice (a crash between doing and noting it), never not at all.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.base import from_micros
from patchmgr.db.session import Database
from patchmgr.errors import PatchmgrError
from patchmgr.execution.base import Adapter, Order
from patchmgr.execution.manual import Manual
from patchmgr.notify.base import Channel, Message
from patchmgr.notify.log import Log

_log = logging.getLogger(__name__)
AT_ONCE = 500  # effects of one call


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one call did."""

    done: int
    failed: int  # to be tried again


def deliver(
    db: Database,
    *,
    now: datetime,
    adapter: Adapter | None = None,
    channels: Sequence[Channel] = (Log(),),
) -> Delivered:
    """Perform what waits in the outbox, oldest first; one that fails holds up no other.

    What has failed waits behind what was tried less often, so that no number of them starves the
    others.
    """
    done = failed = 0
    with db.reading() as session:
        numbers = session.scalars(
            select(models.Outbox.id)
            .where(models.Outbox.done_at.is_(None))
            .order_by(models.Outbox.attempts, models.Outbox.id)
            .limit(AT_ONCE)
        ).all()
    for number in numbers:
        with db.writing() as session:
            row = session.get(models.Outbox, number, with_for_update={"skip_locked": True})
            if row is None or row.done_at is not None:
                continue  # another process has it
            row.attempts += 1
            try:
                _perform(session, row, adapter or Manual(), channels)
            except Exception as error:  # noqa: BLE001 -- whatever one fails of, the next may succeed
                _log.warning(
                    "effect %s is tried again: %s",
                    number,
                    error,
                    exc_info=None if isinstance(error, PatchmgrError) else error,
                )
                row.error = str(error) or type(error).__name__
                failed += 1
            else:
                row.done_at, row.error = now, ""
                done += 1
    return Delivered(done, failed)


def forget(session: Session, *, before: datetime) -> int:
    """Delete what was done before ``before``; return how many. What waits is never old."""
    done = delete(models.Outbox).where(models.Outbox.done_at < before)
    return int(session.execute(done).rowcount)  # type: ignore[attr-defined] # a delete's result has one


def _perform(
    session: Session, row: models.Outbox, adapter: Adapter, channels: Sequence[Channel]
) -> None:
    if row.kind == "notify":
        plan = session.get(models.Plan, row.plan_id) if row.plan_id is not None else None
        title = plan.title if plan else ""
        text = row.payload["message"]
        message = Message(row.id, row.payload["kind"], row.plan_id, title, text)
        for channel in channels:
            channel.send(message)
        return
    orders = row.payload["orders"]
    plan_id = row.plan_id or 0
    if row.kind == "dispatch":
        adapter.dispatch(
            [
                Order(
                    plan_id,
                    one["host"],
                    one["attempt"],
                    from_micros(one["deadline"]),
                    one.get("is_way_back", False),
                )
                for one in orders
            ]
        )
    elif row.kind == "recall":
        adapter.recall(plan_id, [one["host"] for one in orders], orders[0]["why"])
