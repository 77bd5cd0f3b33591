"""What one transaction at a time may do, in whichever process.

In PostgreSQL each is an advisory lock, held until the transaction ends. In SQLite whoever may write
is the only one anyway. A transaction that needs several takes them in the order in which they stand
here: so `AUDIT` comes last, and who has it waits for nothing more.
"""

from enum import IntEnum

from sqlalchemy import func, select
from sqlalchemy.orm import Session


class Lock(IntEnum):
    """The numbers mean nothing; two versions of this service on one database must agree on them."""

    BATCH = 0x70617463  # bring in inventory or advisories, or scan them (`Database.writing`)
    SIGN_INS = 0x7369676E  # count attempts to sign in
    IDENTITIES = 0x6964656E  # decide which host a machine is
    ADMINS = 0x61646D73  # take somebody's role as an admin
    POLICIES = 0x706F6C69  # make a version of a policy
    TICK = 0x726F6C6C  # bring plans to where they must be
    GROUPS = 0x67726F757073  # spend of what groups can spare
    AUDIT = 0x7061746368  # append to the audit log's chain, or change a hold


def wait_for(session: Session, lock: Lock, *, shared: bool = False) -> None:
    """Let the transaction go on once nobody else has ``lock``, or has it but ``shared``."""
    if session.get_bind().dialect.name == "postgresql":
        take = func.pg_advisory_xact_lock_shared if shared else func.pg_advisory_xact_lock
        session.execute(select(take(lock.value)))
