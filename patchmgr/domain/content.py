"""The exact content of a plan, and the hash that an approval signs.

The hash is SHA-256 over canonical JSON: keys and lists sorted, no spaces, UTF-8. It covers every
change and its hosts, each host's ring and window, the settings of the rings, what the windows were,
how many must approve, and the plan's terms. It does not cover the title.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from patchmgr.domain import durations
from patchmgr.domain import terms as plan_terms
from patchmgr.domain import windows as known_windows
from patchmgr.domain.groups import Group, GroupSettings
from patchmgr.domain.plans import Change
from patchmgr.domain.representatives import Sights, sights
from patchmgr.domain.rings import ANY_TIME, OWN_WINDOW, HostFacts, RingSettings, assign, from_json
from patchmgr.domain.terms import AS_BEFORE, Terms
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
    terms: Terms = AS_BEFORE
    groups: tuple[GroupSettings, ...] = ()
    gathered: tuple[Group, ...] = ()  # which hosts ``groups`` put together

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
        if self.gathered:
            whole["members"] = [
                [one.key, one.limit, one.is_ordered, *one.members] for one in self.gathered
            ]
        text = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def settings(self) -> dict[str, Any]:
        """Return what can still be edited once the changes are chosen, in canonical form."""
        return {
            "rings": [ring.to_json() for ring in self.rings],
            "windows": {name: window.to_json() for name, window in sorted(self.windows.items())},
            "approvals_needed": self.approvals_needed,
            **({"terms": terms} if (terms := self.terms.to_json()) else {}),
            # Left out where there are none: a plan made before there were any keeps its hash.
            **({"groups": [group.to_json() for group in self.groups]} if self.groups else {}),
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
    changes: Mapping[Change, Sequence[int]] | None = None,
) -> dict[int, Place]:
    """Return where each host stands. Raises `InputError` for a window that does not exist.

    ``changes`` are what representative hosts represent; without them there are none.
    """
    for ring in rings:
        if ring.window not in (OWN_WINDOW, ANY_TIME) and ring.window not in windows:
            raise InputError(
                {f"window of ring {ring.name!r}": f"there is no maintenance window {ring.window!r}"}
            )
    seen = sights_of(hosts, changes or {}) if any(ring.representative for ring in rings) else None
    positions = assign(hosts, rings, series, seen)
    return {
        host.id: Place(positions[host.id], _window(rings[positions[host.id]], host))
        for host in hosts
    }


def sights_of(hosts: Sequence[HostFacts], changes: Mapping[Change, Sequence[int]]) -> Sights:
    """Return what each host would show of ``changes``: a package from one version to another."""
    return sights(changes, {host.id: host.platform for host in hosts})


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a plan its hosts up to a ring have seen when the ring is done."""

    ring: str
    hosts: int  # of this ring
    changes: int  # that this ring and those before it show
    of_changes: int
    platforms: int
    of_platforms: int
    hosts_before: int = 0  # of the rings before this one

    @property
    def percent(self) -> int:
        """Whole percents, rounded down: 100 is all."""
        return self.changes * 100 // self.of_changes if self.of_changes else 100

    def to_json(self) -> dict[str, Any]:
        return {
            "ring": self.ring,
            "hosts": self.hosts,
            "changes": self.changes,
            "of_changes": self.of_changes,
            "platforms": self.platforms,
            "of_platforms": self.of_platforms,
            "percent": self.percent,
            **({"hosts_before": self.hosts_before} if self.hosts_before else {}),
        }


def coverage_words(reached: Mapping[str, Any]) -> str:
    """Return a stored coverage for people: "12 hosts cover 97 % of 1,840 changes"."""
    hosts, platforms = reached["hosts"], reached["of_platforms"]
    before = reached.get("hosts_before", 0)
    with_them = f", with {before:,} of the rings before," if before else ""
    said = (
        f"{hosts:,} {'host' if hosts == 1 else 'hosts'}{with_them} "
        f"{'covers' if hosts == 1 and not before else 'cover'} {reached['percent']} % "
        f"of {reached['of_changes']:,} changes"
    )
    if platforms > 1:
        said += f" and {reached['platforms']} of {platforms} platforms"
    return said


