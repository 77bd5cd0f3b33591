"""openEuler's service packs: releases of their own that os-release does not tell apart.

``VERSION_ID`` is "22.03" in all of them, and each is built on its own. Which one a package was
built for, its release says: ``9.oe2203sp1``. Those of 20.03 up to SP3 all say ``oe1``. Source:
openEuler's packaging (``%dist``) and its security documents.
"""

import re

OS_ID = "openeuler"
PACKS = ("-lts", *(f"-lts-sp{number}" for number in range(1, 6)))  # as documents name them
_BUILT_FOR = re.compile(r"\.oe([0-9]{4}(?:sp[0-9])?|1)(?:\.|$)")
_SEVERAL = "1"


def packs_of(os_id: str, release: str) -> tuple[str, ...]:
    """Return the releases that a host of ``release`` may be, where that does not tell."""
    if os_id != OS_ID or "-" in release:
        return ()
    return tuple(release + pack for pack in PACKS)


def same_pack(installed: str, fixed: str) -> bool | None:
    """Return whether two builds are for one service pack; None: their releases do not tell."""
    ours, theirs = _BUILT_FOR.search(installed), _BUILT_FOR.search(fixed)
    if ours is None or theirs is None or (ours[1] == theirs[1] == _SEVERAL):
        return None
    return ours[1] == theirs[1]
