"""For which hosts the packages of an update are: release, and what a host must subscribe to.

Only a release that is written out counts, such as "Rocky Linux 8" or "F27"; nothing is guessed
from a version number alone. A repository of long support has a channel of its own, and so have
Amazon's extras (topics of Amazon Linux 2) and Oracle's Ksplice builds.
"""

import re
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Place:
    """A platform and a channel of it; empty as in `Fix`."""

    platform: str = ""
    channel: str = ""


NOWHERE = Place()

# What a collection or a release is called, whole, and the platform that this is.
_NAMES = [
    (re.compile(pattern, re.IGNORECASE), platform)
    for pattern, platform in (
        (r"(?:Fedora(?: Linux)? |F)(\d{1,3})(?: Modular)?(?: Update)?", "fedora:{0}"),
        (r"(?:AlmaLinux(?: OS)? |almalinux-?)(\d{1,2})(?:[^\d].*)?", "almalinux:{0}"),
        (r"(?:Rocky Linux |rocky-linux-|RL)(\d{1,2})(?:[^\d].*)?", "rocky:{0}"),
        (r"(?:Oracle Linux |ol)(\d{1,2})(?:[^\d].*)?", "ol:{0}"),
        (r"(?:Amazon Linux |amazon-linux-)(20\d\d|2)(?:[^\d].*)?", "amzn:{0}"),
        (r"openSUSE Leap (\d{2}\.\d)(?:[^\d].*)?", "opensuse-leap:{0}"),
        (r"SUSE Linux Enterprise [A-Za-z ]+ (\d{2}) SP(\d)", "sles:{0}.{1}"),
    )
]
_RED_HAT = re.compile(
    r"(?:rhel-(?P<a>\d{1,2})-"
    r"|Red Hat Enterprise Linux\b(?:[A-Za-z -]|\bE4S\b)*[ (](?:v\. ?)?(?P<b>\d{1,2})\b).*",
    re.IGNORECASE,
)
# SUSE's patches: SUSE-SLE-Product-SLES-15-SP1-LTSS-2021-186. Modules are for all of its products.
_SUSE = re.compile(
    r"SUSE-SLE-(?P<product>[A-Za-z_-]+?)-(?P<release>\d{2})-SP(?P<pack>\d)"
    r"(?:-(?P<support>LTSS|ESPOS|BCL|TERADATA))?-20\d\d-\d+"
)
_SUSE_IDS = {
    "SAP": "sles_sap",
    "Product-SLES_SAP": "sles_sap",
    "DESKTOP": "sled",
    "Product-SLED": "sled",
    "HPC": "sle_hpc",
    "Product-HPC": "sle_hpc",
    "RT": "sle_rt",
    "Product-RT": "sle_rt",
}
_RED_HAT_MINOR = re.compile(r"(?:_DOT_|\(v\. ?\d+\.|Linux \d+\.)(\d+)")
_LONG_SUPPORT = re.compile(r"(?<![A-Za-z0-9])(eus|aus|tus|e4s|els)(?![A-Za-z0-9])", re.IGNORECASE)

# Ids that only one vendor gives, with the mark that its releases leave in a package's release.
_EL = re.compile(r"[.+]el(\d{1,2})(?:[^\d]|$)")
_FC = re.compile(r"\.fc(\d{1,3})(?:[^\d]|$)")
_OWN_IDS = (
    (re.compile(r"AL[SBE]A-\d.*"), _EL, "almalinux:"),
    (re.compile(r"RL[SBE]A-\d.*"), _EL, "rocky:"),
    (re.compile(r"EL[SBE]A-\d.*"), _EL, "ol:"),
    (re.compile(r"FEDORA-\d.*"), _FC, "fedora:"),
)
_EXTRAS = re.compile(r"ALAS2?([A-Z][A-Z0-9.+_-]*?)-20\d\d-\d+")
_KSPLICE = re.compile(r"ksplice", re.IGNORECASE)


@lru_cache(maxsize=1 << 12)
def place_named(names: tuple[str, ...]) -> Place:
    """Return the place that the first telling one of ``names`` says; `NOWHERE` for none."""
    for name in names:
        red_hat = _RED_HAT.fullmatch(name)
        if red_hat:
            return _red_hat(name, red_hat["a"] or red_hat["b"])
        suse = _SUSE.fullmatch(name)
        if suse:
            os_id = _SUSE_IDS.get(suse["product"], "sles")
            release = f"{suse['release']}.{suse['pack']}"
            return Place(f"{os_id}:{release}", (suse["support"] or "").lower())
        for pattern, platform in _NAMES:
            match = pattern.fullmatch(name)
            if match:
                return Place(platform.format(*match.groups()))
    return NOWHERE


def _red_hat(name: str, major: str) -> Place:
    support = _LONG_SUPPORT.search(name)
    minor = _RED_HAT_MINOR.search(name)
    if support and minor:
        return Place(f"rhel:{major}.{minor[1]}", support[1].lower())
    return Place(f"rhel:{major}", support[1].lower() if support else "")


@lru_cache(maxsize=1 << 12)
def place_marked(ref: str, release: str) -> Place:
    """Return the place that ``ref`` and the ``release`` of a package say together."""
    for ids, mark, platform in _OWN_IDS:
        found = mark.search(release) if ids.fullmatch(ref) else None
        if found:
            return Place(platform + found[1])
    return NOWHERE


@lru_cache(maxsize=1 << 12)
def channel_of(ref: str, release: str) -> str:
    """Return the channel that an advisory's id or a package's release tells; "" for none."""
    extras = _EXTRAS.fullmatch(ref)
    if extras:
        return f"extras-{extras[1].lower()}"
    return "ksplice" if _KSPLICE.search(release) else ""
