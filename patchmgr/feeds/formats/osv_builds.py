"""Several builds of one package in one advisory: module streams, rebuilds and point releases.

AlmaLinux lists a package once for each build that has the fix: the same version and release,
rebuilt for a later minor release (``.module_el8.5.0+…``, ``.module_el8.6.0+…``) or by AlmaLinux
(``.alma``). Each of them is fixed, so the flaw ends with the earliest.
"""

import re
from collections.abc import Iterable

from patchmgr.domain.advisories import Fix, Status
from patchmgr.domain.versions import SCHEMES
from patchmgr.errors import VersionError

_MODULAR = re.compile(r"\.module[+_]")
_STREAM = re.compile(r"(?<![\w:])([a-z][A-Za-z0-9_.+-]*:[A-Za-z0-9_.-]*[A-Za-z0-9_])(?![\w:])")


def streams(fixed: str, said: str) -> tuple[str, ...]:
    """Return the ``name:stream`` that ``said`` names for the build ``fixed``; one "" for none."""
    found = _STREAM.findall(said) if _MODULAR.search(fixed) else []
    return tuple(dict.fromkeys(found)) or ("",)


def earliest_builds(fixes: Iterable[Fix]) -> tuple[Fix, ...]:
    """Return ``fixes`` with the earliest build alone where rpm builds differ in nothing else."""
    kept: dict[tuple[object, ...], Fix] = {}
    order = SCHEMES.get("rpm")
    for fix in fixes:
        if order is None or not _is_build(fix):
            kept[(fix,)] = fix
            continue
        what = (fix.platform, fix.package, fix.arch, fix.module, fix.channel)
        same = (*what, bool(_MODULAR.search(fix.fixed)))
        try:
            known = kept.get(same)
            if known is None or order(fix.fixed) < order(known.fixed):
                kept[same] = fix
        except VersionError:
            kept[(fix,)] = fix
    return tuple(kept.values())


def _is_build(fix: Fix) -> bool:
    return (
        fix.scheme == "rpm"
        and fix.status is Status.AFFECTED
        and not (fix.introduced or fix.last_affected)
    )
