"""Words that Red Hat's formats share, and those of who builds from Red Hat's sources.

Source: Red Hat's severity ratings; its CPE dictionary. A CPE such as
``cpe:/o:redhat:rhel_eus:8.6::baseos`` names the product stream whose repositories have a package:
``enterprise_linux`` is for every subscriber, ``rhel_eus`` (since RHEL 10 ``enterprise_linux_eus``)
and its like are bought apart, anything else (``satellite``, ``openshift``) is a layered product.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from patchmgr.domain.advisories import Severity

SEVERITIES = {
    "critical": Severity.CRITICAL,
    "important": Severity.HIGH,
    "moderate": Severity.MEDIUM,
    "low": Severity.LOW,
}
MAIN = "enterprise_linux"
EXTRAS = "rhel_extras"  # and rhel_extras_other, rhel_extras_rt: come with the subscription
CHANNELS = {
    "rhel_eus": "eus",
    "enterprise_linux_eus": "eus",
    "rhel_aus": "aus",
    "rhel_e4s": "e4s",
    "rhel_tus": "tus",
    "rhel_els": "els",
    "rhel_eus_long_life": "eus-long-life",
    "rhel_mission_critical": "aus",  # the name of AUS until RHEL 6
}
ELS = "els"  # and rhel_extras_rt_els, of what comes with a release that is past its support
INVESTIGATED = "under investigation"
# rhel-9.7.z, rhel-9.6.z.eus::appstream, rhel-9.2.0.z.eus
_MINOR = re.compile(
    r"rhel-(?P<major>\d{1,3})\.(?P<minor>\d{1,3})(?:\.0)?\.z(?P<kind>\.eus)?(?:::.+)?"
)
_VERSION = re.compile(r"(\d{1,3})(?:\.\d{1,3})?")


@dataclass(frozen=True, slots=True, order=True)
class Stream:
    """A product stream of RHEL: the platform, and what a host must be entitled to."""

    platform: str
    channel: str = ""

    @property
    def release(self) -> str:
        """The major release."""
        return self.platform.removeprefix("rhel:").partition(".")[0]


def severity(word: str) -> Severity:
    return SEVERITIES.get(word.strip().lower(), Severity.UNKNOWN)


def stream(cpe: str) -> Stream | None:
    """Return the stream that ``cpe`` names; None for a layered product."""
    product, version = _named(cpe)
    release = _VERSION.fullmatch(version)
    if release is None:
        return None
    extra = product == EXTRAS or product.startswith(f"{EXTRAS}_")
    if product == MAIN or (extra and not product.endswith(f"_{ELS}")):
        return Stream(f"rhel:{release[1]}")
    channel = ELS if extra else CHANNELS.get(product, "")
    return Stream(f"rhel:{version}", channel) if channel else None


def current(streams: Iterable[str]) -> frozenset[str]:
    """Return those of the ids ``streams`` that are also the main stream of their release.

    Since 2026 a minor release that gets EUS later is named as that from its first day, and the main
    stream is what came before it: beside ``rhel-9.7.z``, ``rhel-9.8.z.eus`` is what every
    subscriber has.
    """
    minors: dict[str, dict[str, int]] = {"": {}, ".eus": {}}
    named = [found for each in streams if (found := _MINOR.fullmatch(each))]
    for found in named:
        newest = minors[found["kind"] or ""]
        newest[found["major"]] = max(newest.get(found["major"], 0), int(found["minor"]))
    return frozenset(
        found[0]
        for found in named
        if found["kind"]
        and int(found["minor"]) == minors[".eus"][found["major"]]
        and int(found["minor"]) > minors[""].get(found["major"], int(found["minor"]))
    )


def product(cpe: str) -> str:
    """Return product and version that ``cpe`` names, such as ``satellite:6.14``."""
    return ":".join(filter(None, _named(cpe)))[:80] or "a product without a name"


def unfixed(words: str) -> str:
    """Return why there is no fix: the vendor's ``words``, in lower case."""
    said = words.strip().lower()
    return "no fixed version yet" if said in ("", "affected") else said


def _named(cpe: str) -> tuple[str, str]:
    parts = cpe.split(":")
    return (parts[3] if len(parts) > 3 else "", parts[4] if len(parts) > 4 else "")
