"""Version schemes: each module turns a version into bytes that sort as its vendor sorts.

To add a scheme, write `patchmgr/domain/versions/<scheme>.py` with a `key` function, name it in
`SCHEMES`, and give it vectors in `tests/data/vectors/<scheme>/`.
"""

from collections.abc import Callable

from patchmgr.domain.versions import (
    alpm,
    apk,
    dpkg,
    gem,
    maven,
    nuget,
    pep440,
    rpm,
    semver,
)

SCHEMES: dict[str, Callable[[str], bytes]] = {
    "alpm": alpm.key,
    "apk": apk.key,
    "dpkg": dpkg.key,
    "gem": gem.key,
    "maven": maven.key,
    "nuget": nuget.key,
    "pep440": pep440.key,
    "rpm": rpm.key,
    "semver": semver.key,
}


def compare(scheme: str, a: str, b: str) -> str:
    """Return ``<``, ``=`` or ``>``: how ``a`` stands to ``b`` to the scheme's vendor.

    That is how their keys stand, but for alpm versions of which one has no pkgrel: vercmp leaves
    the other's out, as no order of keys can.

    Raises `VersionError` naming the one that is not a version of ``scheme``, `KeyError` for an
    unknown scheme.
    """
    key = SCHEMES[scheme]
    left, right = key(a), key(b)
    if scheme == "alpm":
        left, right = map(key, alpm.alike(a, b))
    return "<" if left < right else ">" if left > right else "="
