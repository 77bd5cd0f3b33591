"""Files of results, as the console and the API take them."""

from datetime import datetime

from patchmgr.db.session import Database
from patchmgr.domain.accounts import Role
from patchmgr.execution import results
from patchmgr.services.rollouts import ResultRow, ResultsTaken, report_results


def report_file(
    db: Database,
    plan_id: int,
    body: bytes,
    *,
    file: str,
    actor: str,
    role: Role,
    now: datetime,
) -> ResultsTaken:
    """Take the results in ``body``, a CSV that its sender calls ``file``: all of them, or none.

    Raises `BadFileError` that names every row which cannot be read or cannot be true.
    """
    rows = [
        ResultRow(
            one.host,
            one.outcome,
            one.package,
            one.output,
            one.attempt,
            one.reboot_pending,
            one.row,
        )
        for one in results.read(body, file)
    ]
    return report_results(db, plan_id, rows, actor=actor, role=role, now=now, file=file)
