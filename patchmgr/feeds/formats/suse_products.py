"""Which hosts SUSE means by the name of a product, as os-release of those hosts puts it.

Sources: the product names in SUSE's documents; ``ID`` and ``VERSION_ID`` in os-release of the
products themselves: a service pack is the second number ("15 SP1" is ``15.1``), openSUSE before
Leap 15 has the ID ``opensuse``.

A module or an extension is installed on top of any of the base products of its version. A suffix
such as ``-LTSS`` is a subscription that a host of the release must have to get the update; it may
stand before the version as well ("High Performance Computing LTSS 15 SP3") or behind a blank.
"""

import re
from functools import lru_cache
from typing import NamedTuple

SLE = "SUSE Linux Enterprise "
BASES = {  # name of the product without its version -> ID
    f"{SLE}Server": "sles",
    f"{SLE}Server for VMWare": "sles",
    f"{SLE}Server for Raspberry Pi": "sles",
    f"{SLE}Server for SAP Applications": "sles_sap",
    f"{SLE}Server for SAP applications": "sles_sap",
    f"{SLE}Desktop": "sled",
    f"{SLE}High Performance Computing": "sle_hpc",
    f"{SLE}Real Time": "sle_rt",
    f"{SLE}Micro": "sle-micro",
    f"{SLE}Micro for Rancher": "sle-micro-rancher",
    "SUSE Linux Micro": "sl-micro",
    "SUSE Linux Micro Extras": "sl-micro",
}
EXTENDED = tuple(dict.fromkeys(BASES[name] for name in BASES if "Micro" not in name))
ADD_ONS = {
    f"{SLE}Software Development Kit",
    f"{SLE}Workstation Extension",
    f"{SLE}Real Time Extension",
    "SUSE Real Time Module",
    f"{SLE}High Availability",
    f"{SLE}High Availability Extension",
    f"{SLE}Live Patching",
    "SUSE Package Hub",
    "SUSE Package Hub for SUSE Linux Enterprise",
    "openSUSE Backports SLE",
}
MODULE = f"{SLE}Module for "
CHANNELS = {  # suffix of the version -> what a host must be entitled to
    "": "",
    "LTSS": "ltss",
    "ESPOS": "espos",
    "BCL": "bcl",
    "TERADATA": "teradata",
}
EXTENDED_SECURITY = f"{SLE}Server LTSS Extended Security"
TUMBLEWEED = "openSUSE Tumbleweed"
OPENSUSE = ("opensuse", "opensuse-leap", "opensuse-tumbleweed")
SERVED = (*dict.fromkeys(BASES.values()), *OPENSUSE)
LEAP_BEFORE_15 = "42."

_NAME = re.compile(
    r"(?P<name>.+?)(?: (?P<before>LTSS|ESPOS))?[ -](?P<version>[0-9]{1,3}(?:\.[0-9]{1,2})?)"
    r"(?:[ -]SP(?P<pack>[0-9]))?(?:(?:-| (?=LTSS|ESPOS))(?P<suffix>[A-Z]+))?(?: NonFree)?"
)


class Place(NamedTuple):
    platforms: tuple[str, ...]
    channel: str


@lru_cache(maxsize=4096)
def placed(product: str) -> Place | None:
    """Return the platforms that ``product`` is for, and the channel; None for other products."""
    if product == TUMBLEWEED:
        return Place(("opensuse-tumbleweed:rolling",), "")
    match = _NAME.fullmatch(product)
    suffix = (match["suffix"] or match["before"] or "") if match else ""
    if match is None or suffix not in CHANNELS:
        return None
    name, channel = match["name"], CHANNELS[suffix]
    if name == EXTENDED_SECURITY:
        name, channel = f"{SLE}Server", "ltss-extended-security"
    release = match["version"] + (f".{match['pack']}" if match["pack"] else "")
    ids = _ids(name, release)
    return Place(tuple(f"{each}:{release}" for each in ids), channel) if ids else None


def _ids(name: str, release: str) -> tuple[str, ...]:
    if name in BASES:
        return (BASES[name],)
    # Modules of SUSE Manager are numbered as that is: 4.1.
    if name in ADD_ONS or (name.startswith(MODULE) and "SUSE Manager" not in name):
        return EXTENDED
    if name == "openSUSE Leap":
        return ("opensuse",) if release.startswith(LEAP_BEFORE_15) else ("opensuse-leap",)
    return ("opensuse",) if name == "openSUSE" else ()
