"""The exact content of a plan, and the hash that an approval signs.

The hash is SHA-256 over canonical JSON: keys and lists sorted, no spaces, UTF-8. It covers every
change and its hosts, each host's ring and window, the settings of the rings, what the windows were,
and how many must approve. It does not cover the title.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from patchmgr.domain import windows as known_windows
from patchmgr.domain.plans import Change
from patchmgr.domain.rings import ANY_TIME, OWN_WINDOW, HostFacts, RingSettings, assign, from_json
from patchmgr.domain.windows import Window
from patchmgr.errors import InputError


@dataclass(frozen=True, slots=True)
class Place:
    """Where a host stands in a plan."""

    ring: int  # position
    window: str | None  # None: any time


@dataclass(frozen=True, slots=True)
class Content:
    """Everything that an approval consents to."""

    changes: Mapping[Change, Sequence[int]]  # hosts by change
    places: Mapping[int, Place]  # by host
    rings: tuple[RingSettings, ...]
    windows: Mapping[str, Window]
    approvals_needed: int

    @property
    def hash(self) -> str:
        """Return the SHA-256 of the canonical JSON, hex."""
        whole = {
            **self.settings(),
            "changes": sorted(
                [*change_json(c), sorted(hosts)] for c, hosts in self.changes.items()
            ),
            "hosts": sorted([host, at.ring, at.window or ""] for host, at in self.places.items()),
        }
        text = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def settings(self) -> dict[str, Any]:
        """Return what can still be edited once the changes are chosen, in canonical form."""
        return {
            "rings": [ring.to_json() for ring in self.rings],
            "windows": {name: window.to_json() for name, window in sorted(self.windows.items())},
            "approvals_needed": self.approvals_needed,
        }


def change_json(change: Change) -> list[Any]:
    """Return the canonical form of ``change``."""
    return [
        change.platform,
        change.manager,
        change.package,
        change.arch,
        change.source,
        change.from_version,
        change.to_version,
        change.match.value,
        sorted(change.advisories),
        int(change.severity),
    ]


def place(
    hosts: Sequence[HostFacts],
    rings: Sequence[RingSettings],
    series: str,
    windows: Mapping[str, Window],
) -> dict[int, Place]:
    """Return where each host stands. Raises `InputError` for a window that does not exist."""
    for ring in rings:
        if ring.window not in (OWN_WINDOW, ANY_TIME) and ring.window not in windows:
            raise InputError(
                {f"window of ring {ring.name!r}": f"there is no maintenance window {ring.window!r}"}
            )
    positions = assign(hosts, rings, series)
    return {
        host.id: Place(positions[host.id], _window(rings[positions[host.id]], host))
        for host in hosts
    }


def _window(ring: RingSettings, host: HostFacts) -> str | None:
    if ring.window == ANY_TIME:
        return None
    return (host.window or None) if ring.window == OWN_WINDOW else ring.window


def window_from_json(document: Mapping[str, Any]) -> Window:
    """Return the window whose canonical form is ``document``."""
    return known_windows.from_json(document)


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what changed between two `Content.settings`, a sentence each, for people."""
    old = {ring["name"]: ring for ring in before["rings"]}
    new = {ring["name"]: ring for ring in after["rings"]}
    lines = [f"ring {name} was removed" for name in old if name not in new]
    lines += [f"ring {name} was added" for name in new if name not in old]
    for name, ring in new.items():
        was = {**from_json({"name": name}).to_json(), **old.get(name, {})}
        if name in old:
            lines += [
                f"ring {name}: {setting} {_shown(was[setting])} -> {_shown(ring[setting])}"
                for setting in ring
                if was[setting] != ring[setting]
            ]
    if [name for name in old if name in new] != [name for name in new if name in old]:
        lines.append(f"the order of the rings is {', '.join(new)} now")
    for name in sorted({*before["windows"], *after["windows"]}):
        was, now = before["windows"].get(name), after["windows"].get(name)
        if was != now:
            done = "was added" if was is None else "is used no longer" if now is None else "changed"
            lines.append(f"window {name} {done}")
    if before["approvals_needed"] != after["approvals_needed"]:
        lines.append(
            f"approvals needed {before['approvals_needed']} -> {after['approvals_needed']}"
        )
    return tuple(lines)


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={word}" for name, word in value.items()) or "nothing"
    if isinstance(value, list):
        return f"{len(value)} hosts" if value else "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
