"""What an import or a report does to the inventory, or would do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from inventory.csv_file import Layout
from patchmgr.errors import BadRow

EXAMPLES = 20  # of each kind in a difference


@dataclass(frozen=True, slots=True)
class Change:
    """What an import does, or would do, to one host."""

    host: str
    kind: str  # "new", "changed", "unchanged"
    details: tuple[str, ...] = ()  # "environment: test -> production", "+openssl 3.0.17-1"


@dataclass(slots=True)
class Difference:
    """What an import does to the inventory: totals, and examples of what changes."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    added: int = 0  # package versions that hosts get
    removed: int = 0  # package versions that hosts lose
    rows: int = 0
    rejected: int = 0
    changes: list[Change] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)  # hosts that a full export no longer names
    retired: list[str] = field(default_factory=list)  # those of them that a person gave up
    undetermined: int = 0  # rows with an operating system that cannot be told from its name
    unread: list[str] = field(default_factory=list)  # examples of such names
    without_feed: int = 0  # rows with a release that no feed speaks of
    unfed: list[str] = field(default_factory=list)  # those releases, as platforms
    refused: list[BadRow] = field(default_factory=list)
    layout: Layout | None = None  # how the file was read; None when it was none
    format: str = ""  # of a report, as it was named or recognised
    not_judged: int = 0  # entries, or rows, of which no package could be made
    not_judged_why: tuple[str, ...] = ()  # the first of them
    notes: tuple[str, ...] = ()  # what limits how far a report can be judged
    host: str = ""  # of a report: whose it is
    unreadable: Mapping[str, str] = field(default_factory=dict)  # section of a report -> why

    def count(self, change: Change) -> None:
        setattr(self, change.kind, getattr(self, change.kind) + 1)
        if change.kind != "unchanged" and len(self.changes) < EXAMPLES:
            self.changes.append(change)

    def summary(self) -> dict[str, int]:
        return {
            "rows": self.rows,
            "new": self.new,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "packages_added": self.added,
            "packages_removed": self.removed,
            "rejected": self.rejected,
            "gone": len(self.gone),
            "retired": len(self.retired),
            "undetermined": self.undetermined,
            "without_feed": self.without_feed,
        }


Then = Callable[[Session, Difference], None]  # what else is done in the transaction of an import


def kind_of(*, is_new: bool, changed: bool) -> str:
    """Return the ``kind`` of a `Change`."""
    if is_new:
        return "new"
    return "changed" if changed else "unchanged"
