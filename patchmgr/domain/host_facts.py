"""All that a host says of itself beside its packages, in the form that is stored and shown.

None means that the host did not say; an empty tuple, that it said there is none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from patchmgr.domain.facts import Reboot

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Subscription:
    """How Ubuntu Pro stands on a machine."""

    attached: bool
    services: Mapping[str, str]  # name -> "enabled", "disabled", "n/a", …


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What one report said. The running kernel is a column of its host, since scans go by it."""

    reboot: Reboot = field(default_factory=Reboot)
    kernels: Words | None = None  # installed releases
    newest_kernel: str = ""  # of the line that runs; "" not known
    services: Words | None = None  # that still use replaced files
    sessions: Words | None = None
    containers: Words | None = None
    holds: Words | None = None  # packages held or locked to a version
    version_locks: Words | None = None  # as dnf lists them
    modules: Words | None = None  # enabled streams, "nodejs:18"
    pro: Subscription | None = None
    unreadable: Mapping[str, str] = field(default_factory=dict)  # section -> why it was not read

    def to_json(self) -> dict[str, Any]:
        """Return the canonical form: equal facts have equal forms."""
        listed = {name: _listed(getattr(self, name)) for name in _LISTS}
        pro = self.pro and {
            "attached": self.pro.attached,
            "services": dict(sorted(self.pro.services.items())),
        }
        return {
            "reboot_pending": self.reboot.pending,
            "reboot_reasons": list(self.reboot.reasons),
            "newest_kernel": self.newest_kernel,
            **listed,
            "pro": pro,
            "unreadable": dict(sorted(self.unreadable.items())),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "HostFacts":
        """Return the facts of a canonical form."""
        pro = stored["pro"]
        return cls(
            reboot=Reboot(stored["reboot_pending"], tuple(stored["reboot_reasons"])),
            newest_kernel=stored["newest_kernel"],
            pro=Subscription(pro["attached"], pro["services"]) if pro else None,
            unreadable=stored["unreadable"],
            **{name: None if stored[name] is None else tuple(stored[name]) for name in _LISTS},
        )


_LISTS = (
    "kernels",
    "services",
    "sessions",
    "containers",
    "holds",
    "version_locks",
    "modules",
)


def _listed(words: Words | None) -> list[str] | None:
    return None if words is None else list(words)


NOT_REPORTED = "not reported"


def words(facts: HostFacts) -> dict[str, str]:
    """Return each fact as a person reads it; what was not reported says so."""
    pro = facts.pro
    on = sorted(name for name, status in pro.services.items() if status == "enabled") if pro else []
    return {
        "reboot": _reboot(facts.reboot),
        "installed kernels": _joined(facts.kernels),
        "newest kernel": facts.newest_kernel or "not known",
        "services to restart": _joined(facts.services),
        "sessions to restart": _joined(facts.sessions),
        "containers to restart": _joined(facts.containers),
        "held packages": _joined(facts.holds),
        "version locks": _joined(facts.version_locks),
        "module streams": _joined(facts.modules),
        "Ubuntu Pro": NOT_REPORTED
        if pro is None
        else f"attached, {', '.join(on) or 'no service enabled'}"
        if pro.attached
        else "not attached",
    }


def _reboot(said: Reboot) -> str:
    if said.pending is None:
        return NOT_REPORTED
    why = f": {'; '.join(said.reasons)}" if said.reasons else ""
    return f"{'pending' if said.pending else 'not pending'}{why}"


def _joined(listed: Words | None) -> str:
    if listed is None:
        return NOT_REPORTED
    return ", ".join(listed) or "none"
