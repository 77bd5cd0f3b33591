"""Work carried out by people or by their own Ansible: files out, results back.

Handing an order out means that it shows: in the exports and on the plan's page, until its deadline.
Nothing is sent, so nothing can be lost on the way.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import ClassVar

from patchmgr.domain.plans import WorkLine
from patchmgr.execution.base import Order

COLUMNS = ("plan", "ring", "host", "package", "arch", "from", "to", "attempt", "state", "match",
           "source", "targets")  # fmt: skip


class Manual:
    """The adapter that waits to be asked."""

    name: ClassVar[str] = "manual"

    def dispatch(self, orders: Sequence[Order]) -> None:
        """Do nothing: the order is the task's own state."""

    def recall(self, plan: int, hosts: Sequence[int], why: str) -> None:
        """Do nothing, for the same reason."""


def work_csv(lines: Iterable[WorkLine]) -> str:
    """Return the work as CSV, a row per host and package; no cell can become a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for line in lines:
        cells = (
            line.plan,
            line.ring,
            line.host,
            line.package,
            line.arch,
            line.from_version,
            line.to_version,
            line.attempt,
            line.state,
            line.match.value,
            line.source,
            line.targets.value,
        )
        writer.writerow([harmless(str(cell)) for cell in cells])
    return text.getvalue()


def harmless(cell: str) -> str:
    """Return ``cell`` so that no spreadsheet reads it as a formula: with an apostrophe before it.

    Versions, package and host names begin with a letter or a digit, so none of them is changed.
    """
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else cell
