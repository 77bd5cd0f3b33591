"""Modular builds (dnf modules): several streams of one package under one name.

A build for a stream carries ``.module`` in its release, such as ``1.module+el8.9.0+1234+abcd``;
which stream, only the module's metadata say. Source: Fedora packaging, modularity; dnf applies an
update of a module only to hosts that have that stream enabled.
"""

import re

_MODULAR = re.compile(r"\.module[+_]")
_UPSTREAM = re.compile(r"(?:[0-9]+:)?([0-9]+(?:\.[0-9]+)?)")


def is_modular(version: str) -> bool:
    """Return whether ``[epoch:]version-release`` is that of a build for a module stream."""
    return _MODULAR.search(version) is not None


def same_stream(installed: str, fixed: str) -> bool | None:
    """Return whether two builds are of one stream, as far as their versions alone tell.

    A stream stays at one upstream version in its first two numbers, which is what streams are for;
    two streams of one package may still share them. None: it cannot be told.
    """
    ours, theirs = _UPSTREAM.match(installed), _UPSTREAM.match(fixed)
    if ours is None or theirs is None:
        return None
    if ours[1].partition(".")[0] != theirs[1].partition(".")[0]:
        return False
    return True if ours[1] == theirs[1] else None
