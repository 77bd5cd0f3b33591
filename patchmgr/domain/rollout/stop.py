"""A reason to stand still: since when, the hosts that it comes from, and what to do about it."""

from dataclasses import dataclass
from datetime import datetime

from patchmgr.domain.rollout.states import TaskState


@dataclass(frozen=True, slots=True)
class Culprit:
    """A host that ended without success, and that nobody has accepted so far."""

    host: str
    ring: str
    state: TaskState
    package: str = ""  # the one that failed
    said: str = ""
    not_back: bool = False  # from its reboot
    goes_back: bool = False  # a person has asked that it be rolled back, and that stands


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do: ``command`` as on the command line, or "look", "wait", "remake"."""

    command: str
    words: str


@dataclass(frozen=True, slots=True)
class Stop:
    """One reason to stand still."""

    kind: str  # of the halt signal, or "paused", "expired", "scheduler", or of `idle`
    why: str
    at: datetime | None  # since when
    steps: tuple[Step, ...]
    ring: str = ""
    package: str = ""
    hosts: tuple[Culprit, ...] = ()  # that it comes from
    is_halt: bool = False  # by a signal, which must be let pass
    subject: str = ""  # what a step speaks of: the number of a hold, another plan
    is_idle: bool = False  # `at` is since when no host of the ring has been at work


RETRY = Step("retry", "Repair what the hosts say, then give them another turn.")
ACCEPT = Step("acknowledge-hosts", "Accept the hosts as they are: they no longer count against "
              "the ring and its groups.")  # fmt: skip
SKIP = Step("skip-ring", "Or go on without this ring: its hosts that wait keep what they have. "
            "It needs an approver.")  # fmt: skip
