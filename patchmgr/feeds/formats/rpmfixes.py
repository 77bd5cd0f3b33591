"""Statements about rpm packages, brought to as few as say the same."""

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import fields, replace
from operator import attrgetter

from patchmgr.domain.advisories import Fix, Match

SCHEME = "rpm"
NAME = 200  # characters of the longest name or version that is stored
SOURCE_ARCHES = ("src", "nosrc")
_DEBUG = re.compile(r"-debug(info|source)(-|$)")


def evr(text: str) -> str:
    """Return ``[epoch:]version-release`` without an epoch of 0, as package lists show it."""
    return text.strip().removeprefix("0:").removeprefix("(none):")


def is_debug(name: str) -> bool:
    """Whether ``name`` is a package of debugging symbols or sources, which nothing runs."""
    return bool(_DEBUG.search(name))


def is_name(text: str) -> bool:
    """Whether ``text`` can be stored as name or version: one printable word."""
    return 0 < len(text) <= NAME and text.isprintable() and " " not in text


def united(fixes: Iterable[Fix], every: frozenset[str] = frozenset()) -> tuple[Fix, ...]:
    """Return ``fixes`` with those in one that differ only in architecture or severity.

    A source package says something only where no binary of that platform, channel, module, status
    and version is named: it stands for its binaries. The architectures are left out where all that
    a package is built for have the same version, and ``every`` one is among them.
    """
    said = list(dict.fromkeys(fixes))
    named = {_place(fix) for fix in said if fix.match is Match.BINARY}
    groups: dict[Hashable, list[Fix]] = defaultdict(list)
    versions: dict[Hashable, set[str]] = defaultdict(set)
    for fix in said:
        if fix.match is Match.BINARY or _place(fix) not in named:
            groups[_all_but_arch_and_severity(fix)].append(fix)
            versions[_package(fix)].add(fix.fixed)
    return tuple(
        _one(group, every, alike=len(versions[_package(group[0])]) == 1)
        for group in groups.values()
    )


def _one(group: list[Fix], every: frozenset[str], *, alike: bool) -> Fix:
    arches = {arch for fix in group for arch in fix.arch.split()}
    anywhere = (alike and arches >= every) or any(not fix.arch for fix in group)
    arch = "" if anywhere else " ".join(sorted(arches))
    severity = max(fix.severity for fix in group)
    same = (group[0].arch, group[0].severity) == (arch, severity)
    return group[0] if same else replace(group[0], arch=arch, severity=severity)


def _place(fix: Fix) -> Hashable:
    return fix.platform, fix.channel, fix.module, fix.status, fix.fixed


def _package(fix: Fix) -> Hashable:
    return fix.platform, fix.channel, fix.module, fix.match, fix.package, fix.status


_all_but_arch_and_severity = attrgetter(
    *(each.name for each in fields(Fix) if each.name not in ("arch", "severity"))
)