def coverage(content: Content, hosts: Sequence[HostFacts]) -> tuple[Coverage, ...]:
    """Return what each ring with representatives reaches, with the rings before it."""
    if not any(ring.representative for ring in content.rings):
        return ()
    seen = sights_of(hosts, content.changes)
    everything = seen.counts(seen.union(content.places))
    found, bits, before = [], 0, 0
    for position, ring in enumerate(content.rings):
        members = [host for host, at in content.places.items() if at.ring == position]
        bits |= seen.union(members)
        if ring.representative:
            changes, platforms = seen.counts(bits)
            found.append(
                Coverage(
                    ring.name,
                    len(members),
                    changes,
                    everything[0],
                    platforms,
                    everything[1],
                    before,
                )
            )
        before += len(members)
    return tuple(found)


def _window(ring: RingSettings, host: HostFacts) -> str | None:
    if ring.window == ANY_TIME:
        return None
    return (host.window or None) if ring.window == OWN_WINDOW else ring.window


def window_from_json(document: Mapping[str, Any]) -> Window:
    """Return the window whose canonical form is ``document``."""
    return known_windows.from_json(document)


# What is left where settings are the same and the hash is not: changes are frozen.
MOVED = "some hosts stand in another ring, window or group than before, for what is known of them"


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
                f"ring {name}: {setting} {_shown(was.get(setting))} -> {_shown(ring.get(setting))}"
                for setting in dict.fromkeys((*ring, *was))
                if was.get(setting) != ring.get(setting)
            ]
    if [name for name in old if name in new] != [name for name in new if name in old]:
        lines.append(f"the order of the rings is {', '.join(new)} now")
    for name in sorted({*before["windows"], *after["windows"]}):
        was, now = before["windows"].get(name), after["windows"].get(name)
        if was != now:
            done = "was added" if was is None else "is used no longer" if now is None else "changed"
            lines.append(f"window {name} {done}")
    lines += _group_difference(before.get("groups", []), after.get("groups", []))
    if before["approvals_needed"] != after["approvals_needed"]:
        lines.append(
            f"approvals needed {before['approvals_needed']} -> {after['approvals_needed']}"
        )
    return (*lines, *_terms_difference(before.get("terms", {}), after.get("terms", {})))


def _terms_difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    old, new = plan_terms.from_json(before), plan_terms.from_json(after)
    lines = []
    if old.targets is not new.targets:
        lines.append(f"target versions {old.targets} -> {new.targets}")
    if old.include_held is not new.include_held:
        lines.append("held packages are changed" if new.include_held else "held packages stay")
    if set(old.approvers) != set(new.approvers):
        was, now = (plan_terms.words(one.approvers) or "any approver" for one in (old, new))
        lines.append(f"who must approve: {was} -> {now}")
    if old.approval_valid != new.approval_valid:
        was, now = (durations.words(one.approval_valid) for one in (old, new))
        lines.append(f"an approval is valid for {was} -> {now}")
    if old.execution is not new.execution:
        lines.append(f"carried out by {old.execution} -> {new.execution}")
    return lines


def _group_difference(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> list[str]:
    old, new = ({group["name"]: group for group in groups} for groups in (before, after))
    lines = [f"group {name} was removed" for name in old if name not in new]
    lines += [f"group {name} was added" for name in new if name not in old]
    for name, group in new.items():
        was = old.get(name, group)
        lines += [
            f"group {name}: {setting} {_shown(was[setting])} -> {_shown(group[setting])}"
            for setting in group
            if was[setting] != group[setting]
        ]
    return lines


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        said = (f"{name}={_one_or_more(word)}" for name, word in value.items())
        return ", ".join(said) or "nothing"
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return ", ".join(one["name"] for one in value)
    if isinstance(value, list):
        return f"{len(value)} hosts" if value else "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "nothing" if value is None else str(value)


def _one_or_more(word: object) -> str:
    return "|".join(word) if isinstance(word, list) else str(word)
